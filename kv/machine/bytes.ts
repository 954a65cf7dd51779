// Bytes as strings with one character per byte, and little-endian numbers inside byte arrays.
// Buffer's own slices are called without a Buffer around the bytes, which would cost more than the slice.

/** A string value: a string with one character per byte, or, once changed in place, a Buffer of its own. */
export type Bytes = string | Buffer;

type Slice = (this: Uint8Array, start: number, end: number) => string;
type Write = (this: Uint8Array, text: string, at: number) => number;
const { latin1Slice, latin1Write } = Buffer.prototype as unknown as {
  latin1Slice: Slice;
  latin1Write: Write;
};

const TWO_32 = 2 ** 32;
/** Below this many bytes a loop beats the call into C++. */
const SHORT_BYTES = 12;
/** The same for a view and a copy. */
const COPIED_SHORT_BYTES = 64;

/** The bytes from `start` to before `end` as a string of its own. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/** Writes one byte per character. The caller has made room. */
export function writeLatin1(bytes: Uint8Array, text: string, at: number): void {
  if (text.length > SHORT_BYTES) {
    latin1Write.call(bytes, text, at);
    return;
  }
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
}

/** Copies `source[start, end)` to `target` at `at`. The caller has made room. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): void {
  if (end - start > COPIED_SHORT_BYTES) {
    target.set(source.subarray(start, end), at);
    return;
  }
  for (let from = start, to = at; from < end; from += 1, to += 1) target[to] = source[from]!;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Exact up to 2^53; beyond, the nearest double, which is no safe integer. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * TWO_32;
}

export function writeU32(bytes: Uint8Array, value: number, at: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** A whole number from 0 to 2^53 - 1. */
export function writeU64(bytes: Uint8Array, value: number, at: number): void {
  writeU32(bytes, value % TWO_32, at);
  writeU32(bytes, Math.floor(value / TWO_32), at + 4);
}

/** The characters of a string value. A Buffer is copied. */
export function textOf(value: Bytes): string {
  return typeof value === 'string' ? value : latin1(value, 0, value.length);
}
