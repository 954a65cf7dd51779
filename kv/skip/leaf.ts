// A leaf of the skip list: up to LEAF_ENTRIES_MAX neighbouring keys with their values.
// skip-list.ts splits and merges leaves; views (snapshot-view.ts) share them, and a shared leaf is copied before a write.

/** A leaf is split when it would grow past this. 64: fewer than 32 cost more tower, more than 128 more moving. */
export const LEAF_ENTRIES_MAX = 64;
/** Below this a leaf looks for a neighbour to join. */
export const LEAF_ENTRIES_FEW = 16;
/** Neighbours are joined when they have no more than this together, so that a join is not soon a split. */
export const LEAF_ENTRIES_JOINED_MAX = 40;

export interface Leaf<V> {
  readonly keys: string[];
  readonly values: V[];
  /** The list's epoch when this leaf was made; a view taken later shares it. */
  readonly epoch: number;
}

/** Position of the first key that is not below `key`: 0 … keys.length. */
export function lowerIndex(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Position of the first key above `key`: 0 … keys.length. */
export function upperIndex(keys: readonly string[], key: string): number {
  const index = lowerIndex(keys, key);
  return index < keys.length && keys[index] === key ? index + 1 : index;
}

/** Puts `item` at `index`. On 64 items a loop is quicker than splice(), which makes an array of what it removed. */
export function insertAt<T>(items: T[], index: number, item: T): void {
  items.push(item);
  for (let place = items.length - 1; place > index; place -= 1) items[place] = items[place - 1]!;
  items[index] = item;
}

/** Takes out the item at `index`. */
export function removeAt(items: unknown[], index: number): void {
  for (let place = index + 1; place < items.length; place += 1) items[place - 1] = items[place]!;
  items.pop();
}
