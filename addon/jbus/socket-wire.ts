// What goes over the stream of a channel without shared memory: a greeting, then records as they stand in a ring.
// socket-link.ts sends it, socket-receiver.ts takes it apart. Pure: numbers and bytes. Little-endian.
// Greeting: magic u64 | version u32 | pid u32 | epoch u64 | channel hash u64 | capacity there u64 | capacity back u64.
// A record's header is that of layout v1 without a CRC; no pads. The sender counts what its records take in the
// receiver's ring, pads included, and asks to be told of releases: that is what the waiting word is in shared memory.

import { JbusError } from './errors.js';
import { LAYOUT_VERSION, RECORD_HEADER_BYTES } from './layout.js';

export interface Greeting {
  readonly pid: number;
  readonly epoch: number;
  readonly channelHash: number;
  /** Of the ring that the greeting side's messages go into, and of its own. */
  readonly capacityOut: number;
  readonly capacityIn: number;
}

export interface StreamRecord {
  readonly length: number;
  readonly totalLength: number;
  readonly flags: number;
  readonly type: number;
  readonly msgId: number;
}

export const GREETING_BYTES = 48;
/** Notices, of length 0. The sender's state is in `type`. */
export const FLAG_STATE = 16;
/** The sender waits for room. */
export const FLAG_WANT = 64;
/** `msgId` is the position up to which the sender of this has read. */
export const FLAG_RELEASED = 128;
const GREETING_MAGIC = Buffer.from('JBUSSTR1');
const RECORD_MAGIC = 0x4a425553;

export function encodeGreeting(greeting: Greeting): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES);
  GREETING_MAGIC.copy(bytes);
  bytes.writeUInt32LE(LAYOUT_VERSION, 8);
  bytes.writeUInt32LE(greeting.pid, 12);
  writeU64(bytes, greeting.epoch, 16);
  writeU64(bytes, greeting.channelHash, 24);
  writeU64(bytes, greeting.capacityOut, 32);
  writeU64(bytes, greeting.capacityIn, 40);
  return bytes;
}

/** @throws JbusError JBUS_NOT_OURS, JBUS_VERSION. */
export function decodeGreeting(bytes: Buffer): Greeting {
  if (bytes.length < GREETING_BYTES || !bytes.subarray(0, 8).equals(GREETING_MAGIC)) {
    throw new JbusError('JBUS_NOT_OURS', 'the stream does not begin as a channel does');
  }
  const version = bytes.readUInt32LE(8);
  if (version !== LAYOUT_VERSION) {
    throw new JbusError('JBUS_VERSION', `the peer speaks version ${version}, not ${LAYOUT_VERSION}`);
  }
  return {
    pid: bytes.readUInt32LE(12),
    epoch: readU64(bytes, 16),
    channelHash: readU64(bytes, 24),
    capacityOut: readU64(bytes, 32),
    capacityIn: readU64(bytes, 40),
  };
}

export function encodeNotice(flags: number, fields: { type?: number; msgId?: number } = {}): Buffer {
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  encodeRecordHeader(bytes, { length: 0, totalLength: 0, flags, type: 0, msgId: 0, ...fields });
  return bytes;
}

/** Writes the header of a record to the start of `bytes`. */
export function encodeRecordHeader(bytes: Buffer, header: StreamRecord): void {
  bytes.writeUInt32LE(RECORD_MAGIC, 0);
  bytes.writeUInt32LE(header.length, 4);
  bytes.writeUInt32LE(header.totalLength, 8);
  bytes.writeUInt16LE(header.flags, 12);
  bytes.writeUInt16LE(header.type, 14);
  writeU64(bytes, header.msgId, 16);
  bytes.fill(0, 24, RECORD_HEADER_BYTES);
}

/** @throws JbusError JBUS_POISONED: no record begins here, or it is longer than `recordBytesMax`. */
export function decodeRecordHeader(bytes: Buffer, recordBytesMax: number): StreamRecord {
  const length = bytes.readUInt32LE(4);
  if (bytes.readUInt32LE(0) !== RECORD_MAGIC) throw broken('no record where one has to begin');
  if (length > recordBytesMax) throw broken(`a record of ${length} bytes`);
  return {
    length,
    totalLength: bytes.readUInt32LE(8),
    flags: bytes.readUInt16LE(12),
    type: bytes.readUInt16LE(14),
    msgId: readU64(bytes, 16),
  };
}

export function broken(what: string): JbusError {
  return new JbusError('JBUS_POISONED', `the peer broke the format: ${what}`);
}

function writeU64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % 2 ** 32, offset);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

/** As a number: exact up to 2^53, and beyond it still larger than anything allowed. */
function readU64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 2 ** 32 + bytes.readUInt32LE(offset);
}
