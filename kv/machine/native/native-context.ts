// What native commands work on: the keys, and what hangs on them. native-executor.ts makes one.

import type { Keyspace } from '../keyspace.js';
import type { Counters } from './counters.js';
import type { Leases } from './leases.js';
import { RESULT_BYTES_MAX, VISITS_MAX } from './native-limits.js';

/** How many keys may still be looked at, and bytes of keys and values be answered. Shared by all parts of a transaction. */
export class ResultBudget {
  #left: number = RESULT_BYTES_MAX;
  #visits: number = VISITS_MAX;

  /** False when no further key may be looked at. */
  visit(): boolean {
    if (this.#visits === 0) return false;
    this.#visits -= 1;
    return true;
  }

  /** False when there is no room any more. What comes first always has room. */
  take(bytes: number): boolean {
    if (bytes > this.#left && this.#left < RESULT_BYTES_MAX) return false;
    this.#left -= bytes;
    return true;
  }
}

export interface NativeContext {
  readonly keyspace: Keyspace;
  readonly leases: Leases;
  readonly counters: Counters;
  /** Log time. */
  readonly nowMs: number;
  readonly budget: ResultBudget;
}
