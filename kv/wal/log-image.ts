// What a log says once its records are taken in order: hard state, snapshot, and which entries there are.
// Recovery replays into it, wal.ts keeps one of what is durable and one of what waits. Entries' bytes are not in it. Pure.

import { KvError } from '../errors.js';

export type LogEntryKind = 'normal' | 'noop' | 'config';

/** One entry of the Raft log; the same shape as kv/raft has it. */
export interface LogEntry {
  /** From 1, without gaps. */
  readonly index: number;
  readonly term: number;
  readonly kind: LogEntryKind;
  readonly data: Uint8Array;
}

export interface LogHardState {
  readonly term: number;
  /** null: none in this term. */
  readonly vote: number | null;
  readonly commit: number;
}

export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

/** One append: done as a whole or, after a crash, its records up to some point, in this order. */
export interface LogWrite {
  /** A snapshot that is durable elsewhere. Where the log has another term at its index or ends before it, the log goes on behind it. */
  readonly snapshot?: LogPosition;
  readonly hardState?: LogHardState;
  /** Drops this entry and all behind it. */
  readonly truncateFrom?: number;
  /** Follow the log's end, or replace what is at their indexes and all behind. */
  readonly entries?: readonly LogEntry[];
}

export class LogImage {
  hardState: LogHardState = { term: 0, vote: null, commit: 0 };
  snapshot: LogPosition = { index: 0, term: 0 };
  /** The entry before the first one; its term is null when it is not known any more. */
  #base: { readonly index: number; readonly term: number | null } = { index: 0, term: 0 };
  #lastIndex = 0;
  /** Ascending; from each `from` up to the next one the term is `term`. */
  #runs: { readonly from: number; readonly term: number }[] = [];

  get base(): { readonly index: number; readonly term: number | null } {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** null when it is not known: the entry before the first one, after a cut below it. */
  get lastTerm(): number | null {
    return this.#runs.at(-1)?.term ?? this.#base.term;
  }

  clone(): LogImage {
    const copy = new LogImage();
    copy.hardState = this.hardState;
    copy.snapshot = this.snapshot;
    copy.#base = this.#base;
    copy.#lastIndex = this.#lastIndex;
    copy.#runs = [...this.#runs];
    return copy;
  }

  /** An empty log behind `index`. */
  reset(index: number, term: number | null): void {
    this.#base = { index, term };
    this.#lastIndex = index;
    this.#runs = [];
  }

  /** null when there is no such entry or its term is not known. */
  termAt(index: number): number | null {
    if (index === this.#base.index) return this.#base.term;
    if (index < this.#base.index || index > this.#lastIndex) return null;
    return this.#runs.findLast((run) => run.from <= index)?.term ?? null;
  }

  /** Takes an entry: behind the last one, or in place of one and all behind it. */
  append(index: number, term: number): void {
    if (index <= this.#lastIndex) this.truncateFrom(index);
    if (this.#runs.at(-1)?.term !== term) this.#runs.push({ from: index, term });
    this.#lastIndex = index;
  }

  truncateFrom(index: number): void {
    if (index > this.#lastIndex) return;
    if (index <= this.#base.index) {
      // Entries up to the base went with a compaction, so a snapshot holds them; their terms are gone.
      this.reset(index - 1, null);
      return;
    }
    while (this.#runs.length > 0 && this.#runs.at(-1)!.from >= index) this.#runs.pop();
    this.#lastIndex = index - 1;
  }

  /** True when the log could stay, false when it now begins behind the snapshot. */
  setSnapshot(snapshot: LogPosition): boolean {
    if (snapshot.index < this.snapshot.index) return true; // an older one changes nothing
    this.snapshot = snapshot;
    if (this.termAt(snapshot.index) === snapshot.term) return true;
    // Below the base there is nothing that could contradict the snapshot.
    if (snapshot.index < this.#base.index) return true;
    if (snapshot.index === this.#base.index && this.#base.term === null) {
      this.#base = { index: snapshot.index, term: snapshot.term };
      return true;
    }
    this.reset(snapshot.index, snapshot.term);
    return false;
  }

  /** Takes a whole write. @throws KvError KV_LOG_ORDER: it does not fit; the image is then half changed. */
  apply(write: LogWrite): void {
    if (write.snapshot !== undefined) this.setSnapshot(write.snapshot);
    if (write.hardState !== undefined) {
      const { term } = write.hardState;
      if (term < this.hardState.term) {
        throw new KvError('KV_LOG_ORDER', `term ${term} after term ${this.hardState.term}`);
      }
      this.hardState = write.hardState;
    }
    if (write.truncateFrom !== undefined) {
      this.#checkReplaceable(write.truncateFrom);
      this.truncateFrom(write.truncateFrom);
    }
    let next: number | null = null;
    for (const { index, term } of write.entries ?? []) {
      if (next === null) this.#checkReplaceable(index);
      else if (index !== next)
        throw new KvError('KV_LOG_ORDER', `entry ${index} where ${next} should follow`);
      if (index > this.#lastIndex + 1) {
        throw new KvError('KV_LOG_ORDER', `entry ${index} leaves a gap behind ${this.#lastIndex}`);
      }
      this.append(index, term);
      next = index + 1;
    }
  }

  #checkReplaceable(index: number): void {
    if (!Number.isSafeInteger(index) || index < 1 || index <= this.snapshot.index) {
      throw new KvError('KV_LOG_ORDER', `entry ${index} is within the snapshot up to ${this.snapshot.index}`);
    }
  }
}
