// The value of a set key: its members in a dense array with a map over it (dense-keys.ts).

import type { Container, ValueReader, ValueWriter } from '../value.js';
import { DenseKeys } from './dense-keys.js';

export class SetValue implements Container {
  readonly type = 'set';
  readonly #members: DenseKeys;

  constructor(members: DenseKeys = new DenseKeys()) {
    this.#members = members;
  }

  /** Of members that are all different. */
  static of(members: string[]): SetValue {
    return new SetValue(new DenseKeys(members));
  }

  get size(): number {
    return this.#members.size;
  }

  get memoryBytes(): number {
    return 48 + this.#members.memoryBytes;
  }

  /** In the order of the array; not to be changed. */
  get members(): readonly string[] {
    return this.#members.keys;
  }

  has(member: string): boolean {
    return this.#members.find(member) !== -1;
  }

  /** True when the member is new. */
  add(member: string): boolean {
    if (this.#members.find(member) !== -1) return false;
    this.#members.push(member);
    return true;
  }

  /** True when the member was there. */
  delete(member: string): boolean {
    const place = this.#members.find(member);
    if (place === -1) return false;
    this.#members.remove(place);
    return true;
  }

  clone(): SetValue {
    return new SetValue(this.#members.clone());
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.size);
    for (const member of this.members) writer.bytes(member);
  }

  static decode(reader: ValueReader): SetValue {
    const members: string[] = [];
    for (let left = reader.count(); left > 0; left -= 1) members.push(reader.string());
    return SetValue.of(members);
  }
}
