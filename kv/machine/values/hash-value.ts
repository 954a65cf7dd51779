// The value of a hash key: fields in a dense array (dense-keys.ts), their values in a second one beside it.

import { type Container, stringMemoryBytes, type ValueReader, type ValueWriter } from '../value.js';
import { DenseKeys } from './dense-keys.js';

export class HashValue implements Container {
  readonly type = 'hash';
  readonly #fields: DenseKeys;
  readonly #values: string[];
  #valueBytes = 0;

  constructor(fields: DenseKeys = new DenseKeys(), values: string[] = []) {
    this.#fields = fields;
    this.#values = values;
    for (const value of values) this.#valueBytes += 8 + stringMemoryBytes(value.length);
  }

  get size(): number {
    return this.#values.length;
  }

  get memoryBytes(): number {
    return 64 + this.#fields.memoryBytes + this.#valueBytes;
  }

  /** In the order of the array; not to be changed. `values` goes with it place by place. */
  get fields(): readonly string[] {
    return this.#fields.keys;
  }

  get values(): readonly string[] {
    return this.#values;
  }

  has(field: string): boolean {
    return this.#fields.find(field) !== -1;
  }

  get(field: string): string | undefined {
    const place = this.#fields.find(field);
    return place === -1 ? undefined : this.#values[place];
  }

  /** True when the field is new. */
  set(field: string, value: string): boolean {
    const place = this.#fields.find(field);
    this.#valueBytes += 8 + stringMemoryBytes(value.length);
    if (place !== -1) {
      this.#valueBytes -= 8 + stringMemoryBytes(this.#values[place]!.length);
      this.#values[place] = value;
      return false;
    }
    this.#fields.push(field);
    this.#values.push(value);
    return true;
  }

  /** True when the field was there. */
  delete(field: string): boolean {
    const place = this.#fields.find(field);
    if (place === -1) return false;
    this.#valueBytes -= 8 + stringMemoryBytes(this.#values[place]!.length);
    this.#fields.remove(place);
    const last = this.#values.pop()!;
    if (place < this.#values.length) this.#values[place] = last;
    return true;
  }

  clone(): HashValue {
    return new HashValue(this.#fields.clone(), this.#values.slice());
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.size);
    for (let place = 0; place < this.#values.length; place += 1) {
      writer.bytes(this.fields[place]!);
      writer.bytes(this.#values[place]!);
    }
  }

  static decode(reader: ValueReader): HashValue {
    const fields: string[] = [];
    const values: string[] = [];
    for (let left = reader.count(); left > 0; left -= 1) {
      fields.push(reader.string());
      values.push(reader.string());
    }
    return new HashValue(new DenseKeys(fields), values);
  }
}
