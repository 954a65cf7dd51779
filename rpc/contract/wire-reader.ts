// Reads protobuf's wire format and never past its end, whatever the bytes say.
// The functions that decoder.ts compiles call it. One reader serves a whole thread: nothing here calls foreign code.

import { isUtf8 } from 'node:buffer';
import { FieldError } from './field-error.js';
import { MESSAGE_DEPTH_MAX } from './schema.js';

/** Shorter text is put together from character codes; node's own reader costs more to call than that. */
const SHORT_TEXT_MAX = 12;
const SHORT_COPY_MAX = 24;
/** Typed arrays up to here are plain objects of V8. */
const HEAP_BYTES_MAX = 64;
const SLAB_BYTES = 16 * 1024;
const SLAB_FIELD_BYTES_MAX = 2048;
let slab: ArrayBuffer = new ArrayBuffer(SLAB_BYTES);
let slabUsedBytes = 0;
const EMPTY = new Uint8Array(0);

const HALVES = new Uint32Array(2);
const SIGNED = new BigInt64Array(HALVES.buffer);
const UNSIGNED = new BigUint64Array(HALVES.buffer);
const NUMBER = new Float64Array(HALVES.buffer);
const SINGLE = new Float32Array(HALVES.buffer);

/** Works on every Uint8Array, though only Buffer's types and prototype have it. */
type Slice = (this: Uint8Array, start: number, end: number) => string;
const { utf8Slice, latin1Slice } = Buffer.prototype as unknown as { utf8Slice: Slice; latin1Slice: Slice };

export class WireReader {
  pos: number = 0;
  /** Where the innermost message ends. */
  end: number = 0;
  #bytes: Uint8Array = EMPTY;

  start(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.pos = 0;
    this.end = bytes.length;
  }

  /** Lets go of the bytes. */
  finish(): void {
    this.#bytes = EMPTY;
  }

  /** @returns the end of what surrounds, for `leave` */
  enter(): number {
    const outer = this.end;
    const length = this.uint32();
    if (length > outer - this.pos) throw truncated();
    this.end = this.pos + length;
    return outer;
  }

  leave(outer: number): void {
    this.end = outer;
  }

  /** Enters what lies between a group's start tag, just read, and its end tag. */
  enterGroup(number: number, depth: number): number {
    const outer = this.end;
    const start = this.pos;
    this.end = this.#skipGroup(number, depth);
    this.pos = start;
    return outer;
  }

  /** Leaves it behind its end tag. */
  leaveGroup(outer: number): void {
    this.pos = this.end;
    this.end = outer;
    this.uint32(); // the end tag
  }

  uint32(): number {
    const bytes = this.#bytes;
    const { end } = this;
    let { pos } = this;
    if (pos >= end) throw truncated();
    let byte = bytes[pos]!;
    pos += 1;
    if (byte < 0x80) {
      this.pos = pos;
      return byte;
    }
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      if (pos >= end) throw truncated();
      byte = bytes[pos]!;
      pos += 1;
      if (shift < 32) value |= (byte & 0x7f) << shift; // higher bits fall off, as for every reader of 32 bits
      if (byte < 0x80) {
        this.pos = pos;
        return value >>> 0;
      }
    }
    throw malformed('a number of more than 10 bytes');
  }

  tag(): number {
    const start = this.pos;
    const tag = this.uint32();
    if (tag < 8) throw malformed('a field numbered 0');
    if (this.pos - start > 5) throw malformed('a tag of more than 5 bytes');
    return tag;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const value = this.uint32();
    return ((value >>> 1) ^ -(value & 1)) | 0;
  }

  bool(): boolean {
    const bytes = this.#bytes;
    if (this.pos < this.end && bytes[this.pos]! < 0x80) {
      this.pos += 1;
      return bytes[this.pos - 1] !== 0;
    }
    this.#varint64();
    return HALVES[0] !== 0 || HALVES[1] !== 0;
  }

  int64(): bigint {
    this.#varint64();
    return SIGNED[0]!;
  }

  uint64(): bigint {
    this.#varint64();
    return UNSIGNED[0]!;
  }

  sint64(): bigint {
    this.#varint64();
    const low = HALVES[0]!;
    const high = HALVES[1]!;
    const sign = -(low & 1);
    HALVES[0] = ((low >>> 1) | (high << 31)) ^ sign;
    HALVES[1] = (high >>> 1) ^ sign;
    return SIGNED[0]!;
  }

  fixed32(): number {
    const { pos } = this;
    if (pos + 4 > this.end) throw truncated();
    const bytes = this.#bytes;
    this.pos = pos + 4;
    return (bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16) | (bytes[pos + 3]! << 24)) >>> 0;
  }

  sfixed32(): number {
    return this.fixed32() | 0;
  }

  fixed64(): bigint {
    this.#fixed64();
    return UNSIGNED[0]!;
  }

  sfixed64(): bigint {
    this.#fixed64();
    return SIGNED[0]!;
  }

  float(): number {
    HALVES[0] = this.fixed32();
    return SINGLE[0]!;
  }

  double(): number {
    this.#fixed64();
    return NUMBER[0]!;
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.uint32();
    const start = this.pos;
    if (length > this.end - start) throw truncated();
    if (length === 0) return new Uint8Array(0);
    this.pos = start + length;
    const bytes = this.#bytes;
    const copy = newBytes(length);
    if (length <= SHORT_COPY_MAX) {
      for (let index = 0; index < length; index += 1) copy[index] = bytes[start + index]!;
    } else copy.set(bytes.subarray(start, start + length));
    return copy;
  }

  string(): string {
    const length = this.uint32();
    const start = this.pos;
    if (length > this.end - start) throw truncated();
    const end = start + length;
    this.pos = end;
    if (length <= SHORT_TEXT_MAX) return this.#shortText(start, length);
    const text = utf8Slice.call(this.#bytes, start, end);
    // Where bytes are no UTF-8, node puts U+FFFD; a text may also have that by itself.
    if (text.includes('\uFFFD') && !isUtf8(this.#bytes.subarray(start, end))) throw notText();
    return text;
  }

  /** Skips a field that the schema does not know. */
  skip(tag: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        this.uint32();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.uint32());
        return;
      case 3:
        this.#skipGroup(tag >>> 3, depth);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw malformed((tag & 7) === 4 ? 'the end of a group that never began' : `wire type ${tag & 7}`);
    }
  }

  /** @returns where its end tag begins */
  #skipGroup(number: number, depth: number): number {
    if (depth > MESSAGE_DEPTH_MAX) throw tooDeep();
    for (;;) {
      const start = this.pos;
      const tag = this.tag();
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== number) throw malformed('groups that overlap');
        return start;
      }
      this.skip(tag, depth + 1);
    }
  }

  #advance(bytes: number): void {
    if (bytes > this.end - this.pos) throw truncated();
    this.pos += bytes;
  }

  #varint64(): void {
    const bytes = this.#bytes;
    const { end } = this;
    let { pos } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (pos >= end) throw truncated();
      const byte = bytes[pos]!;
      pos += 1;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.pos = pos;
        HALVES[0] = low;
        HALVES[1] = high;
        return;
      }
    }
    throw malformed('a number of more than 10 bytes');
  }

  #fixed64(): void {
    const low = this.fixed32();
    HALVES[1] = this.fixed32();
    HALVES[0] = low;
  }

  #shortText(start: number, length: number): string {
    const bytes = this.#bytes;
    let all = 0;
    for (let index = 0; index < length; index += 1) all |= bytes[start + index]!;
    if (all < 0x80) {
      const b = (index: number): number => bytes[start + index]!;
      const { fromCharCode } = String;
      switch (length) {
        case 0:
          return '';
        case 1:
          return fromCharCode(b(0));
        case 2:
          return fromCharCode(b(0), b(1));
        case 3:
          return fromCharCode(b(0), b(1), b(2));
        case 4:
          return fromCharCode(b(0), b(1), b(2), b(3));
        case 5:
          return fromCharCode(b(0), b(1), b(2), b(3), b(4));
        case 6:
          return fromCharCode(b(0), b(1), b(2), b(3), b(4), b(5));
        default:
          return latin1Slice.call(bytes, start, start + length);
      }
    }
    const text = utf8Slice.call(bytes, start, start + length);
    if (text.includes('\uFFFD') && !isUtf8(bytes.subarray(start, start + length))) throw notText();
    return text;
  }
}

/**
 * Memory for a byte field. Between what V8 keeps in its own heap and what is worth an allocation of its own, fields share
 * a slab, as node's Buffers do.
 */
function newBytes(length: number): Uint8Array {
  if (length <= HEAP_BYTES_MAX || length > SLAB_FIELD_BYTES_MAX) return new Uint8Array(length);
  if (slabUsedBytes + length > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsedBytes = 0;
  }
  const bytes = new Uint8Array(slab, slabUsedBytes, length);
  slabUsedBytes += (length + 7) & ~7; // typed arrays over it may want to be aligned
  return bytes;
}

export function tooDeep(): FieldError {
  return new FieldError('', `messages are nested deeper than ${MESSAGE_DEPTH_MAX}`);
}

function truncated(): FieldError {
  return new FieldError('', 'the bytes end too early');
}

function malformed(what: string): FieldError {
  return new FieldError('', `malformed bytes: ${what}`);
}

function notText(): FieldError {
  return new FieldError('', 'malformed bytes: text that is not UTF-8');
}
