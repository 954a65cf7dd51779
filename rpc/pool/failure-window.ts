// Says when so many things failed within so short a time that a quarantine is due. Pure: time comes in.
// host-pool.ts records failed connects and lost connections.

export class FailureWindow {
  readonly #windowMs: number;
  /** When the last failures happened; the oldest is overwritten. */
  readonly #times: Float64Array;
  #next: number = 0;

  constructor(failuresMax: number, windowMs: number) {
    this.#windowMs = windowMs;
    this.#times = new Float64Array(failuresMax).fill(-Infinity);
  }

  /** True when this failure is the last of as many as the window may not hold. */
  record(nowMs: number): boolean {
    this.#times[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#times.length;
    return nowMs - this.#times[this.#next]! <= this.#windowMs; // the oldest of them
  }

  clear(): void {
    this.#times.fill(-Infinity);
  }
}
