// Guards a list of instances against answers that are too bad to be true: suddenly empty, or most of it gone.
// The DNS resolver and the registry client offer it every answer and use what it gives back. Pure: time comes in.
// What it holds back must be said again before it is believed; what is new is believed at once.

import type { Instance } from '../instance.js';
import { invalid } from './instance-list.js';

export interface KeepLastKnownOptions {
  /** Answers in a row that must say so before a list is emptied or decimated; 1: no guard. Default 2. */
  answersMin?: number;
  /** Time that must have passed between the first and the last of them, in ms. Default 0. */
  holdMs?: number;
  /** Share of the known instances that may go in one answer without a second one, 0 to 1; 1: any. Default 0.5. */
  removedShareMax?: number;
  /** Lists shorter than this may lose any share, but not all. Default 4. */
  removedShareFrom?: number;
}

export interface KeptList {
  /** What to go by now. */
  readonly instances: readonly Instance[];
  /** Instances that are kept although the answer did not have them; 0: the answer was taken as it is. */
  readonly heldBack: number;
}

const DEFAULTS: Required<KeepLastKnownOptions> = {
  answersMin: 2,
  holdMs: 0,
  removedShareMax: 0.5,
  removedShareFrom: 4,
};

export class KeepLastKnown {
  readonly #options: Required<KeepLastKnownOptions>;
  #known: readonly Instance[] = [];
  /** Answers in a row that were too bad to be true, and when the first of them came. */
  #doubted: number = 0;
  #doubtedSinceMs: number = 0;

  /** @throws RpcError RPC_OPTION_INVALID */
  constructor(options: KeepLastKnownOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    const { answersMin, holdMs, removedShareMax } = this.#options;
    if (!(Number.isInteger(answersMin) && answersMin >= 1))
      throw invalid('answersMin must be a whole number, 1 or more');
    if (!(holdMs >= 0)) throw invalid('holdMs must be a number of ms, 0 or more');
    if (!(removedShareMax >= 0 && removedShareMax <= 1))
      throw invalid('removedShareMax must be a number from 0 to 1');
  }

  /** The list to go by: the last one that `offer` gave. */
  get instances(): readonly Instance[] {
    return this.#known;
  }

  /** An answer is being held back: ask again soon. */
  get isHolding(): boolean {
    return this.#doubted > 0;
  }

  /** Takes one answer. `answer` belongs to this from here on. */
  offer(answer: readonly Instance[], nowMs: number): KeptList {
    const offered = new Set(answer.map(({ id }) => id));
    const missing = this.#known.filter(({ id }) => !offered.has(id));
    if (!this.#isDoubtful(answer.length, missing.length) || this.#isConfirmed(nowMs)) {
      this.#doubted = 0;
      this.#known = answer;
      return { instances: answer, heldBack: 0 };
    }
    this.#known = [...answer, ...missing];
    return { instances: this.#known, heldBack: missing.length };
  }

  #isDoubtful(answered: number, missing: number): boolean {
    if (missing === 0) return false;
    if (answered === 0) return true;
    const { removedShareMax, removedShareFrom } = this.#options;
    return this.#known.length >= removedShareFrom && missing / this.#known.length > removedShareMax;
  }

  #isConfirmed(nowMs: number): boolean {
    if (this.#doubted === 0) this.#doubtedSinceMs = nowMs;
    this.#doubted += 1;
    return this.#doubted >= this.#options.answersMin && nowMs - this.#doubtedSinceMs >= this.#options.holdMs;
  }
}
