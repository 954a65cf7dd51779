// A bounded ring of variable-length records between one producer thread and one consumer thread.
// thread-mesh.ts lays the rings out in shared memory, task-queue.ts pushes and takes the records.
// A record exists only once its producer has published the tail, in one atomic store: a producer that is
// terminated at any instruction leaves whole records and nothing else.
// Record: kind u8 | format u8 | nameBytes u16 | incarnation u16 | payloadBytes u16 | callId u32 | recordBytes u32
// | name | payload, padded to 16 bytes, never wrapped around the end (a filler record covers the rest).

import assert from 'node:assert/strict';

/** Bytes of control words in front of the records: three cache lines, one writer each. */
export const RING_HEADER_BYTES: number = 192;
export const RECORD_PAYLOAD_BYTES_MAX: number = 4096;
export const RECORD_NAME_BYTES_MAX: number = 256;

const UNIT_BYTES = 16;
const RECORD_HEADER_BYTES = 16;
const RECORD_BYTES_MAX = RECORD_HEADER_BYTES + RECORD_NAME_BYTES_MAX + RECORD_PAYLOAD_BYTES_MAX;
const CAPACITY_BYTES_MIN = 16 * 1024;
const CAPACITY_BYTES_MAX = 512 * 1024;

// One word publishes both where a side is (low half, in units, free running) and how many records it has
// passed (high half), so that the depth is right whenever a thread is terminated.
const POSITION_MASK = 0xffff;
const COUNT_ONE = 0x10000;

const TAIL_WORD = 0; // producer's line
const SEQUENCE_WORD = 1;
const BIG_SENT_WORD = 2;
const CALL_ID_WORD = 3;
const HEAD_WORD = 16; // consumer's line
const BIG_TAKEN_WORD = 17;
const SPACE_WANTED_WORD = 32; // set by the producer, cleared by the consumer
const FILLER_KIND = 0;
const RECORD_BYTES_AT = 12; // within a record
const EMPTY = Buffer.alloc(0);

assert(
  RECORD_BYTES_MAX <= CAPACITY_BYTES_MIN / 2,
  'an empty ring takes the largest record wherever it stands',
);
assert(CAPACITY_BYTES_MAX / UNIT_BYTES <= (POSITION_MASK + 1) / 2, 'full and empty are told apart');

interface RecordFields {
  /** 1 to 255; the ring itself gives a meaning to 0 only. */
  readonly kind: number;
  /** How the payload is encoded, 0 to 255. */
  readonly format: number;
  /** Which incarnation of a thread the record belongs to, modulo 65536. */
  readonly incarnation: number;
  /** u32. */
  readonly callId: number;
}

/** A record on its way in: the ring copies both byte arrays. */
export interface OutgoingRecord extends RecordFields {
  /** The name in UTF-8, at most RECORD_NAME_BYTES_MAX. */
  readonly name: Uint8Array;
  /** At most RECORD_PAYLOAD_BYTES_MAX. */
  readonly payload: Uint8Array;
}

/** A record on its way out; `payload` is a copy that the receiver owns. */
export interface TaskRecord extends RecordFields {
  readonly name: string;
  readonly payload: Buffer;
}

/** One ring seen from either side; a thread uses the producer's or the consumer's half, or both on a self ring. */
export class TaskRing {
  readonly capacityBytes: number;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #unitMask: number;

  /** `offset` is where the ring begins in `memory`; it takes `RING_HEADER_BYTES + capacityBytes` from there. */
  constructor(memory: SharedArrayBuffer, offset: number, capacityBytes: number) {
    assert(TaskRing.isCapacity(capacityBytes), 'capacity is a power of two within bounds');
    this.capacityBytes = capacityBytes;
    this.#words = new Int32Array(memory, offset, RING_HEADER_BYTES / 4);
    this.#bytes = Buffer.from(memory, offset + RING_HEADER_BYTES, capacityBytes);
    this.#unitMask = capacityBytes / UNIT_BYTES - 1;
  }

  static isCapacity(bytes: number): boolean {
    const isPowerOfTwo = Number.isInteger(Math.log2(bytes));
    return isPowerOfTwo && bytes >= CAPACITY_BYTES_MIN && bytes <= CAPACITY_BYTES_MAX;
  }

  /** Records published and not yet taken. */
  get depth(): number {
    const head = Atomics.load(this.#words, HEAD_WORD);
    const tail = Atomics.load(this.#words, TAIL_WORD);
    return ((tail >>> 16) - (head >>> 16)) & 0xffff;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, TAIL_WORD) === Atomics.load(this.#words, HEAD_WORD);
  }

  /** Producer: whether a record of this size can be pushed now; room never shrinks except by pushing. */
  hasRoom(nameBytes: number, payloadBytes: number): boolean {
    const tail = Atomics.load(this.#words, TAIL_WORD);
    const head = Atomics.load(this.#words, HEAD_WORD);
    return (
      unitsNeeded(tail & this.#unitMask, this.#unitMask + 1, nameBytes + payloadBytes) <=
      this.#unitsFree(tail, head)
    );
  }

  /** Producer: appends one record, false when it does not fit now. */
  tryPush(record: OutgoingRecord): boolean {
    const { name, payload } = record;
    assert(record.kind !== FILLER_KIND);
    assert(name.length <= RECORD_NAME_BYTES_MAX);
    assert(payload.length <= RECORD_PAYLOAD_BYTES_MAX);
    const tail = Atomics.load(this.#words, TAIL_WORD);
    const head = Atomics.load(this.#words, HEAD_WORD);
    const recordBytes = RECORD_HEADER_BYTES + name.length + payload.length;
    const recordUnits = unitsOf(recordBytes);
    let unit = tail & this.#unitMask;
    const units = unitsNeeded(unit, this.#unitMask + 1, name.length + payload.length);
    if (units > this.#unitsFree(tail, head)) return false;

    if (units > recordUnits) {
      this.#bytes[unit * UNIT_BYTES] = FILLER_KIND;
      unit = 0;
    }
    this.#write(unit * UNIT_BYTES, record, recordBytes);
    const position = ((tail & POSITION_MASK) + units) & POSITION_MASK;
    const count = (tail & ~POSITION_MASK) + COUNT_ONE;
    Atomics.store(this.#words, TAIL_WORD, count | position);
    return true;
  }

  /**
   * Consumer: takes the oldest record, null when there is none. The record is gone from the ring before
   * it is returned, so a consumer that is terminated while it handles one never handles it twice.
   */
  take(): TaskRecord | null {
    const head = Atomics.load(this.#words, HEAD_WORD);
    const tail = Atomics.load(this.#words, TAIL_WORD);
    if (head === tail) return null;
    let unit = head & this.#unitMask;
    let position = head & POSITION_MASK;
    if (this.#bytes[unit * UNIT_BYTES] === FILLER_KIND) {
      position += this.#unitMask + 1 - unit;
      unit = 0;
    }
    const offset = unit * UNIT_BYTES;
    const record = this.#read(offset);
    position += unitsOf(this.#bytes.readUInt32LE(offset + RECORD_BYTES_AT));
    const count = (head & ~POSITION_MASK) + COUNT_ONE;
    Atomics.store(this.#words, HEAD_WORD, count | (position & POSITION_MASK));
    return record;
  }

  /** Producer: asks to be woken when there is room; try once more after asking. */
  wantSpace(): void {
    Atomics.store(this.#words, SPACE_WANTED_WORD, 1);
  }

  /** Consumer: whether the producer asked to be woken since the last time. */
  takeSpaceWanted(): boolean {
    return (
      Atomics.load(this.#words, SPACE_WANTED_WORD) === 1 &&
      Atomics.exchange(this.#words, SPACE_WANTED_WORD, 0) === 1
    );
  }

  /** Producer: the next number for a payload sent beside the ring; goes on over a producer's restart. */
  nextSequence(): number {
    return Atomics.add(this.#words, SEQUENCE_WORD, 1);
  }

  /** Producer: the next call id, u32; goes on over a producer's restart, so that no answer finds a wrong call. */
  nextCallId(): number {
    return Atomics.add(this.#words, CALL_ID_WORD, 1) >>> 0;
  }

  /** Bytes sent beside the ring and not yet taken. A producer terminated in mid-push may skew it by that push. */
  get bigBytesWaiting(): number {
    return (Atomics.load(this.#words, BIG_SENT_WORD) - Atomics.load(this.#words, BIG_TAKEN_WORD)) | 0;
  }

  /** Producer: counts a payload sent beside the ring. */
  addBigSent(bytes: number): void {
    Atomics.add(this.#words, BIG_SENT_WORD, bytes);
  }

  /** Consumer: counts a payload taken from beside the ring. */
  addBigTaken(bytes: number): void {
    Atomics.add(this.#words, BIG_TAKEN_WORD, bytes);
  }

  #unitsFree(tail: number, head: number): number {
    const used = ((tail & POSITION_MASK) - (head & POSITION_MASK)) & POSITION_MASK;
    assert(used <= this.#unitMask + 1, 'head and tail belong together');
    return this.#unitMask + 1 - used;
  }

  #write(offset: number, record: OutgoingRecord, recordBytes: number): void {
    const bytes = this.#bytes;
    const { name, payload } = record;
    bytes[offset] = record.kind;
    bytes[offset + 1] = record.format;
    bytes.writeUInt16LE(name.length, offset + 2);
    bytes.writeUInt16LE(record.incarnation, offset + 4);
    bytes.writeUInt16LE(payload.length, offset + 6);
    bytes.writeUInt32LE(record.callId, offset + 8);
    bytes.writeUInt32LE(recordBytes, offset + RECORD_BYTES_AT);
    bytes.set(name, offset + RECORD_HEADER_BYTES);
    bytes.set(payload, offset + RECORD_HEADER_BYTES + name.length);
  }

  #read(offset: number): TaskRecord {
    const bytes = this.#bytes;
    const nameStart = offset + RECORD_HEADER_BYTES;
    const payloadStart = nameStart + bytes.readUInt16LE(offset + 2);
    const payloadEnd = payloadStart + bytes.readUInt16LE(offset + 6);
    assert(
      bytes.readUInt32LE(offset + RECORD_BYTES_AT) === payloadEnd - offset,
      'the record is as long as it was written',
    );
    return {
      kind: bytes[offset]!,
      format: bytes[offset + 1]!,
      incarnation: bytes.readUInt16LE(offset + 4),
      callId: bytes.readUInt32LE(offset + 8),
      name: bytes.toString('utf8', nameStart, payloadStart),
      payload: payloadStart === payloadEnd ? EMPTY : Buffer.from(bytes.subarray(payloadStart, payloadEnd)),
    };
  }
}

function unitsOf(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES);
}

/** Units a record takes when it begins at `unit`, with the filler in front if it would cross the end. */
function unitsNeeded(unit: number, unitCount: number, bodyBytes: number): number {
  const units = unitsOf(RECORD_HEADER_BYTES + bodyBytes);
  return unit + units > unitCount ? unitCount - unit + units : units;
}
