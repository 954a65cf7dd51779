// What a key holds: a string value, or a container. And the two ends of their encoding in snapshots.
// kv/machine/values has the containers. Encodings are canonical: equal content gives equal bytes, whatever its history.

import { KvError } from '../errors.js';
import { type Bytes, latin1, writeLatin1, writeU32 } from './bytes.js';

export type { Bytes } from './bytes.js';

export type ContainerType = 'hash' | 'list' | 'set' | 'zset' | 'stream';
export type ValueType = 'string' | ContainerType;
export type Value = Bytes | Container;

/** A value that is changed in place. */
export interface Container {
  readonly type: ContainerType;
  /** Members; at 0 the key goes. A stream may be empty and stay, see `keepEmpty`. */
  readonly size: number;
  /** True for what exists without members, such as a stream. Default false. */
  readonly keepEmpty?: boolean;
  /** An estimate that depends on the content only, not on how it came to be: it decides over the quota on every member. */
  readonly memoryBytes: number;
  /** A copy that shares nothing that changes. */
  clone(): Container;
  encode(writer: ValueWriter): void;
}

export type ContainerDecoder = (reader: ValueReader) => Container;

/** Counted for a string value of so many bytes, whether it is kept as string or as Buffer. */
export function stringMemoryBytes(length: number): number {
  return (16 + length + 7) & ~7;
}

/** Writes values into a growing buffer. */
export class ValueWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** 0 … 255. */
  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** A whole number from 0 to 2^53 - 1, in groups of seven bits, the lowest first. */
  uint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest > 0x7fff_ffff) {
      this.#bytes[this.#length] = (rest % 128) | 128;
      this.#length += 1;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#bytes[this.#length] = (rest & 127) | 128;
      this.#length += 1;
      rest >>>= 7;
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
  }

  /** Any number, its eight bytes as they are. */
  double(value: number): void {
    this.#room(8);
    this.#bytes.writeDoubleLE(value, this.#length);
    this.#length += 8;
  }

  /** Length and bytes of a string value; a string and a Buffer of the same bytes give the same. */
  bytes(value: Bytes): void {
    this.uint(value.length);
    this.#room(value.length);
    if (typeof value === 'string') writeLatin1(this.#bytes, value, this.#length);
    else this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Four bytes, little-endian. */
  u32(value: number): void {
    this.#room(4);
    writeU32(this.#bytes, value, this.#length);
    this.#length += 4;
  }

  /** Bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was written since the last clear(): a view, valid until the next call. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
    // One huge value shall not hold its memory for ever.
    if (this.#bytes.length > 2 ** 22) this.#bytes = Buffer.allocUnsafeSlow(4096);
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what a ValueWriter wrote. @throws KvError KV_SNAPSHOT_DAMAGED from every method: the bytes are not that. */
export class ValueReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  byte(): number {
    this.#need(1);
    const value = this.#bytes[this.#at]!;
    this.#at += 1;
    return value;
  }

  uint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
      if (scale > 2 ** 49) throw damaged('a number does not end');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw damaged('a number above 2^53');
    return value;
  }

  /** A count of things of at least `bytesEach` bytes; never more than are there, so that it may size an array. */
  count(bytesEach = 1): number {
    const count = this.uint();
    if (count * bytesEach > this.#end - this.#at) throw damaged('a count is above what follows');
    return count;
  }

  double(): number {
    this.#need(8);
    const value = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8).getFloat64(0, true);
    this.#at += 8;
    return value;
  }

  /** A string of its own. */
  string(): string {
    const start = this.#take();
    return latin1(this.#bytes, start, this.#at);
  }

  /** A Buffer of its own. */
  buffer(): Buffer {
    const start = this.#take();
    return Buffer.from(this.#bytes.subarray(start, this.#at));
  }

  #take(): number {
    const length = this.uint();
    this.#need(length);
    const start = this.#at;
    this.#at += length;
    return start;
  }

  #need(bytes: number): void {
    if (bytes > this.#end - this.#at) throw damaged('a value is cut off');
  }
}

export function damaged(what: string): KvError {
  return new KvError('KV_SNAPSHOT_DAMAGED', `the state in a snapshot is damaged: ${what}`);
}
