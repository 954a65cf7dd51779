// Gives every connection of a thread its id, and finds it again by that id.
// id = generation * 2^24 + slot: a slot is used again, an id is not, so an id kept from an earlier
// connection (in a task from another thread, say) finds nothing instead of a stranger.

import assert from 'node:assert/strict';

const SLOT_COUNT_MAX = 2 ** 24;
// 2^53 / 2^24, so that ids stay exact integers: a slot comes round to an old id after half a billion uses.
const GENERATION_MAX = 2 ** 29 - 1;

export class ConnectionTable<T extends { readonly id: number }> {
  readonly #slots: (T | null)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Reserves a slot and calls `create` with the id of the newcomer. */
  add<U extends T>(create: (id: number) => U): U {
    const slotIndex = this.#free.pop() ?? this.#grow();
    const generation = this.#generations[slotIndex]!;
    const id = generation * SLOT_COUNT_MAX + slotIndex;
    let item: U;
    try {
      item = create(id);
    } catch (error) {
      this.#free.push(slotIndex);
      throw error;
    }
    this.#slots[slotIndex] = item;
    this.#size += 1;
    return item;
  }

  /** undefined when that connection has ended, whoever has its slot now. */
  get(id: number): T | undefined {
    const item = this.#slots[id % SLOT_COUNT_MAX];
    return item?.id === id ? item : undefined;
  }

  remove(id: number): void {
    const slotIndex = id % SLOT_COUNT_MAX;
    assert(this.#slots[slotIndex]?.id === id, 'the connection is in the table');
    this.#slots[slotIndex] = null;
    const generation = this.#generations[slotIndex]! + 1;
    this.#generations[slotIndex] = generation > GENERATION_MAX ? 1 : generation;
    this.#free.push(slotIndex);
    this.#size -= 1;
  }

  /** Visits a snapshot, so that the visitor may remove. */
  *[Symbol.iterator](): Generator<T> {
    for (const item of this.#slots.slice()) if (item !== null) yield item;
  }

  #grow(): number {
    const slotIndex = this.#slots.length;
    assert(slotIndex < SLOT_COUNT_MAX, 'fewer connections than slots');
    this.#slots.push(null);
    this.#generations.push(1);
    return slotIndex;
  }
}
