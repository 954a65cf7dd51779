// Turns appends into the bytes of a batch. wal.ts decides what goes into one. Pure.

import type { LogEntry, LogWrite } from './log-image.js';
import { encodeRecord, KIND, type RecordContent, recordBytes, writeU64 } from './record.js';
import { ENTRY_KINDS } from './recovery.js';

const NOTHING = new Uint8Array(0);

/** Bytes of the write's records. */
export function writeBytes(write: LogWrite): number {
  let bytes = 0;
  if (write.snapshot !== undefined) bytes += recordBytes(0);
  if (write.hardState !== undefined) bytes += recordBytes(8);
  if (write.truncateFrom !== undefined) bytes += recordBytes(0);
  for (const { data } of write.entries ?? []) bytes += recordBytes(data.byteLength);
  return bytes;
}

/** Highest index of its entries; 0 for none. */
export function writeIndexMax(write: LogWrite): number {
  return write.entries?.at(-1)?.index ?? 0;
}

/** The records of `writes`, to be put at `position` of the segment `sequence`. */
export function encodeBatch(writes: readonly LogWrite[], position: number, sequence: number): Buffer {
  const records = writes.flatMap(recordsOf);
  const bytes = Buffer.allocUnsafe(
    records.reduce((sum, { payload }) => sum + recordBytes(payload.byteLength), 0),
  );
  let at = 0;
  for (const record of records) at = encodeRecord(bytes, at, record, position, sequence);
  return bytes;
}

/** The record that a clean end writes: what is before it is known to have been durable. */
export function encodeClosed(position: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(recordBytes(0));
  encodeRecord(bytes, 0, { kind: KIND.closed, index: 0, term: 0, payload: NOTHING }, position, sequence);
  return bytes;
}

/** In the order in which a crash may keep some and lose the rest: never entries of a term without the term. */
function recordsOf({ snapshot, hardState, truncateFrom, entries }: LogWrite): RecordContent[] {
  const records: RecordContent[] = [];
  if (snapshot !== undefined) records.push({ kind: KIND.snapshot, ...snapshot, payload: NOTHING });
  if (hardState !== undefined) {
    const { term, vote, commit } = hardState;
    const payload = Buffer.alloc(8);
    writeU64(payload, vote ?? 0, 0);
    records.push({ kind: KIND.hardState, type: vote === null ? 0 : 1, index: commit, term, payload });
  }
  if (truncateFrom !== undefined) {
    records.push({ kind: KIND.truncate, index: truncateFrom, term: 0, payload: NOTHING });
  }
  for (const entry of entries ?? []) records.push(entryRecord(entry));
  return records;
}

function entryRecord({ index, term, kind, data }: LogEntry): RecordContent {
  return { kind: KIND.entry, type: ENTRY_KINDS.indexOf(kind), index, term, payload: data };
}
