// The configurations a member's log holds, oldest first, behind the one of its snapshot. The newest is in force whether
// it is committed or not (Raft 4.1 of the thesis), so truncation brings an older one back.

import type { Entry } from './entry.js';
import { assert } from './errors.js';
import { decodeMembership, type Membership } from './membership.js';

export interface ConfigAt {
  readonly index: number;
  readonly membership: Membership;
}

export class ConfigHistory {
  /** Never empty; the first is at or before everything that is asked for. */
  #configs: ConfigAt[];

  constructor(first: ConfigAt) {
    this.#configs = [first];
  }

  get latest(): ConfigAt {
    return this.#configs.at(-1)!; // never empty
  }

  at(index: number): ConfigAt {
    return this.#configs.findLast((config) => config.index <= index) ?? this.#configs[0]!; // never empty
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'config') continue;
      assert(entry.index > this.latest.index, 'configurations are in order');
      this.#configs.push({ index: entry.index, membership: decodeMembership(entry.data) });
    }
  }

  truncateFrom(index: number): void {
    while (this.#configs.length > 1 && this.latest.index >= index) this.#configs.pop();
  }

  /** A snapshot at `index` was taken: what was in force there is the first from now on. */
  compactTo(index: number): void {
    const kept = this.#configs.findLastIndex((config) => config.index <= index);
    if (kept > 0) this.#configs = this.#configs.slice(kept);
  }
}
