// The numbers of sequential keys: one counter per prefix, which never goes back, whatever becomes of the keys.
// As many prefixes are remembered as COUNTERS_MAX says. When the least recently used one is let go, its number becomes
// the floor of all prefixes that are not remembered: a prefix that comes back may skip numbers and never repeats one.

import type { ValueReader, ValueWriter } from '../value.js';
import { COUNTERS_MAX } from './native-limits.js';

/** Counted for each prefix beside its own bytes. */
const COUNTER_BYTES = 80;

export class Counters {
  /** In the order of their last use. */
  readonly #numbers = new Map<string, number>();
  #floor = 0;
  #bytes = 0;

  get size(): number {
    return this.#numbers.size;
  }

  get memoryBytes(): number {
    return this.#bytes;
  }

  next(prefix: string): number {
    const last = this.#numbers.get(prefix);
    const number = (last ?? this.#floor) + 1;
    if (last === undefined) this.#bytes += prefix.length + COUNTER_BYTES;
    else this.#numbers.delete(prefix);
    this.#numbers.set(prefix, number);
    if (this.#numbers.size > COUNTERS_MAX) {
      const [oldest, reached] = this.#numbers.entries().next().value!;
      this.#numbers.delete(oldest);
      this.#bytes -= oldest.length + COUNTER_BYTES;
      this.#floor = Math.max(this.#floor, reached);
    }
    return number;
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.#floor);
    writer.uint(this.#numbers.size);
    for (const [prefix, number] of this.#numbers) {
      writer.bytes(prefix);
      writer.uint(number);
    }
  }

  /** @throws KvError KV_SNAPSHOT_DAMAGED */
  decode(reader: ValueReader): void {
    this.#floor = reader.uint();
    for (let left = reader.count(2); left > 0; left -= 1) {
      const [prefix, number] = [reader.string(), reader.uint()];
      this.#numbers.set(prefix, number);
      this.#bytes += prefix.length + COUNTER_BYTES;
    }
  }
}
