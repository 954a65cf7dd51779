// How long ago a registry last confirmed a list, and the moment at which that is too long.
// resolver.ts tells it of every confirmation.

import type { Clock } from './clock.js';

export class ListAge {
  readonly #clock: Clock;
  readonly #ageMsMax: number | null;
  readonly #onTooOld: () => void;
  #confirmedMs: number | null = null;
  #cancel: () => void = () => {};
  #isTooOld = false;

  /** @param ageMsMax null: a list is never too old */
  constructor(clock: Clock, ageMsMax: number | null, onTooOld: () => void) {
    this.#clock = clock;
    this.#ageMsMax = ageMsMax;
    this.#onTooOld = onTooOld;
  }

  /** Null when nobody has ever confirmed it. */
  get ageMs(): number | null {
    return this.#confirmedMs === null ? null : this.#clock.nowMs() - this.#confirmedMs;
  }

  get isTooOld(): boolean {
    return this.#isTooOld;
  }

  confirm(): void {
    this.#confirmedMs = this.#clock.nowMs();
    this.#isTooOld = false;
    this.#cancel();
    if (this.#ageMsMax === null) return;
    this.#cancel = this.#clock.after(this.#ageMsMax, () => {
      this.#isTooOld = true;
      this.#onTooOld();
    });
  }

  close(): void {
    this.#cancel();
  }
}
