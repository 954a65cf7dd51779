// Writes protobuf's wire format into one growing buffer that is used again for every message.
// The functions that encoder.ts compiles call it; it checks what only shows while writing: ranges of 64-bit integers and
// text that is no Unicode.

import { describe, FieldError } from './field-error.js';

/** After each call at least this much is free: room for a tag and a number without asking. */
const SLACK_BYTES = 32;
const INITIAL_BYTES = 256;
/** A buffer above this is given up when messages have been small for a while. */
const KEEP_BYTES_MAX = 64 * 1024;
const SMALL_MESSAGES_MAX = 64;
/** Shorter text is written character by character; node's own writer costs more to call than that. */
const SHORT_TEXT_MAX = 40;
/** Longer text has its bytes counted before it is written. */
const COUNTED_TEXT_MIN = 8192;
/** Fewer bytes are copied one by one. */
const SHORT_COPY_MAX = 24;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
const DECIMAL = /^-?\d{1,20}$/;

/** One 64-bit integer seen as bigint and as two halves; little-endian like every machine node runs on. */
const LONG = new BigInt64Array(1);
const HALVES = new Uint32Array(LONG.buffer);
const NUMBER = new Float64Array(1);
const NUMBER_BYTES = new Uint8Array(NUMBER.buffer);
const SINGLE = new Float32Array(1);
const SINGLE_BYTES = new Uint8Array(SINGLE.buffer);

/** Methods of every Buffer that its types leave out. */
interface FastBuffer extends Buffer {
  utf8Write(text: string, offset: number): number;
}

export class WireWriter {
  pos: number = 0;
  #buffer: FastBuffer = Buffer.allocUnsafeSlow(INITIAL_BYTES) as FastBuffer; // node's Buffers all have them
  #limit: number = INITIAL_BYTES - SLACK_BYTES;
  #smallMessages: number = 0;

  /** Forgets what was written. */
  start(): void {
    if (this.#buffer.length > KEEP_BYTES_MAX) this.#considerShrinking();
    this.pos = 0;
  }

  /** The caller made room. */
  copyTo(target: Uint8Array, offset: number): void {
    const length = this.pos;
    const buffer = this.#buffer;
    if (length <= SHORT_COPY_MAX) {
      // A typed array drops what is written past its end; the caller has to hear of it.
      if (offset + length > target.length) throw new RangeError('the message does not fit the target');
      for (let index = 0; index < length; index += 1) target[offset + index] = buffer[index]!;
    } else target.set(buffer.subarray(0, length), offset);
  }

  /** A tag or another number below 128. */
  byte(value: number): void {
    this.#buffer[this.pos] = value;
    this.pos += 1;
  }

  /** A tag of 128 or more: the number that follows it makes room again. */
  tag(value: number): void {
    this.pos = this.#varint(value, this.pos);
  }

  /** After tags that no number follows. */
  room(): void {
    if (this.pos > this.#limit) this.#grow(0);
  }

  uint32(value: number): void {
    if (value < 0x80) {
      this.#buffer[this.pos] = value;
      this.pos += 1;
    } else this.pos = this.#varint(value, this.pos);
    if (this.pos > this.#limit) this.#grow(0);
  }

  int32(value: number): void {
    if (value >= 0) this.uint32(value);
    else this.#varint64(value >>> 0, 0xffffffff);
  }

  sint32(value: number): void {
    this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  fixed32(value: number): void {
    const buffer = this.#buffer;
    const { pos } = this;
    buffer[pos] = value;
    buffer[pos + 1] = value >>> 8;
    buffer[pos + 2] = value >>> 16;
    buffer[pos + 3] = value >>> 24;
    this.pos = pos + 4;
    if (this.pos > this.#limit) this.#grow(0);
  }

  int64(value: unknown, name: string): void {
    splitLong(value, true, name);
    this.#varint64(HALVES[0]!, HALVES[1]!);
  }

  uint64(value: unknown, name: string): void {
    splitLong(value, false, name);
    this.#varint64(HALVES[0]!, HALVES[1]!);
  }

  sint64(value: unknown, name: string): void {
    splitLong(value, true, name);
    const low = HALVES[0]!;
    const high = HALVES[1]!;
    const sign = (high | 0) >> 31;
    this.#varint64(((low << 1) ^ sign) >>> 0, (((high << 1) | (low >>> 31)) ^ sign) >>> 0);
  }

  sfixed64(value: unknown, name: string): void {
    splitLong(value, true, name);
    this.fixed32(HALVES[0]!);
    this.fixed32(HALVES[1]!);
  }

  fixed64(value: unknown, name: string): void {
    splitLong(value, false, name);
    this.fixed32(HALVES[0]!);
    this.fixed32(HALVES[1]!);
  }

  bool(value: boolean): void {
    this.#buffer[this.pos] = value ? 1 : 0;
    this.pos += 1;
    if (this.pos > this.#limit) this.#grow(0);
  }

  float(value: number): void {
    SINGLE[0] = value;
    this.#raw(SINGLE_BYTES, 4);
  }

  double(value: number): void {
    NUMBER[0] = value;
    this.#raw(NUMBER_BYTES, 8);
  }

  /** @throws FieldError for text with half of a surrogate pair, which UTF-8 cannot say */
  string(value: string, name: string): void {
    const { length } = value;
    if (length > SHORT_TEXT_MAX) {
      this.#longText(value, name);
      return;
    }
    if (this.pos + length * 3 > this.#limit) this.#grow(length * 3);
    const buffer = this.#buffer;
    const start = this.pos;
    let pos = start + 1;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code < 0x80) {
        buffer[pos] = code;
        pos += 1;
      } else {
        // NaN at the end of the text
        const next = code >= 0xd800 && code < 0xe000 ? value.charCodeAt(index + 1) || 0 : 0;
        if (next > 0) index += 1;
        pos = writeCharacter(buffer, pos, code, next, name);
      }
    }
    buffer[start] = pos - start - 1; // below 128: SHORT_TEXT_MAX characters of 3 bytes
    this.pos = pos;
    if (pos > this.#limit) this.#grow(0);
  }

  bytes(value: Uint8Array): void {
    const { length } = value;
    this.uint32(length);
    if (this.pos + length > this.#limit) this.#grow(length);
    const buffer = this.#buffer;
    if (length <= SHORT_COPY_MAX) {
      for (let index = 0; index < length; index += 1) buffer[this.pos + index] = value[index]!;
    } else buffer.set(value, this.pos);
    this.pos += length;
  }

  /** Leaves room for the length of what comes next. @returns what `join` wants to know */
  fork(): number {
    const start = this.pos;
    this.pos = start + 1;
    if (this.pos > this.#limit) this.#grow(0);
    return start;
  }

  /** Puts the length before everything that was written since `fork`. */
  join(start: number): void {
    const length = this.pos - start - 1;
    if (length < 0x80) {
      this.#buffer[start] = length;
      return;
    }
    const lengthBytes = varintBytes(length);
    this.#buffer.copyWithin(start + lengthBytes, start + 1, this.pos);
    this.#varint(length, start);
    this.pos += lengthBytes - 1;
    if (this.pos > this.#limit) this.#grow(0);
  }

  #longText(value: string, name: string): void {
    // A character takes three bytes at most; for much text it is worth asking.
    const room = value.length > COUNTED_TEXT_MIN ? Buffer.byteLength(value) : value.length * 3;
    if (this.pos + room > this.#limit) this.#grow(room);
    const start = this.pos;
    // Most text is ASCII: its length is guessed, and the text moved when that was wrong.
    const guessedBytes = varintBytes(value.length);
    const length = this.#buffer.utf8Write(value, start + guessedBytes);
    // Node has isWellFormed since 20; the library we compile against does not know yet.
    if (length !== value.length && !(value as string & { isWellFormed(): boolean }).isWellFormed()) {
      throw loneSurrogate(name);
    }
    const lengthBytes = varintBytes(length);
    if (lengthBytes !== guessedBytes) {
      const from = start + guessedBytes;
      this.#buffer.copyWithin(start + lengthBytes, from, from + length);
    }
    this.#varint(length, start);
    this.pos = start + lengthBytes + length;
    if (this.pos > this.#limit) this.#grow(0);
  }

  #varint(value: number, start: number): number {
    const buffer = this.#buffer;
    let rest = value;
    let pos = start;
    while (rest > 0x7f) {
      buffer[pos] = (rest & 0x7f) | 0x80;
      pos += 1;
      rest >>>= 7;
    }
    buffer[pos] = rest;
    return pos + 1;
  }

  #varint64(lowHalf: number, highHalf: number): void {
    const buffer = this.#buffer;
    let low = lowHalf;
    let high = highHalf;
    let { pos } = this;
    while (high !== 0) {
      buffer[pos] = (low & 0x7f) | 0x80;
      pos += 1;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    while (low > 0x7f) {
      buffer[pos] = (low & 0x7f) | 0x80;
      pos += 1;
      low >>>= 7;
    }
    buffer[pos] = low;
    this.pos = pos + 1;
    if (this.pos > this.#limit) this.#grow(0);
  }

  #raw(bytes: Uint8Array, length: number): void {
    const buffer = this.#buffer;
    const { pos } = this;
    for (let index = 0; index < length; index += 1) buffer[pos + index] = bytes[index]!;
    this.pos = pos + length;
    if (this.pos > this.#limit) this.#grow(0);
  }

  #grow(bytes: number): void {
    this.#resize(Math.max(this.#buffer.length * 2, this.pos + bytes + 2 * SLACK_BYTES));
  }

  #resize(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(bytes) as FastBuffer; // as above
    grown.set(this.#buffer.subarray(0, Math.min(this.pos, bytes)));
    this.#buffer = grown;
    this.#limit = bytes - SLACK_BYTES;
  }

  #considerShrinking(): void {
    this.#smallMessages = this.pos * 4 < this.#buffer.length ? this.#smallMessages + 1 : 0;
    if (this.#smallMessages <= SMALL_MESSAGES_MAX) return;
    this.#smallMessages = 0;
    this.pos = 0;
    this.#resize(INITIAL_BYTES);
  }
}

/** One character that is not ASCII; `next` is what follows a surrogate. */
function writeCharacter(buffer: Uint8Array, start: number, code: number, next: number, name: string): number {
  let pos = start;
  if (code < 0x800) buffer[pos] = 0xc0 | (code >> 6);
  else {
    if (next === 0) {
      if (code >= 0xd800 && code < 0xe000) throw loneSurrogate(name);
      buffer[pos] = 0xe0 | (code >> 12);
    } else {
      if (code >= 0xdc00 || next < 0xdc00 || next >= 0xe000) throw loneSurrogate(name);
      const point = 0x10000 + ((code & 0x3ff) << 10) + (next & 0x3ff);
      buffer[pos] = 0xf0 | (point >> 18);
      buffer[pos + 1] = 0x80 | ((point >> 12) & 0x3f);
      buffer[pos + 2] = 0x80 | ((point >> 6) & 0x3f);
      buffer[pos + 3] = 0x80 | (point & 0x3f);
      return pos + 4;
    }
    pos += 1;
    buffer[pos] = 0x80 | ((code >> 6) & 0x3f);
  }
  buffer[pos + 1] = 0x80 | (code & 0x3f);
  return pos + 2;
}

function loneSurrogate(name: string): FieldError {
  return new FieldError(name, 'expected Unicode text, got half of a surrogate pair');
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/** Writes `value` into HALVES. @throws FieldError when it is not a whole number within the 64 bits */
function splitLong(value: unknown, isSigned: boolean, name: string): void {
  if (typeof value === 'bigint') {
    if (isSigned ? value > INT64_MAX || value < INT64_MIN : value < 0n || value > UINT64_MAX) {
      throw outOfRange(value, isSigned, name);
    }
    LONG[0] = value;
    return;
  }
  LONG[0] = toLong(value, isSigned, name);
}

/**
 * What stands for a 64-bit integer, as a bigint: a bigint, a safe integer, or decimal text.
 * @throws FieldError
 */
export function toLong(value: unknown, isSigned: boolean, name: string): bigint {
  let long: bigint;
  if (typeof value === 'bigint') long = value;
  else if (typeof value === 'number' && Number.isSafeInteger(value)) long = BigInt(value);
  else if (typeof value === 'string' && DECIMAL.test(value)) long = BigInt(value);
  else {
    const hint =
      typeof value === 'number' && Number.isInteger(value) ? ': too large to be exact, give a bigint' : '';
    throw new FieldError(name, `expected a 64-bit integer, got ${describe(value)}${hint}`);
  }
  if (isSigned ? long > INT64_MAX || long < INT64_MIN : long < 0n || long > UINT64_MAX) {
    throw outOfRange(long, isSigned, name);
  }
  return long;
}

function outOfRange(value: bigint, isSigned: boolean, name: string): FieldError {
  return new FieldError(name, `${value} is outside of ${isSigned ? 'int64' : 'uint64'}`);
}
