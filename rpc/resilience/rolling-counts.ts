// Counts of the last so many milliseconds, in buckets that are thrown away one by one.
// circuit-breaker.ts counts calls and failures with it, hedge-limiter.ts calls and hedges. Pure: time comes in.

const BUCKETS = 10;

export class RollingCounts {
  readonly #bucketMs: number;
  readonly #totals: Uint32Array;
  readonly #marked: Uint32Array;
  /** Number of the newest bucket, counted from time 0. */
  #newest = -1;
  #total = 0;
  #markedTotal = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
    this.#totals = new Uint32Array(BUCKETS);
    this.#marked = new Uint32Array(BUCKETS);
  }

  /** Of the window that ended with the last `add` or `advance`. */
  get total(): number {
    return this.#total;
  }

  get marked(): number {
    return this.#markedTotal;
  }

  add(total: number, marked: number, nowMs: number): void {
    this.advance(nowMs);
    const at = this.#newest % BUCKETS;
    this.#totals[at]! += total;
    this.#marked[at]! += marked;
    this.#total += total;
    this.#markedTotal += marked;
  }

  /** Forgets what is older than the window. A clock that steps back counts into the newest bucket. */
  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs);
    if (bucket <= this.#newest) return;
    if (bucket - this.#newest >= BUCKETS) this.clear();
    else {
      for (let each = this.#newest + 1; each <= bucket; each += 1) {
        const at = each % BUCKETS;
        this.#total -= this.#totals[at]!;
        this.#markedTotal -= this.#marked[at]!;
        this.#totals[at] = 0;
        this.#marked[at] = 0;
      }
    }
    this.#newest = bucket;
  }

  clear(): void {
    this.#totals.fill(0);
    this.#marked.fill(0);
    this.#total = 0;
    this.#markedTotal = 0;
  }
}
