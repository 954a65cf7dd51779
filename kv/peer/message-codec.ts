// Raft messages as bytes and back. peer-lane.ts sends what it makes, peer-service.ts reads it.
// A message: u8 type | u8 flags (1: skippable) | u16 zero | u32 bytes | body; several stand one behind the other. Numbers
// are little-endian, u64 within 2^53. Bodies may grow at their end within a major version: readers ignore what they do
// not know there, and skip whole messages of unknown types that are marked as skippable. Pure.

import {
  checkMessage,
  decodeMembership,
  encodeMembership,
  type Entry,
  type RaftMessage,
} from '../raft/index.js';
import { readU64, writeU64 } from '../wal/record.js';
import { KvError } from '../errors.js';
import { ENTRY_HEAD_BYTES, ENTRY_KIND_CODES, EntryRuns } from './entry-runs.js';

export const FORMAT_MAJOR = 1;
export const FORMAT_MINOR = 0;

export const FLAG_SKIPPABLE = 1;
const HEAD_BYTES = 8;

const TYPES: readonly RaftMessage['type'][] = [
  'vote', // 1
  'pre-vote',
  'vote-response',
  'pre-vote-response',
  'append',
  'append-response',
  'heartbeat',
  'heartbeat-response',
  'snapshot',
  'snapshot-response',
  'timeout-now',
  'propose',
  'propose-response',
  'read',
  'read-response', // 15
];
const CODES = new Map(TYPES.map((type, at) => [type, at + 1]));

/** What a message takes, nearly: for bounds of queues. */
export function messageBytes(message: RaftMessage): number {
  let bytes = HEAD_BYTES + 48;
  if (message.type === 'append') {
    for (const { data } of message.entries) bytes += ENTRY_HEAD_BYTES + data.byteLength;
  } else if (message.type === 'propose') {
    for (const data of message.data) bytes += 4 + data.byteLength;
  } else if (message.type === 'snapshot') {
    bytes += message.data.byteLength + 256;
  }
  return bytes;
}

export class MessageEncoder {
  readonly #runs = new EntryRuns();

  /** All of them, to be sent one behind the other. Entries and chunks are referred to, not copied. */
  encode(messages: readonly RaftMessage[]): Buffer[] {
    const parts: Buffer[] = [];
    for (const message of messages) this.#encodeOne(message, parts);
    return parts;
  }

  #encodeOne(message: RaftMessage, parts: Buffer[]): void {
    const code = CODES.get(message.type)!; // every type is listed
    switch (message.type) {
      case 'vote':
      case 'pre-vote': {
        const { term, lastIndex, lastTerm, force } = message;
        parts.push(numbers(code, [term, lastIndex, lastTerm], force ? 1 : 0));
        return;
      }
      case 'vote-response':
      case 'pre-vote-response':
        parts.push(numbers(code, [message.term], message.granted ? 1 : 0));
        return;
      case 'append': {
        const { term, prevIndex, prevTerm, commit, entries } = message;
        const run = this.#runs.encode(entries);
        parts.push(numbers(code, [term, prevIndex, prevTerm, commit], entries.length, run.length));
        if (run.length > 0) parts.push(run);
        return;
      }
      case 'append-response': {
        const { term, matchIndex, conflictTerm, conflictIndex, success } = message;
        parts.push(numbers(code, [term, matchIndex, conflictTerm, conflictIndex], success ? 1 : 0));
        return;
      }
      case 'heartbeat':
        parts.push(numbers(code, [message.term, message.commit, message.round], 0));
        return;
      case 'heartbeat-response':
        parts.push(numbers(code, [message.term, message.round], 0));
        return;
      case 'snapshot': {
        const { term, snapshot, offset, data } = message;
        const membership = asBuffer(encodeMembership(snapshot.membership));
        const counts = [term, snapshot.index, snapshot.term, snapshot.byteCount, offset];
        parts.push(numbers(code, counts, membership.length, membership.length + data.byteLength));
        parts.push(membership, asBuffer(data));
        return;
      }
      case 'snapshot-response':
        parts.push(numbers(code, [message.term, message.index, message.nextOffset], 0));
        return;
      case 'timeout-now':
        parts.push(numbers(code, [message.term], 0));
        return;
      case 'propose': {
        const { id, data } = message;
        const bytes = data.reduce((sum, each) => sum + 4 + each.byteLength, 0);
        parts.push(numbers(code, [id], data.length, bytes));
        for (const each of data) {
          const length = Buffer.allocUnsafe(4);
          length.writeUInt32LE(each.byteLength, 0);
          parts.push(length, asBuffer(each));
        }
        return;
      }
      case 'propose-response':
        parts.push(numbers(code, [message.id, message.index, message.term], 0));
        return;
      case 'read':
        parts.push(numbers(code, [message.id], 0));
        return;
      case 'read-response':
        parts.push(numbers(code, [message.id, message.index], 0));
        return;
      default:
        message satisfies never;
    }
  }
}

/**
 * What `bytes` holds, in order. The data of entries and chunks are views into it: it belongs to them from now on.
 * @throws KvError KV_MESSAGE_INVALID: no member of a version we know sends this
 */
export function decodeMessages(bytes: Buffer): RaftMessage[] {
  const messages: RaftMessage[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length) throw invalid('a message is cut off in its head');
    const code = bytes[at]!;
    const flags = bytes[at + 1]!;
    const end = at + HEAD_BYTES + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) throw invalid('a message is cut off');
    const type = TYPES[code - 1];
    if (type !== undefined) messages.push(decodeOne(type, bytes, at + HEAD_BYTES, end));
    else if ((flags & FLAG_SKIPPABLE) === 0)
      throw invalid(`there is no message of type ${code} in this version`);
    at = end;
  }
  return messages;
}

function decodeOne(type: RaftMessage['type'], bytes: Buffer, start: number, end: number): RaftMessage {
  try {
    const message = read(type, new Body(bytes, start, end));
    checkMessage(message);
    return message;
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function read(type: RaftMessage['type'], body: Body): RaftMessage {
  switch (type) {
    case 'vote':
    case 'pre-vote': {
      const [term, lastIndex, lastTerm] = [body.u64(), body.u64(), body.u64()];
      return { type, term, lastIndex, lastTerm, force: body.u32() === 1 };
    }
    case 'vote-response':
    case 'pre-vote-response':
      return { type, term: body.u64(), granted: body.u32() === 1 };
    case 'append': {
      const [term, prevIndex, prevTerm, commit] = [body.u64(), body.u64(), body.u64(), body.u64()];
      return { type, term, prevIndex, prevTerm, commit, entries: readEntries(body, prevIndex) };
    }
    case 'append-response': {
      const [term, matchIndex, conflictTerm, conflictIndex] = [
        body.u64(),
        body.u64(),
        body.u64(),
        body.u64(),
      ];
      return { type, term, success: body.u32() === 1, matchIndex, conflictTerm, conflictIndex };
    }
    case 'heartbeat':
      return { type, term: body.u64(), commit: body.u64(), round: body.u64() };
    case 'heartbeat-response':
      return { type, term: body.u64(), round: body.u64() };
    case 'snapshot': {
      const [term, index, ofTerm, byteCount, offset] = [
        body.u64(),
        body.u64(),
        body.u64(),
        body.u64(),
        body.u64(),
      ];
      const membership = decodeMembership(body.take(body.u32()));
      const data = body.rest();
      const snapshot = { index, term: ofTerm, membership, byteCount };
      return { type, term, snapshot, offset, byteCount: data.length, data };
    }
    case 'snapshot-response':
      return { type, term: body.u64(), index: body.u64(), nextOffset: body.u64() };
    case 'timeout-now':
      return { type, term: body.u64() };
    case 'propose': {
      const id = body.u64();
      const count = body.u32();
      const data: Uint8Array[] = [];
      for (let each = 0; each < count; each += 1) data.push(body.take(body.u32()));
      return { type, id, data };
    }
    case 'propose-response':
      return { type, id: body.u64(), index: body.u64(), term: body.u64() };
    case 'read':
      return { type, id: body.u64() };
    case 'read-response':
      return { type, id: body.u64(), index: body.u64() };
    default:
      return type satisfies never;
  }
}

function readEntries(body: Body, prevIndex: number): Entry[] {
  const count = body.u32();
  const entries: Entry[] = [];
  for (let index = prevIndex + 1; index <= prevIndex + count; index += 1) {
    const term = body.u64();
    const kind = ENTRY_KIND_CODES[body.u32()];
    if (kind === undefined) throw invalid(`entry ${index} is of no known kind`);
    entries.push({ index, term, kind, data: body.take(body.u32()) });
  }
  return entries;
}

class Body {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  u64(): number {
    return readU64(this.#bytes, this.#skip(8));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#skip(4));
  }

  take(count: number): Buffer {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  rest(): Buffer {
    return this.take(this.#end - this.#at);
  }

  #skip(count: number): number {
    const at = this.#at;
    if (at + count > this.#end) throw invalid('a message is shorter than its type wants');
    this.#at = at + count;
    return at;
  }
}

/** Head, counts as u64, one u32 behind them; `more` bytes follow in other parts. */
function numbers(code: number, counts: readonly number[], last: number, more = 0): Buffer {
  const bodyBytes = 8 * counts.length + 4;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + bodyBytes);
  bytes.writeUInt32LE(code, 0); // type, no flags, zeros
  bytes.writeUInt32LE(bodyBytes + more, 4);
  let at = HEAD_BYTES;
  for (const count of counts) {
    writeU64(bytes, count, at);
    at += 8;
  }
  bytes.writeUInt32LE(last, at);
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(message: string): KvError {
  return new KvError('KV_MESSAGE_INVALID', message);
}
