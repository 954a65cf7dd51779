// What the keyspace keeps for a key. Small, for there are millions: deadline and lease share one object that most keys
// do not have.

import type { Container, Value } from './value.js';

/** Deadline and lease of a key. Replaced, never changed. */
export interface Terms {
  readonly expireAtMs: number;
  readonly lease: number;
}

export class Slot {
  /** Read it; only the keyspace and the commands it lent the value to change it. */
  value: Value;
  /** The revision of the last change. */
  version: number;
  /** The revision in which the key came to be. */
  createRevision: number;
  /** Changes of the value since then, the first one included. */
  writes: number;
  terms: Terms | null;

  constructor(value: Value, version: number, createRevision: number, writes: number, terms: Terms | null) {
    this.value = value;
    this.version = version;
    this.createRevision = createRevision;
    this.writes = writes;
    this.terms = terms;
  }

  /** Log time at which the key goes; 0: never. */
  get expireAtMs(): number {
    return this.terms === null ? 0 : this.terms.expireAtMs;
  }

  /** The lease that the key goes with; 0: none. */
  get lease(): number {
    return this.terms === null ? 0 : this.terms.lease;
  }
}

export function termsOf(expireAtMs: number, lease: number): Terms | null {
  return expireAtMs === 0 && lease === 0 ? null : { expireAtMs, lease };
}

export function isContainer(value: Value): value is Container {
  return typeof value === 'object' && !Buffer.isBuffer(value);
}
