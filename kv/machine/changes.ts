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
  /** Changes that are remembered. Default 65,536. 0: none, and none are told of. */
  readonly changesMax?: number;
  /** Bytes of keys and values in them. Default 16 MiB. */
  readonly bytesMax?: number;
}

const PLACES_FIRST = 64;

/**
 * A ring of columns, not of objects: every write of every member passes here, and objects that live just long enough to
 * be moved twice by the collector cost more than the write itself (docs/kv-machine.md).
 */
export class ChangeHistory {
  readonly #changesMax: number;
  readonly #bytesMax: number;
  /** Positions count up for ever; a place is a position modulo the number of places, a power of two. */
  #first = 0;
  /** Where changes begin that have no revision yet. */
  #open = 0;
  #end = 0;
  #bytes = 0;
  #compactedRevision: number;
  #mask = PLACES_FIRST - 1;
  #revisions = new Float64Array(PLACES_FIRST);
  #times = new Float64Array(PLACES_FIRST);
  #creates = new Float64Array(PLACES_FIRST);
  #writes = new Float64Array(PLACES_FIRST);
  #deadlines = new Float64Array(PLACES_FIRST);
  #leases = new Float64Array(PLACES_FIRST);
  #kinds: ChangeKind[] = filled<ChangeKind>(PLACES_FIRST, 'put');
  #types: ValueType[] = filled<ValueType>(PLACES_FIRST, 'string');
  #keys: string[] = filled(PLACES_FIRST, '');
  #values: (string | null)[] = filled<string | null>(PLACES_FIRST, null);
  #previous: (string | null)[] = filled<string | null>(PLACES_FIRST, null);

  /** `revision`: that of the state; what came before is not known. */
  constructor(revision = 0, options: ChangeHistoryOptions = {}) {
    this.#changesMax = options.changesMax ?? 65_536;
    this.#bytesMax = options.bytesMax ?? 16 * 2 ** 20;
    this.#compactedRevision = revision;
  }

  /** False: nothing needs to be recorded. */
  get isOn(): boolean {
    return this.#changesMax > 0;
  }

  /** Changes up to this revision are not remembered. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  get changes(): number {
    return this.#end - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
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
    const sets: ChangeSet[] = [];
    for (let at = this.#firstAfter(revision); at < this.#open && sets.length < limit; ) {
      const set = this.#setAt(at);
      sets.push(set);
      at += set.changes.length;
    }
    return sets;
  }

  /** Whether the key was changed after `revision`; also true where that is not remembered any more. */
  mayHaveChanged(key: string, revision: number): boolean {
    if (revision < this.#compactedRevision) return true;
    for (let at = this.#firstAfter(revision); at < this.#open; at += 1) {
      const place = at & this.#mask;
      if (this.#keys[place] === key || this.#kinds[place] === 'clear') return true;
    }
    return false;
  }

  /** The change set that was sealed last, if trim() was not called since. */
  latest(): ChangeSet {
    const revision = this.#revisions[(this.#open - 1) & this.#mask]!;
    let at = this.#open - 1;
    while (at > this.#first && this.#revisions[(at - 1) & this.#mask] === revision) at -= 1;
    return this.#setAt(at);
  }

  // For the keyspace and the machine.

  /** Begins anew behind a revision, as after a snapshot. */
  restart(revision: number): void {
    this.#compactedRevision = revision;
  }

  /** Notes a change of the command that runs. A put right after a put of the same key takes its place. */
  record(
    kind: ChangeKind,
    key: string,
    type: ValueType,
    value: string | null,
    previous: string | null,
    createRevision: number,
    writes: number,
    expireAtMs: number,
    lease: number,
  ): void {
    let place = (this.#end - 1) & this.#mask;
    if (
      kind === 'put' &&
      this.#end > this.#open &&
      this.#keys[place] === key &&
      this.#kinds[place] === 'put'
    ) {
      this.#bytes += lengthOf(value) - lengthOf(this.#values[place]!);
    } else {
      if (this.#end - this.#first > this.#mask) this.#grow();
      place = this.#end & this.#mask;
      this.#end += 1;
      this.#bytes += key.length + lengthOf(value) + lengthOf(previous);
      this.#kinds[place] = kind;
      this.#keys[place] = key;
      this.#previous[place] = previous;
    }
    this.#types[place] = type;
    this.#values[place] = value;
    this.#creates[place] = createRevision;
    this.#writes[place] = writes;
    this.#deadlines[place] = expireAtMs;
    this.#leases[place] = lease;
  }

  /** The keys are all gone: takes the place of what the command that runs has done before. */
  recordClear(): void {
    while (this.#end > this.#open) {
      this.#end -= 1;
      this.#forget(this.#end & this.#mask);
    }
    this.record('clear', '', 'string', null, null, 0, 0, 0, 0);
  }

  /** Ends a command: what was noted since the last time becomes one revision. */
  seal(revision: number, timeMs: number): void {
    for (; this.#open < this.#end; this.#open += 1) {
      const place = this.#open & this.#mask;
      this.#revisions[place] = revision;
      this.#times[place] = timeMs;
    }
  }

  /** Forgets the oldest beyond the bounds. A command's own changes are whole until this is called. */
  trim(): void {
    while (this.#first < this.#open && (this.changes > this.#changesMax || this.#bytes > this.#bytesMax)) {
      const place = this.#first & this.#mask;
      this.#compactedRevision = this.#revisions[place]!;
      this.#forget(place);
      this.#first += 1;
    }
  }

  #firstAfter(revision: number): number {
    let low = this.#first;
    let high = this.#open;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#revisions[middle & this.#mask]! <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #setAt(first: number): ChangeSet {
    const place = first & this.#mask;
    const revision = this.#revisions[place]!;
    const changes: Change[] = [];
    for (let at = first; at < this.#open && this.#revisions[at & this.#mask] === revision; at += 1) {
      changes.push(this.#changeAt(at & this.#mask));
    }
    return { revision, timeMs: this.#times[place]!, changes };
  }

  #changeAt(place: number): Change {
    return {
      kind: this.#kinds[place]!,
      key: this.#keys[place]!,
      type: this.#types[place]!,
      value: this.#values[place]!,
      previous: this.#previous[place]!,
      createRevision: this.#creates[place]!,
      writes: this.#writes[place]!,
      expireAtMs: this.#deadlines[place]!,
      lease: this.#leases[place]!,
    };
  }

  #forget(place: number): void {
    const value = this.#values[place]!;
    const previous = this.#previous[place]!;
    this.#bytes -= this.#keys[place]!.length + lengthOf(value) + lengthOf(previous);
    this.#keys[place] = '';
    this.#values[place] = null;
    this.#previous[place] = null;
  }

  /** Twice the places. One command with very many changes may make more than changesMax of them. */
  #grow(): void {
    const from = this.#mask + 1;
    const order = (at: number): number => at & (from - 1);
    const { numbers, lists } = this.#columns();
    const [revisions, times, creates, writes, deadlines, leases] = numbers.map((column) => {
      const grown = new Float64Array(2 * from);
      for (let at = this.#first; at < this.#end; at += 1) grown[at & (2 * from - 1)] = column[order(at)]!;
      return grown;
    });
    this.#revisions = revisions!;
    this.#times = times!;
    this.#creates = creates!;
    this.#writes = writes!;
    this.#deadlines = deadlines!;
    this.#leases = leases!;
    for (const column of lists) {
      const old = column.slice();
      const spare = old[0]!;
      for (let index = 0; index < from; index += 1) column.push(spare);
      for (let at = this.#first; at < this.#end; at += 1) column[at & (2 * from - 1)] = old[order(at)]!;
    }
    this.#mask = 2 * from - 1;
  }

  #columns(): { numbers: Float64Array[]; lists: unknown[][] } {
    return {
      numbers: [this.#revisions, this.#times, this.#creates, this.#writes, this.#deadlines, this.#leases],
      lists: [this.#kinds, this.#types, this.#keys, this.#values, this.#previous],
    };
  }
}

function filled<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

function lengthOf(text: string | null): number {
  return text === null ? 0 : text.length;
}
