// How much of unfinished long messages one connection holds: a message of megabytes comes in parts, and any number of
// calls may be in the middle of one. Below the budget each goes on; above it one at a time does, until it is whole.
// session.ts has one; call-stream.ts asks before it lets the other side send more of a message. Pure.

/** Who gathers a message. */
export interface Gatherer {
  /** It may let the other side send more. */
  goOnGathering(): void;
}

export class GatherBudget {
  readonly #bytesMax: number;
  #bytes = 0;
  /** The one that goes on above the budget, so that there is always one that can finish. */
  #favourite: Gatherer | null = null;
  readonly #waiting = new Set<Gatherer>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of unfinished messages. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `gatherer` holds `bytes` more. False: it waits for `goOnGathering` before it gives credit. */
  gathered(gatherer: Gatherer, bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax || gatherer === this.#favourite) return true;
    if (this.#favourite === null) {
      this.#favourite = gatherer;
      return true;
    }
    this.#waiting.add(gatherer);
    return false;
  }

  /** `gatherer` has its message, or gave it up: it holds those `bytes` no longer. */
  finished(gatherer: Gatherer, bytes: number): void {
    this.#bytes -= bytes;
    this.#waiting.delete(gatherer);
    if (gatherer === this.#favourite) this.#favourite = null;
    for (const next of this.#waiting) {
      const fits = this.#bytes <= this.#bytesMax;
      if (!fits && this.#favourite !== null) return;
      if (!fits) this.#favourite = next;
      this.#waiting.delete(next);
      next.goOnGathering();
    }
  }
}
