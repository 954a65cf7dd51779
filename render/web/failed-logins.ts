// Slows down who guesses tokens: so many wrong ones in a minute from one address, and it has to wait. Pure; access.ts asks.

const WRONG_MAX = 20;
const WINDOW_MS = 60_000;
/** Addresses that are remembered; the oldest makes room. */
const ADDRESSES_MAX = 1024;

interface Wrong {
  readonly sinceMs: number;
  count: number;
}

export class FailedLogins {
  readonly #wrong = new Map<string, Wrong>();

  /** 0: it may try. */
  waitMs(address: string, nowMs: number): number {
    const wrong = this.#wrong.get(address);
    if (wrong === undefined || wrong.count < WRONG_MAX) return 0;
    return Math.max(0, wrong.sinceMs + WINDOW_MS - nowMs);
  }

  note(address: string, nowMs: number): void {
    const wrong = this.#wrong.get(address);
    if (wrong !== undefined && nowMs - wrong.sinceMs < WINDOW_MS) {
      wrong.count += 1;
      return;
    }
    this.#wrong.delete(address);
    this.#wrong.set(address, { sinceMs: nowMs, count: 1 });
    for (const oldest of this.#wrong.keys()) {
      if (this.#wrong.size <= ADDRESSES_MAX) break;
      this.#wrong.delete(oldest);
    }
  }
}
