// One segment file: its name, its head, and the reading of it, with the judgement of a bad record: torn or damaged.
// recovery.ts reads a folder with it. Pure: bytes in, records out.
//
// A record that a crash tore belongs to the last batch, which was never acknowledged, and is cut off. A record is taken
// for torn only if (a) no later record of the segment says that it was durable (batchStart), and (b) it looks it: the file
// ends within it, its last byte is zero, or a 512-byte sector of it is all zero, as preallocated space is.

import { KvError } from '../errors.js';
import type { LogHardState, LogPosition } from './log-image.js';
import {
  decodeHeader,
  encodeRecord,
  isRecordWhole,
  KIND,
  RECORD_HEADER_BYTES,
  readU64,
  recordBytes,
  type RecordHeader,
  writeU64,
} from './record.js';
import { WAL_RULES, type WalRules } from './wal-rules.js';

const MAGIC = 'RNKVWAL1';
const FORMAT_VERSION = 1;
const HEAD_PAYLOAD_BYTES = 104;
export const SEGMENT_HEAD_BYTES: number = recordBytes(HEAD_PAYLOAD_BYTES);
const SECTOR_BYTES = 512;

/** Whose log it is; a segment of another is refused. Whole numbers up to 2^53 - 1. */
export interface LogOwner {
  readonly clusterId: number;
  readonly memberId: number;
}

/** First record of a segment: who, which, and what the log said when the segment began, so that older ones can go. */
export interface SegmentHead extends LogOwner {
  readonly sequence: number;
  /** Index that the next new entry has; also in the file's name. */
  readonly firstIndex: number;
  /** Term of the entry before it; null when not known. */
  readonly previousTerm: number | null;
  readonly hardState: LogHardState;
  readonly snapshot: LogPosition;
}

export interface SegmentRecord extends RecordHeader {
  readonly at: number;
}

export interface ParsedSegment {
  readonly head: SegmentHead;
  /** Without the head. */
  readonly records: readonly SegmentRecord[];
  /** Offset behind the last good record. */
  readonly end: number;
  /** Where the last batch begins. */
  readonly lastBatchStart: number;
  /** The segment does not end in untouched space: what is behind `end` must be wiped before anything is written there. */
  readonly torn: boolean;
}

export function segmentName(sequence: number, firstIndex: number): string {
  return `${String(sequence).padStart(10, '0')}-${String(firstIndex).padStart(16, '0')}.wal`;
}

export function parseSegmentName(name: string): { sequence: number; firstIndex: number } | null {
  const match = /^(\d{10,16})-(\d{16})\.wal$/.exec(name);
  return match === null ? null : { sequence: Number(match[1]), firstIndex: Number(match[2]) };
}

export function encodeSegmentHead(head: SegmentHead): Buffer {
  const payload = Buffer.alloc(HEAD_PAYLOAD_BYTES);
  payload.write(MAGIC, 0, 'latin1');
  payload.writeUInt32LE(FORMAT_VERSION, 8);
  const numbers = [
    head.sequence,
    head.clusterId,
    head.memberId,
    head.firstIndex,
    head.previousTerm ?? 0,
    head.hardState.term,
    head.hardState.vote ?? 0,
    head.hardState.commit,
    head.snapshot.index,
    head.snapshot.term,
  ];
  for (const [place, number] of numbers.entries()) writeU64(payload, number, 16 + place * 8);
  payload[96] = head.previousTerm === null ? 1 : 0;
  payload[97] = head.hardState.vote === null ? 0 : 1;
  const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES);
  encodeRecord(bytes, 0, { kind: KIND.head, index: head.firstIndex, term: 0, payload }, 0, head.sequence);
  return bytes;
}

/**
 * Reads a segment.
 * @throws KvError KV_LOG_DAMAGED: what is wrong cannot be a crash's doing, with file and offset;
 *   KV_LOG_FOREIGN: another owner or format.
 */
export function parseSegment(
  bytes: Buffer,
  name: string,
  isLast: boolean,
  owner: LogOwner,
  rules: WalRules = WAL_RULES,
): ParsedSegment {
  const named = parseSegmentName(name);
  if (named === null) throw damaged(name, 0, 'the name is none of a segment');
  const salt = named.sequence;
  const head = parseHead(bytes, name, named.sequence, named.firstIndex, owner);
  const records: SegmentRecord[] = [];
  let at = SEGMENT_HEAD_BYTES;
  let lastBatchStart = 0;
  for (;;) {
    const header = decodeHeader(bytes, at, salt);
    if (header === null || !isRecordWhole(bytes, at, header)) break;
    if (header.batchStart > at || header.batchStart < lastBatchStart || header.kind === KIND.head) {
      throw damaged(name, at, 'a record that contradicts those before it');
    }
    lastBatchStart = header.batchStart;
    records.push({ ...header, at });
    at += recordBytes(header.payloadBytes);
  }
  const clean = at === bytes.length || isZero(bytes, at, bytes.length);
  if (!clean) judgeTail(bytes, at, salt, name, isLast, rules);
  return { head, records, end: at, lastBatchStart, torn: !clean };
}

/** The payload of a record, a view into the segment's bytes. */
export function payloadOf(bytes: Buffer, record: SegmentRecord): Buffer {
  const start = record.at + RECORD_HEADER_BYTES;
  return bytes.subarray(start, start + record.payloadBytes);
}

export function damaged(file: string, offset: number, what: string): KvError {
  const advice = 'this member must not start on it; give it an empty folder and a new id';
  return new KvError('KV_LOG_DAMAGED', `${file} at byte ${offset}: ${what}; ${advice}`, { file, offset });
}

/** Returns if the bad record at `at` is a torn one. */
function judgeTail(
  bytes: Buffer,
  at: number,
  salt: number,
  name: string,
  isLast: boolean,
  rules: WalRules,
): void {
  if (!isLast) throw damaged(name, at, 'a bad record in a segment that was complete');
  const witness = laterRecord(bytes, at, salt);
  const header = decodeHeader(bytes, at, salt);
  const end = at + (header === null ? RECORD_HEADER_BYTES : recordBytes(header.payloadBytes));
  if (rules.isTorn(witness !== null, looksTorn(bytes, at, end))) return;
  if (witness !== null) {
    throw damaged(name, at, `a bad record that was durable when the one at byte ${witness} was written`);
  }
  throw damaged(
    name,
    at,
    `the last record's ${header === null ? 'head' : 'content'} is not what was written`,
  );
}

/** A good record that was written when what is at `at` was durable already. */
function laterRecord(bytes: Buffer, at: number, salt: number): number | null {
  for (let place = at + 8; place + RECORD_HEADER_BYTES <= bytes.length; place += 8) {
    const header = decodeHeader(bytes, place, salt);
    if (header !== null && header.batchStart > at && header.batchStart <= place) return place;
  }
  return null;
}

function looksTorn(bytes: Buffer, start: number, end: number): boolean {
  if (end > bytes.length || bytes[end - 1] === 0) return true;
  for (let from = start; from < end; ) {
    const to = Math.min(end, from - (from % SECTOR_BYTES) + SECTOR_BYTES);
    if (isZero(bytes, from, to)) return true;
    from = to;
  }
  return false;
}

function parseHead(
  bytes: Buffer,
  name: string,
  sequence: number,
  firstIndex: number,
  owner: LogOwner,
): SegmentHead {
  // A segment gets its name when its head is durable, so a bad head is never a crash's doing.
  const header = decodeHeader(bytes, 0, sequence);
  if (header === null || header.kind !== KIND.head || !isRecordWhole(bytes, 0, header)) {
    throw damaged(name, 0, 'the head of the segment is not what was written');
  }
  const payload = bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + header.payloadBytes);
  const version = payload.length < 12 ? -1 : payload.readUInt32LE(8);
  if (
    payload.length !== HEAD_PAYLOAD_BYTES ||
    payload.toString('latin1', 0, 8) !== MAGIC ||
    version !== FORMAT_VERSION
  ) {
    throw new KvError(
      'KV_LOG_FOREIGN',
      `${name}: a segment of format ${version}, this program reads ${FORMAT_VERSION}`,
      {
        file: name,
        offset: 0,
      },
    );
  }
  const number = (place: number): number => readU64(payload, 16 + place * 8);
  if (number(1) !== owner.clusterId || number(2) !== owner.memberId) {
    const theirs = `member ${number(2)} of cluster ${number(1)}`;
    const ours = `member ${owner.memberId} of cluster ${owner.clusterId}`;
    throw new KvError('KV_LOG_FOREIGN', `${name} is the log of ${theirs}, not of ${ours}`, {
      file: name,
      offset: 0,
    });
  }
  if (number(0) !== sequence || number(3) !== firstIndex) {
    throw damaged(name, 0, `the head names segment ${number(0)} from entry ${number(3)}`);
  }
  return {
    clusterId: owner.clusterId,
    memberId: owner.memberId,
    sequence,
    firstIndex,
    previousTerm: payload[96] === 1 ? null : number(4),
    hardState: { term: number(5), vote: payload[97] === 1 ? number(6) : null, commit: number(7) },
    snapshot: { index: number(8), term: number(9) },
  };
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (bytes[at] !== 0) return false;
  return true;
}
