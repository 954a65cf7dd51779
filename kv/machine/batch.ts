// A batch: the data of one `normal` entry of the log, many commands of one member under one head.
// kv/node fills one per turn (BatchWriter) and the machine walks it (BatchReader) without copying.
// Head, 40 bytes, little-endian: u8 version | u8 flags | u16 0 | u32 origin | u64 boot | u64 sequence | u64 timeMs |
//   u32 items | u32 0. Item: u8 kind | u8 flags | u16 0 | u32 payload bytes | payload (batch-items.ts).
// Whole numbers of 64 bits stay below 2^53. docs/kv-machine.md has all of it.

import {
  BATCH_HEAD_BYTES,
  BATCH_VERSION,
  ITEMS_AT,
  type Origin,
  SEQUENCE_AT,
  TIME_AT,
} from './batch-head.js';
import { writeU32, writeU64 } from './bytes.js';

export {
  type EncodedItems,
  type ItemKind,
  ITEM_EXEC,
  ITEM_EXEC_SINCE,
  ITEM_HEAD_BYTES,
  ITEM_NATIVE,
  ITEM_REDIS,
  ITEM_SETTING,
  ItemWriter,
  READ_ONLY,
  type Watch,
} from './batch-items.js';
export {
  BATCH_HEAD_BYTES,
  BATCH_VERSION,
  checkHead,
  itemCountOf,
  type Origin,
  originOf,
  stampTime,
  timeOf,
} from './batch-head.js';
export { BatchReader } from './batch-reader.js';

/** Collects items into one buffer. One batch after another; `take` hands the bytes off for good. */
export class BatchWriter {
  #bytes: Buffer = Buffer.allocUnsafe(4096);
  #length = BATCH_HEAD_BYTES;
  #count = 0;

  /** Items so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes that `take` would give now. */
  get bytes(): number {
    return this.#length;
  }

  /** Appends what an ItemWriter made; `items.bytes` is copied. */
  add(items: { readonly bytes: Uint8Array; readonly count: number }): void {
    const end = this.#length + items.bytes.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#bytes.set(items.bytes, this.#length);
    this.#length = end;
    this.#count += items.count;
  }

  /** The batch, which the caller owns from here; the writer is empty again. */
  take(origin: Origin, timeMs: number): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    writeU32(bytes, BATCH_VERSION, 0);
    writeU32(bytes, origin.origin, 4);
    writeU64(bytes, origin.boot, 8);
    writeU64(bytes, origin.sequence, SEQUENCE_AT);
    writeU64(bytes, timeMs, TIME_AT);
    writeU32(bytes, this.#count, ITEMS_AT);
    writeU32(bytes, 0, ITEMS_AT + 4);
    // A next batch of about this size then needs no growth, and a single huge one does not set the measure.
    const next = Math.min(Math.max(4096, this.#length + (this.#length >>> 2)), 2 ** 20 + 4096);
    this.#bytes = Buffer.allocUnsafeSlow(next);
    this.#length = BATCH_HEAD_BYTES;
    this.#count = 0;
    return bytes;
  }

  #grow(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

/** A batch without items, which only brings the time forward (and removes what has expired by then). */
export function timeBatch(origin: Origin, timeMs: number): Buffer {
  return new BatchWriter().take(origin, timeMs);
}
