// A set of strings in one array without holes: what sets, hashes and large sorted sets keep their members in.
// A random member is one index; a removed member's place is taken by the last one. The order of the array follows from
// the commands alone, is part of a snapshot, and is therefore the same on all members.
// Scans walk from the end to the start: the only member that ever moves goes towards the start, so none is missed.

import { stringMemoryBytes } from '../value.js';

/** Up to here a walk over the array is quicker than a map, and far smaller. */
const WALKED_MAX = 12;
/** An array place, a map entry with its share of free room. */
const PLACE_BYTES = 12;
const MAP_ENTRY_BYTES = 40;

export class DenseKeys {
  readonly keys: string[];
  #places: Map<string, number> | null = null;
  #bytes = 0;

  constructor(keys: string[] = []) {
    this.keys = keys;
    for (const key of keys) this.#bytes += stringMemoryBytes(key.length);
    if (keys.length > WALKED_MAX) this.#index();
  }

  get size(): number {
    return this.keys.length;
  }

  /** By the content alone: whether there still is a map is this copy's own matter. */
  get memoryBytes(): number {
    const perKey = this.keys.length <= WALKED_MAX ? PLACE_BYTES : PLACE_BYTES + MAP_ENTRY_BYTES;
    return 64 + this.#bytes + this.keys.length * perKey;
  }

  /** The key's place, -1 when it is not there. */
  find(key: string): number {
    if (this.#places === null) return this.keys.indexOf(key);
    return this.#places.get(key) ?? -1;
  }

  /** Adds a key that is not there at the end. */
  push(key: string): void {
    const { keys } = this;
    this.#bytes += stringMemoryBytes(key.length);
    if (this.#places !== null) this.#places.set(key, keys.length);
    keys.push(key);
    if (this.#places === null && keys.length > WALKED_MAX) this.#index();
  }

  /** Takes out the key at a place; the last key moves there. */
  remove(place: number): void {
    const { keys } = this;
    const removed = keys[place]!;
    const last = keys.pop()!;
    this.#bytes -= stringMemoryBytes(removed.length);
    this.#places?.delete(removed);
    if (place === keys.length) return;
    keys[place] = last;
    this.#places?.set(last, place);
  }

  clone(): DenseKeys {
    return new DenseKeys(this.keys.slice());
  }

  #index(): void {
    const places = new Map<string, number>();
    for (let place = 0; place < this.keys.length; place += 1) places.set(this.keys[place]!, place);
    this.#places = places;
  }
}

/**
 * One step of a scan over `size` places, from `cursor` (0: the beginning) towards the start of the array.
 * Visits `count` places and gives the cursor of the next step, 0 at the end.
 */
export function scanDense(
  size: number,
  cursor: number,
  count: number,
  visit: (place: number) => void,
): number {
  const from = cursor === 0 ? size : Math.min(cursor, size);
  const to = Math.max(0, from - count);
  for (let place = from - 1; place >= to; place -= 1) visit(place);
  return to;
}
