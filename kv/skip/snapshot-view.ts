// A skip list as it was at one moment, to be read while writes go on: what a Raft snapshot is streamed from.
// skip-list.ts makes it by taking the leaves' references, and copies a leaf before the first write after that.
// It holds memory: at most one copy of every leaf written since. Close it.

import { KvError } from '../errors.js';
import { type Leaf, lowerIndex } from './leaf.js';
import {
  boundsOf,
  type Entry,
  type LeafWalk,
  type Page,
  type PageOptions,
  pageOf,
  type Range,
  startOf,
  stepOf,
} from './range.js';

export class SnapshotView<V> {
  /** Keys in the view. */
  readonly size: number;
  #leaves: readonly Leaf<V>[];
  readonly #onClose: () => void;
  #closed = false;
  readonly #walk: LeafWalk<V> = {
    find: (key) => this.#find(key),
    leaf: (at) => this.#leaves[at]!,
    next: (at) => (at + 1 < this.#leaves.length ? at + 1 : -1),
    previous: (at) => at - 1,
  };

  /** Made by SkipList.snapshot(). `leaves` are in order; none but the first is empty. */
  constructor(leaves: readonly Leaf<V>[], size: number, onClose: () => void) {
    this.#leaves = leaves;
    this.size = size;
    this.#onClose = onClose;
  }

  get(key: string): V | undefined {
    this.#checkOpen();
    const { keys, values } = this.#leaves[this.#find(key)]!;
    const index = lowerIndex(keys, key);
    return keys[index] === key ? values[index] : undefined;
  }

  /** The entries of a range, one at a time. @throws KvError KV_CLOSED: the view was closed under the iterator. */
  *entries(range: Range = {}): Generator<Entry<V>, void, undefined> {
    this.#checkOpen();
    const bounds = boundsOf(range);
    const reverse = range.reverse === true;
    let place = startOf(this.#walk, bounds, reverse);
    while (place !== null) {
      yield { key: place.leaf.keys[place.index]!, value: place.leaf.values[place.index]! };
      this.#checkOpen();
      place = stepOf(this.#walk, place, bounds, reverse);
    }
  }

  scan(options: PageOptions = {}): Page<V> {
    this.#checkOpen();
    return pageOf(this.#walk, options);
  }

  /** Lets go of the leaves. May be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leaves = [];
    this.#onClose();
  }

  /** The last leaf whose first key is not above `key`, or the first leaf. */
  #find(key: string | null): number {
    if (key === null) return this.#leaves.length - 1;
    let low = 1;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#leaves[middle]!.keys[0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError('KV_CLOSED', 'the snapshot view was closed');
  }
}
