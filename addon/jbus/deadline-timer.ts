// One timer for everything that waits on a channel. It is set anew only for something earlier: a timer that comes too
// early finds nothing and costs less than one per operation.

export class DeadlineTimer {
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Infinity;

  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** Calls back at `dueMs` of `performance.now()`, or before. */
  arm(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, dueMs - nowMs));
  }

  /** No callback follows until it is armed again. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#dueMs = Infinity;
  }

  #fire(): void {
    this.#dueMs = Infinity;
    this.#onDue();
  }
}
