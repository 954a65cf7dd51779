// The keys that chaos clients work on: few at a time, so that they meet, and new ones before a key's history grows so
// long that judging it takes long. A key whose operations were lost often is left early for the same reason.

import type { SeededRandom } from '../../support/seeded-random.js';

export type KeyKind = 'register' | 'counter' | 'list';

export interface RingKey {
  readonly name: string;
  readonly kind: KeyKind;
  uses: number;
  lost: number;
}

const SLOTS: Readonly<Record<KeyKind, number>> = { register: 3, counter: 2, list: 2 };
const USES_MAX: Readonly<Record<KeyKind, number>> = { register: 150, counter: 200, list: 60 };
const LOST_MAX = 8;

export class KeyRing {
  readonly #slots: Readonly<Record<KeyKind, RingKey[]>> = { register: [], counter: [], list: [] };
  readonly #all: RingKey[] = [];

  /** A key to use now. */
  pick(kind: KeyKind, random: SeededRandom): RingKey {
    const slot = random.integer(0, SLOTS[kind] - 1);
    let key = this.#slots[kind][slot];
    if (key === undefined || key.uses >= USES_MAX[kind] || key.lost >= LOST_MAX) {
      key = { name: `${kind}-${slot}-${this.#all.length}`, kind, uses: 0, lost: 0 };
      this.#slots[kind][slot] = key;
      this.#all.push(key);
    }
    key.uses += 1;
    return key;
  }

  get all(): readonly RingKey[] {
    return this.#all;
  }
}
