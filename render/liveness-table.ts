// Who still beats. A key has so many lives, loses one at each tick and has them all back with a beat; without lives it is
// gone, and told to the caller once.
// Pure: the caller ticks and says what time it is. A tick that comes a whole interval late takes no lives, because then it
// was we who slept, and the beats of that time wait unread.

import { RenderError } from './errors.js';

export interface LivenessOptions {
  /** Ticks in silence that a key survives, plus one. Default 3: dead after 2 to 3 intervals. */
  readonly lives?: number;
  /** Time between ticks, in ms. Default 1,000. */
  readonly intervalMs?: number;
}

export class LivenessTable<K> {
  readonly lives: number;
  readonly intervalMs: number;
  readonly #left = new Map<K, number>();
  #tickedAt: number | null = null;
  #ticksSkipped = 0;

  constructor(options: LivenessOptions = {}) {
    this.lives = options.lives ?? 3;
    this.intervalMs = options.intervalMs ?? 1000;
    if (!Number.isInteger(this.lives) || this.lives < 2) {
      throw new RenderError(
        'RENDER_OPTION_INVALID',
        `lives: ${this.lives} would end who beats in time; 2 or more`,
      );
    }
    if (!(this.intervalMs > 0))
      throw new RenderError('RENDER_OPTION_INVALID', `intervalMs: ${this.intervalMs} is no time`);
  }

  add(key: K): void {
    this.#left.set(key, this.lives);
  }

  /** False when the key is not, or not any more, in the table: its owner has to register again. */
  beat(key: K): boolean {
    if (!this.#left.has(key)) return false;
    this.#left.set(key, this.lives);
    return true;
  }

  remove(key: K): boolean {
    return this.#left.delete(key);
  }

  has(key: K): boolean {
    return this.#left.has(key);
  }

  /** One interval has passed. Returns who died of it; they are out of the table already. */
  tick(now: number): K[] {
    const late = this.#tickedAt !== null && now - this.#tickedAt >= 2 * this.intervalMs;
    this.#tickedAt = now;
    if (late) {
      this.#ticksSkipped += 1;
      return [];
    }
    const dead: K[] = [];
    for (const [key, left] of this.#left) {
      if (left > 1) this.#left.set(key, left - 1);
      else dead.push(key);
    }
    for (const key of dead) this.#left.delete(key);
    return dead;
  }

  get size(): number {
    return this.#left.size;
  }

  /** Ticks that came so late that they took no lives. */
  get ticksSkipped(): number {
    return this.#ticksSkipped;
  }
}
