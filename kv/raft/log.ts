// The entries a member holds in memory: from behind the last compaction to the newest. core.ts alone changes it.
// Knows nothing of disks: what of it is durable is write-queue.ts's business. Terms never fall along the log, so a term
// is found by halving.

import { type Entry, entryBytes } from './entry.js';
import { assert } from './errors.js';

export class RaftLog {
  /** The entry before the first one held: its index and term stay known. */
  #offset: number;
  #offsetTerm: number;
  #entries: Entry[] = [];
  #byteCount = 0;

  constructor(offset: number, offsetTerm: number) {
    this.#offset = offset;
    this.#offsetTerm = offsetTerm;
  }

  get offset(): number {
    return this.#offset;
  }

  get offsetTerm(): number {
    return this.#offsetTerm;
  }

  get lastIndex(): number {
    return this.#offset + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#offsetTerm;
  }

  /** Data and overhead of everything held. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Undefined outside of what is known: before the offset and behind the last entry. */
  termAt(index: number): number | undefined {
    if (index === this.#offset) return this.#offsetTerm;
    return this.#entries[index - this.#offset - 1]?.term;
  }

  entryAt(index: number): Entry | undefined {
    return this.#entries[index - this.#offset - 1];
  }

  matches(index: number, term: number): boolean {
    return this.termAt(index) === term;
  }

  /** From `from` to `to`, both included, as many as fit into `bytesMax`, but at least one if there is one. */
  slice(from: number, to: number, bytesMax: number): Entry[] {
    const first = from - this.#offset - 1;
    const end = Math.min(to - this.#offset, this.#entries.length);
    assert(first >= 0, 'entries are asked for behind the offset');
    let bytes = 0;
    let at = first;
    for (; at < end; at += 1) {
      bytes += entryBytes(this.#entries[at]!); // below length
      if (bytes > bytesMax && at > first) break;
    }
    return this.#entries.slice(first, at);
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, 'entries have no gap');
      assert(entry.term >= this.lastTerm, 'terms never fall along the log');
      this.#entries.push(entry);
      this.#byteCount += entryBytes(entry);
    }
  }

  /** Drops `from` and everything behind it. */
  truncateFrom(from: number): void {
    assert(from > this.#offset, 'what was compacted cannot be truncated');
    this.#forget(this.#entries.splice(from - this.#offset - 1));
  }

  /** Forgets everything up to and including `index`, which must be held or the offset. */
  compactTo(index: number): void {
    const term = this.termAt(index);
    assert(term !== undefined, 'compaction ends at a known entry');
    this.#forget(this.#entries.slice(0, index - this.#offset));
    this.#entries = this.#entries.slice(index - this.#offset); // a copy: what was dropped is not kept alive
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** Forgets everything: the log goes on behind a snapshot. */
  reset(index: number, term: number): void {
    this.#entries = [];
    this.#byteCount = 0;
    this.#offset = index;
    this.#offsetTerm = term;
  }

  /** The last index up to `to` whose term is at most `term`; at least the offset. */
  lastIndexUpToTerm(term: number, to: number): number {
    let low = this.#offset;
    let high = Math.min(to, this.lastIndex);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.termAt(middle)! <= term)
        low = middle; // between offset and last
      else high = middle - 1;
    }
    return Math.max(low, this.#offset);
  }

  bytesBehind(index: number): number {
    let bytes = 0;
    for (let at = Math.max(index - this.#offset, 0); at < this.#entries.length; at += 1) {
      bytes += entryBytes(this.#entries[at]!); // below length
    }
    return bytes;
  }

  #forget(entries: readonly Entry[]): void {
    for (const entry of entries) this.#byteCount -= entryBytes(entry);
  }
}
