// The entries of an append as bytes, made once for all the members that are sent the same ones.
// message-codec.ts asks for them. A leader sends each run to its followers one right after the other, so few are kept.
// Per entry: u64 term | u8 kind | 3 zero | u32 bytes | data. Their indexes follow from the append's prevIndex.

import type { Entry, EntryKind } from '../raft/index.js';
import { writeU64 } from '../wal/record.js';

export const ENTRY_HEAD_BYTES = 16;
export const ENTRY_KIND_CODES: readonly EntryKind[] = ['normal', 'noop', 'config'];

const KEPT = 4;

interface Run {
  readonly first: Entry;
  readonly last: Entry;
  readonly count: number;
  readonly bytes: Buffer;
}

export class EntryRuns {
  #kept: Run[] = [];

  /** Not to be changed: others may hold the same. */
  encode(entries: readonly Entry[]): Buffer {
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return Buffer.alloc(0);
    const found = this.#kept.find(
      (run) => run.first === first && run.last === last && run.count === entries.length,
    );
    if (found !== undefined) return found.bytes;
    const bytes = encodeRun(entries);
    this.#kept = [{ first, last, count: entries.length, bytes }, ...this.#kept.slice(0, KEPT - 1)];
    return bytes;
  }
}

function encodeRun(entries: readonly Entry[]): Buffer {
  let size = 0;
  for (const { data } of entries) size += ENTRY_HEAD_BYTES + data.byteLength;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { term, kind, data } of entries) {
    writeU64(bytes, term, at);
    bytes.writeUInt32LE(ENTRY_KIND_CODES.indexOf(kind), at + 8); // the kind and three zeros
    bytes.writeUInt32LE(data.byteLength, at + 12);
    bytes.set(data, at + ENTRY_HEAD_BYTES);
    at += ENTRY_HEAD_BYTES + data.byteLength;
  }
  return bytes;
}
