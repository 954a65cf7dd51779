// The value of a stream key: entries by id in a skip list, an id being 16 bytes (ms, sequence; big-endian) as a string.
// Ids only grow: the last one given is kept even when its entry is gone, also in snapshots.

import { SkipList } from '../../skip-list.js';
import { type Container, damaged, stringMemoryBytes, type ValueReader, type ValueWriter } from '../value.js';
import { towerHeights } from './tower-heights.js';

const PART_MAX = 0xffff_ffff_ffff_ffffn;
const ID_BYTES = 16;
const SCRATCH = Buffer.alloc(ID_BYTES);

export interface StreamId {
  readonly ms: bigint;
  readonly sequence: bigint;
}

export interface StreamEntry {
  readonly id: StreamId;
  /** Fields and values in turn. */
  readonly flat: readonly string[];
}

export const STREAM_ID_MIN: StreamId = { ms: 0n, sequence: 0n };
export const STREAM_ID_MAX: StreamId = { ms: PART_MAX, sequence: PART_MAX };

export class StreamValue implements Container {
  readonly type = 'stream';
  readonly keepEmpty = true;
  readonly #entries: SkipList<readonly string[]> = new SkipList(towerHeights());
  #lastId: StreamId = STREAM_ID_MIN;
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  get memoryBytes(): number {
    // 32: an id. 30: its places in a leaf and the leaf's share of a tower.
    return 7_000 + this.#bytes + this.size * (32 + 30);
  }

  get lastId(): StreamId {
    return this.#lastId;
  }

  /** `id` is above lastId. */
  append(id: StreamId, flat: readonly string[]): void {
    this.#entries.set(idKey(id), flat);
    this.#bytes += flatBytes(flat);
    this.#lastId = id;
  }

  delete(id: StreamId): boolean {
    const key = idKey(id);
    const flat = this.#entries.get(key);
    if (flat === undefined) return false;
    this.#bytes -= flatBytes(flat);
    return this.#entries.delete(key);
  }

  /** Entries from `low` to `high`, both included, at most `limit`. */
  range(low: StreamId, high: StreamId, reverse: boolean, limit: number): StreamEntry[] {
    if (limit <= 0 || compareIds(low, high) > 0) return [];
    const page = this.#entries.scan({ from: idKey(low), through: idKey(high), reverse, limit });
    return page.entries.map(({ key, value }) => ({ id: idOf(key), flat: value }));
  }

  /** Removes the oldest entries until `count` are left; says how many went. */
  trimToLength(count: number): number {
    return this.#removeFirst(Math.max(0, this.size - count));
  }

  /** Removes the entries below `id`; says how many went. */
  trimBelow(id: StreamId): number {
    return this.#removeFirst(this.#entries.rank(idKey(id)));
  }

  /** Whether fields have values and no entry is above the last id: what decode() takes for granted. */
  get isSound(): boolean {
    let isSound = true;
    let last = '';
    this.#entries.visit((key, flat) => {
      last = key;
      if (flat.length === 0 || flat.length % 2 === 1) isSound = false;
    });
    return isSound && last <= idKey(this.#lastId);
  }

  clone(): StreamValue {
    const copy = new StreamValue();
    this.#entries.visit((key, flat) => copy.append(idOf(key), flat));
    copy.#lastId = this.#lastId;
    return copy;
  }

  encode(writer: ValueWriter): void {
    writer.bytes(idKey(this.#lastId));
    writer.uint(this.size);
    this.#entries.visit((key, flat) => {
      writer.bytes(key);
      writer.uint(flat.length);
      for (const item of flat) writer.bytes(item);
    });
  }

  static decode(reader: ValueReader): StreamValue {
    const stream = new StreamValue();
    const lastId = readId(reader);
    let before: StreamId | null = null;
    for (let left = reader.count(); left > 0; left -= 1) {
      const id = readId(reader);
      if (before !== null && compareIds(id, before) <= 0) throw damaged('stream entries are out of order');
      before = id;
      const flat: string[] = [];
      for (let items = reader.count(); items > 0; items -= 1) flat.push(reader.string());
      stream.append(id, flat);
    }
    stream.#lastId = lastId;
    return stream;
  }

  #removeFirst(count: number): number {
    for (let left = count; left > 0; left -= 1) {
      const { key, value } = this.#entries.first()!;
      this.#bytes -= flatBytes(value);
      this.#entries.delete(key);
    }
    return count;
  }
}

export function compareIds(a: StreamId, b: StreamId): number {
  if (a.ms !== b.ms) return a.ms < b.ms ? -1 : 1;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
  return 0;
}

/** The id right above; null above the highest. */
export function idAfter(id: StreamId): StreamId | null {
  if (id.sequence < PART_MAX) return { ms: id.ms, sequence: id.sequence + 1n };
  return id.ms < PART_MAX ? { ms: id.ms + 1n, sequence: 0n } : null;
}

/** The id right below; null below the lowest. */
export function idBefore(id: StreamId): StreamId | null {
  if (id.sequence > 0n) return { ms: id.ms, sequence: id.sequence - 1n };
  return id.ms > 0n ? { ms: id.ms - 1n, sequence: PART_MAX } : null;
}

export function idText(id: StreamId): string {
  return `${id.ms}-${id.sequence}`;
}

function idKey(id: StreamId): string {
  SCRATCH.writeBigUInt64BE(id.ms, 0);
  SCRATCH.writeBigUInt64BE(id.sequence, 8);
  return SCRATCH.toString('latin1');
}

function idOf(key: string): StreamId {
  SCRATCH.write(key, 0, 'latin1');
  return { ms: SCRATCH.readBigUInt64BE(0), sequence: SCRATCH.readBigUInt64BE(8) };
}

function readId(reader: ValueReader): StreamId {
  const key = reader.string();
  if (key.length !== ID_BYTES) throw damaged('a stream id is not of its length');
  return idOf(key);
}

function flatBytes(flat: readonly string[]): number {
  let bytes = 32;
  for (const item of flat) bytes += 8 + stringMemoryBytes(item.length);
  return bytes;
}
