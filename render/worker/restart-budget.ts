// Whether a renderer that ended by itself may be started once more: so many times in so long, and no more.
// renderer-process.ts asks at each end; when the answer is no, the worker node should drain. Pure: time comes in.

const WINDOW_MS = 60_000;

export class RestartBudget {
  readonly #perMinute: number;
  #restartsMs: number[] = [];

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Takes one, if one is left. */
  take(nowMs: number): boolean {
    this.#restartsMs = this.#restartsMs.filter((restartMs) => restartMs > nowMs - WINDOW_MS);
    if (this.#restartsMs.length >= this.#perMinute) return false;
    this.#restartsMs.push(nowMs);
    return true;
  }
}
