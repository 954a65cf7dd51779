// The value of a list key: chunks of up to 128 elements in an array. Both ends are O(1), an index is found by walking
// over chunk sizes from the nearer end, and an insertion moves elements of one chunk.
// How elements lie in chunks is this copy's own matter: it shows in no answer and in no snapshot.

import { type Container, stringMemoryBytes, type ValueReader, type ValueWriter } from '../value.js';

const CHUNK_MAX = 128;

interface Place {
  chunk: number;
  offset: number;
}

export class ListValue implements Container {
  readonly type = 'list';
  /** None is empty. */
  #chunks: string[][] = [];
  #size = 0;
  #bytes = 0;

  static of(items: Iterable<string>): ListValue {
    const list = new ListValue();
    for (const item of items) list.pushTail(item);
    return list;
  }

  get size(): number {
    return this.#size;
  }

  get memoryBytes(): number {
    // By the content alone, not by how it lies in chunks.
    return 128 + this.#bytes + this.#size * 11;
  }

  pushHead(item: string): void {
    const first = this.#chunks[0];
    if (first === undefined || first.length >= CHUNK_MAX) this.#chunks.unshift([item]);
    else first.unshift(item);
    this.#count(item, 1);
  }

  pushTail(item: string): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.length >= CHUNK_MAX) this.#chunks.push([item]);
    else last.push(item);
    this.#count(item, 1);
  }

  popHead(): string | undefined {
    const first = this.#chunks[0];
    if (first === undefined) return undefined;
    const item = first.shift()!;
    if (first.length === 0) this.#chunks.shift();
    this.#count(item, -1);
    return item;
  }

  popTail(): string | undefined {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined) return undefined;
    const item = last.pop()!;
    if (last.length === 0) this.#chunks.pop();
    this.#count(item, -1);
    return item;
  }

  /** `index` is from 0 to size - 1, as in all methods here. */
  get(index: number): string {
    const { chunk, offset } = this.#find(index);
    return this.#chunks[chunk]![offset]!;
  }

  set(index: number, item: string): void {
    const { chunk, offset } = this.#find(index);
    const items = this.#chunks[chunk]!;
    this.#bytes += stringMemoryBytes(item.length) - stringMemoryBytes(items[offset]!.length);
    items[offset] = item;
  }

  /** Puts `item` before the element at `index`; at the end when `index` is the size. */
  insert(index: number, item: string): void {
    if (index === this.#size) {
      this.pushTail(item);
      return;
    }
    const { chunk, offset } = this.#find(index);
    const items = this.#chunks[chunk]!;
    items.splice(offset, 0, item);
    if (items.length > CHUNK_MAX) this.#chunks.splice(chunk + 1, 0, items.splice(CHUNK_MAX >>> 1));
    this.#count(item, 1);
  }

  /** Keeps the elements from `start` up to but without `end`. */
  trim(start: number, end: number): void {
    if (start >= end) {
      this.#chunks = [];
      this.#size = 0;
      this.#bytes = 0;
      return;
    }
    let over = this.#size - end;
    while (over > 0) {
      const last = this.#chunks[this.#chunks.length - 1]!;
      if (last.length > over) {
        for (const item of last.splice(last.length - over)) this.#count(item, -1);
        break;
      }
      for (const item of last) this.#count(item, -1);
      over -= last.length;
      this.#chunks.pop();
    }
    this.#trimHead(start);
  }

  /** Index of the first element equal to `item` from the head, or of the last; -1 when there is none. */
  indexOf(item: string, fromTail = false): number {
    if (fromTail) {
      let end = this.#size;
      for (let chunk = this.#chunks.length - 1; chunk >= 0; chunk -= 1) {
        const items = this.#chunks[chunk]!;
        end -= items.length;
        const offset = items.lastIndexOf(item);
        if (offset !== -1) return end + offset;
      }
      return -1;
    }
    let start = 0;
    for (const items of this.#chunks) {
      const offset = items.indexOf(item);
      if (offset !== -1) return start + offset;
      start += items.length;
    }
    return -1;
  }

  /** Removes up to `most` elements equal to `item`, from the head or from the tail; says how many. */
  removeEqual(item: string, most: number, fromTail: boolean): number {
    let removed = 0;
    const step = fromTail ? -1 : 1;
    for (
      let chunk = fromTail ? this.#chunks.length - 1 : 0;
      chunk >= 0 && chunk < this.#chunks.length && removed < most;
      chunk += step
    ) {
      const items = this.#chunks[chunk]!;
      let offset = fromTail ? items.lastIndexOf(item) : items.indexOf(item);
      while (offset !== -1 && removed < most) {
        items.splice(offset, 1);
        removed += 1;
        // A negative start would count from the end again.
        if (fromTail) offset = offset === 0 ? -1 : items.lastIndexOf(item, offset - 1);
        else offset = items.indexOf(item, offset);
      }
    }
    this.#chunks = this.#chunks.filter((items) => items.length > 0);
    this.#size -= removed;
    this.#bytes -= removed * stringMemoryBytes(item.length);
    return removed;
  }

  /** The elements from `start` up to but without `end`. */
  slice(start: number, end: number): string[] {
    if (start >= end) return [];
    let { chunk, offset } = this.#find(start);
    let left = end - start;
    const found: string[] = [];
    while (left > 0) {
      const items = this.#chunks[chunk]!;
      const until = Math.min(items.length, offset + left);
      for (let at = offset; at < until; at += 1) found.push(items[at]!);
      left -= until - offset;
      chunk += 1;
      offset = 0;
    }
    return found;
  }

  *items(): Generator<string, void, undefined> {
    for (const items of this.#chunks) yield* items;
  }

  clone(): ListValue {
    const list = new ListValue();
    list.#chunks = this.#chunks.map((items) => items.slice());
    list.#size = this.#size;
    list.#bytes = this.#bytes;
    return list;
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.#size);
    for (const items of this.#chunks) for (const item of items) writer.bytes(item);
  }

  static decode(reader: ValueReader): ListValue {
    const list = new ListValue();
    for (let left = reader.count(); left > 0; left -= 1) list.pushTail(reader.string());
    return list;
  }

  #trimHead(count: number): void {
    let over = count;
    let chunks = 0;
    while (over > 0) {
      const first = this.#chunks[chunks]!;
      if (first.length > over) {
        for (const item of first.splice(0, over)) this.#count(item, -1);
        break;
      }
      for (const item of first) this.#count(item, -1);
      over -= first.length;
      chunks += 1;
    }
    if (chunks > 0) this.#chunks.splice(0, chunks);
  }

  #find(index: number): Place {
    if (index <= this.#size >>> 1) {
      let chunk = 0;
      let offset = index;
      while (offset >= this.#chunks[chunk]!.length) {
        offset -= this.#chunks[chunk]!.length;
        chunk += 1;
      }
      return { chunk, offset };
    }
    let chunk = this.#chunks.length - 1;
    let start = this.#size - this.#chunks[chunk]!.length;
    while (start > index) {
      chunk -= 1;
      start -= this.#chunks[chunk]!.length;
    }
    return { chunk, offset: index - start };
  }

  #count(item: string, sign: 1 | -1): void {
    this.#size += sign;
    this.#bytes += sign * stringMemoryBytes(item.length);
  }
}
