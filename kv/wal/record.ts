// One record of the log as bytes; docs/kv-storage.md describes the layout for readers in other languages.
// segment.ts finds records and judges bad ones; wal.ts writes them. Pure.
//
// Little-endian: headerCrc u32 | payloadCrc u32 | payloadBytes u32 | batchStart u32 | index u64 | term u64 | zero u32 |
// zero u16 | type u8 | kind u8 | payload | zeros up to 8 k - 1 | 0x5a. The last byte of header and record is never zero:
// where it is, the end was not written.

import { crc32c } from './crc32c.js';

export const RECORD_HEADER_BYTES = 40;
/** Last byte of every record. */
const END_MARK = 0x5a;

/**
 * What a record is: the head of a segment, hard state, an entry, a cut of the log's end, a snapshot, a clean end.
 * Several bits each, so that one flipped bit does not make the zero of space that was never written.
 */
export const KIND = {
  head: 0x51,
  hardState: 0x52,
  entry: 0x53,
  truncate: 0x54,
  snapshot: 0x55,
  closed: 0x56,
} as const;

export interface RecordHeader {
  readonly kind: number;
  /** Of an entry: its kind. */
  readonly type: number;
  readonly index: number;
  readonly term: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
  /** Offset in the segment before which everything was durable when this record was written. */
  readonly batchStart: number;
}

export interface RecordContent {
  readonly kind: number;
  readonly type?: number;
  readonly index: number;
  readonly term: number;
  readonly payload: Uint8Array;
}

/** Bytes of a record with its header, padding and end mark; a multiple of 8. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + ((payloadBytes + 8) & ~7);
}

/** Writes a record at `at` and gives the offset behind it. `salt` is the segment's sequence number. */
export function encodeRecord(
  target: Buffer,
  at: number,
  record: RecordContent,
  batchStart: number,
  salt: number,
): number {
  const { payload } = record;
  const end = at + recordBytes(payload.byteLength);
  const payloadStart = at + RECORD_HEADER_BYTES;
  target.set(payload, payloadStart);
  target.fill(0, payloadStart + payload.byteLength, end - 1);
  target[end - 1] = END_MARK;
  target.writeUInt32LE(crc32c(target, payloadStart, end), at + 4);
  target.writeUInt32LE(payload.byteLength, at + 8);
  target.writeUInt32LE(batchStart, at + 12);
  writeU64(target, record.index, at + 16);
  writeU64(target, record.term, at + 24);
  target.writeUInt32LE(0, at + 32);
  target.writeUInt16LE(0, at + 36);
  target[at + 38] = record.type ?? 0;
  target[at + 39] = record.kind;
  target.writeUInt32LE(crc32c(target, at + 4, payloadStart, salt >>> 0), at);
  return end;
}

/** The header at `at`, or null when the bytes there are none of this segment. */
export function decodeHeader(bytes: Buffer, at: number, salt: number): RecordHeader | null {
  if (at + RECORD_HEADER_BYTES > bytes.length) return null;
  const kind = bytes[at + 39]!;
  if (kind < KIND.head || kind > KIND.closed) return null;
  if (bytes.readUInt32LE(at) !== crc32c(bytes, at + 4, at + RECORD_HEADER_BYTES, salt >>> 0)) return null;
  return {
    kind,
    type: bytes[at + 38]!,
    index: readU64(bytes, at + 16),
    term: readU64(bytes, at + 24),
    payloadBytes: bytes.readUInt32LE(at + 8),
    payloadCrc: bytes.readUInt32LE(at + 4),
    batchStart: bytes.readUInt32LE(at + 12),
  };
}

/** Whether the record that `header` at `at` begins is whole and as it was written. */
export function isRecordWhole(bytes: Buffer, at: number, header: RecordHeader): boolean {
  const end = at + recordBytes(header.payloadBytes);
  return end <= bytes.length && crc32c(bytes, at + RECORD_HEADER_BYTES, end) === header.payloadCrc;
}

/** `value` is a whole number up to 2^53 - 1. */
export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % 4_294_967_296, at);
  target.writeUInt32LE(Math.floor(value / 4_294_967_296), at + 4);
}

export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 4_294_967_296;
}
