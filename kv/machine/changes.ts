// What changed, for those who watch: one ChangeSet per revision, and a bounded history from which a watch may go on.
// Not part of the state: members may remember different stretches, and after a restart or a snapshot the history is empty.

import { KvError } from '../errors.js';
import type { ValueType } from './value.js';

export type ChangeKind =
  | 'put' // a new value, or a change of its deadline or lease
  | 'delete'
  | 'expire' // deleted because its time had come
  | 'clear'; // all keys are gone (more than CLEAR_LISTED_MAX of them); `key` is ''

export interface Change {
  readonly kind: ChangeKind;
  readonly key: string;
  /** Of the value after a put, before anything else. */
  readonly type: ValueType;
  /**
   * The string value after a put. Null: deleted, a container, or a large string that is changed in place; read the key
   * if its value is wanted.
   */
  readonly value: string | null;
  /** The string value before; null: there was none, or it is not kept as above. */
  readonly previous: string | null;
  /** The slot's figures after a put, those it had last otherwise. Its version is the change set's revision. */
  readonly createRevision: number;
  readonly writes: number;
  readonly expireAtMs: number;
  readonly lease: number;
}

export interface ChangeSet {
  readonly revision: number;
  /** Log time. */
  readonly timeMs: number;
  /** In the order in which they were made. */
  readonly changes: readonly Change[];
}

export interface ChangeHistoryOptions {
  /** Changes that are remembered. Default 65,536. */
  readonly changesMax?: number;
  /** Bytes of keys and values in them. Default 16 MiB. */
  readonly bytesMax?: number;
}

export class ChangeHistory {
  readonly #changesMax: number;
  readonly #bytesMax: number;
  /** Oldest first from #head on. */
  #sets: ChangeSet[] = [];
  #head = 0;
  #changes = 0;
  #bytes = 0;
  #compactedRevision: number;

  /** `revision`: that of the state; what came before is not known. */
  constructor(revision: number, options: ChangeHistoryOptions = {}) {
    this.#changesMax = options.changesMax ?? 65_536;
    this.#bytesMax = options.bytesMax ?? 16 * 2 ** 20;
    this.#compactedRevision = revision;
  }

  /** Changes up to this revision are not remembered. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  get changes(): number {
    return this.#changes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(set: ChangeSet): void {
    this.#sets.push(set);
    this.#changes += set.changes.length;
    this.#bytes += bytesOf(set);
    while (this.#changes > this.#changesMax || this.#bytes > this.#bytesMax) this.#dropOldest();
    if (this.#head > 1024 && this.#head > this.#sets.length >>> 1) {
      this.#sets = this.#sets.slice(this.#head);
      this.#head = 0;
    }
  }

  /**
   * The change sets after `revision`, oldest first, at most `limit`; empty when there are none.
   * @throws KvError KV_COMPACTED: some of them are no longer remembered.
   */
  after(revision: number, limit = 1000): readonly ChangeSet[] {
    if (revision < this.#compactedRevision) {
      throw new KvError(
        'KV_COMPACTED',
        `changes up to revision ${this.#compactedRevision} are no longer remembered, asked for those after ${revision}`,
      );
    }
    let low = this.#head;
    let high = this.#sets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sets[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#sets.slice(low, low + limit);
  }

  #dropOldest(): void {
    const set = this.#sets[this.#head]!;
    this.#sets[this.#head] = NOTHING;
    this.#head += 1;
    this.#changes -= set.changes.length;
    this.#bytes -= bytesOf(set);
    this.#compactedRevision = set.revision;
  }
}

const NOTHING: ChangeSet = { revision: 0, timeMs: 0, changes: [] };

function bytesOf(set: ChangeSet): number {
  let bytes = 0;
  for (const { key, value, previous } of set.changes) {
    bytes += key.length + (value === null ? 0 : value.length) + (previous === null ? 0 : previous.length);
  }
  return bytes;
}
