// Asks again while asking may help: pauses grow, and all of it ends at a deadline or with a signal.
// registration.ts, render-job.ts and farm-client.ts wait by it.

import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from '../backoff.js';
import { RenderError } from '../errors.js';

const PAUSES = { baseMs: 50, capMs: 2_000 };

export class Patience {
  readonly #untilMs: number;
  readonly #signal: AbortSignal;
  #failures = 0;

  /** @param ms from now on; Infinity: only the signal ends it */
  constructor(ms: number, signal: AbortSignal) {
    this.#untilMs = performance.now() + ms;
    this.#signal = signal;
  }

  get remainingMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /**
   * Waits before the next attempt, at least `atLeastMs`.
   * @throws the `error` that was met: there is no time left; RenderError RENDER_CANCELED: the signal
   */
  async pause(error: unknown, atLeastMs: number = 0): Promise<void> {
    this.#failures += 1;
    const { remainingMs } = this;
    if (remainingMs <= atLeastMs) throw error;
    const pauseMs = Math.min(
      remainingMs,
      Math.max(atLeastMs, backoffMs(Math.random, this.#failures, PAUSES)),
    );
    try {
      await delay(pauseMs, undefined, { signal: this.#signal });
    } catch {
      throw canceled(this.#signal); // a timer fails by its signal alone
    }
  }
}

/** What a signal that was aborted means: the error that it was aborted with, where it is one of ours. */
export function canceled(signal: AbortSignal): RenderError {
  const reason: unknown = signal.reason;
  if (reason instanceof RenderError) return reason;
  return new RenderError('RENDER_CANCELED', 'it was canceled by its caller', { cause: reason });
}
