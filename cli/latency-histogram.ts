// Counts latencies in slots of constant relative width, so that a long run takes no more memory than a short one.
// load-run.ts records, bench-report.ts asks for quantiles and rows. Pure. A slot is off by 0.4 % at most.

const SUB_BITS = 7;
/** Below this many nanoseconds every one has a slot of its own; above, each power of two is cut into 128. */
const EXACT = 2 ** (SUB_BITS + 1);
/** Up to some 78 hours. */
const SLOTS = 42 * 2 ** SUB_BITS;
const NANOS_PER_MS = 1e6;

/** Latencies above `fromMs` and up to `toMs`. */
export interface HistogramRow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly count: number;
}

export class LatencyHistogram {
  readonly #counts = new Float64Array(SLOTS);
  #count = 0;
  #sumMs = 0;
  #minMs = Infinity;
  #maxMs = 0;

  record(latencyMs: number): void {
    const ms = Math.max(0, latencyMs);
    this.#counts[slotOf(Math.round(ms * NANOS_PER_MS))]! += 1;
    this.#count += 1;
    this.#sumMs += ms;
    this.#minMs = Math.min(this.#minMs, ms);
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  get count(): number {
    return this.#count;
  }

  /** 0 for an empty one, as are the following. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  get minMs(): number {
    return this.#count === 0 ? 0 : this.#minMs;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** Milliseconds that `fraction` of the latencies do not exceed. */
  quantileMs(fraction: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * fraction));
    if (wanted >= this.#count) return this.#maxMs;
    let seen = 0;
    for (const [slot, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(this.#maxMs, Math.max(this.#minMs, middleMs(slot)));
    }
    return this.#maxMs;
  }

  /** Rows that end at 1, 2 and 5 times powers of ten, from the first that has any to the last. */
  rows(): HistogramRow[] {
    const counts = new Map<number, number>();
    let step = 0;
    for (const [slot, count] of this.#counts.entries()) {
      if (count === 0) continue;
      while (middleMs(slot) > rowEndMs(step)) step += 1;
      counts.set(step, (counts.get(step) ?? 0) + count);
    }
    const first = Math.min(...counts.keys());
    return Array.from({ length: counts.size === 0 ? 0 : step - first + 1 }, (_, index) => ({
      fromMs: first + index === 0 ? 0 : rowEndMs(first + index - 1),
      toMs: rowEndMs(first + index),
      count: counts.get(first + index) ?? 0,
    }));
  }
}

/** 1 us, 2 us, 5 us, 10 us… */
function rowEndMs(step: number): number {
  return ([1, 2, 5][step % 3]! * 10 ** Math.floor(step / 3)) / 1000;
}

function slotOf(nanos: number): number {
  if (nanos < EXACT) return nanos;
  const shift = Math.floor(Math.log2(nanos)) - SUB_BITS;
  return Math.min(SLOTS - 1, shift * 2 ** SUB_BITS + Math.floor(nanos / 2 ** shift));
}

function middleMs(slot: number): number {
  if (slot < EXACT) return slot / NANOS_PER_MS;
  const shift = Math.floor(slot / 2 ** SUB_BITS) - 1;
  const top = slot - shift * 2 ** SUB_BITS;
  return (top * 2 ** shift + 2 ** shift / 2) / NANOS_PER_MS;
}
