// An ordered map from byte strings (see key.ts) to values: a skip list whose nodes hold up to 64 neighbouring keys.
// skip/towers.ts keeps links and spans, skip/leaf.ts the keys; skip/range.ts walks, skip/snapshot-view.ts reads the past.
// Everything is synchronous and in memory; chance comes from outside, so that one seed gives one list.
// Point lookups go through the list too: a hash map beside it did not pay (docs/kv-storage.md has the figures).

import assert from 'node:assert/strict';
import { KvError } from './errors.js';
import {
  insertAt,
  LEAF_ENTRIES_FEW,
  LEAF_ENTRIES_JOINED_MAX,
  LEAF_ENTRIES_MAX,
  type Leaf,
  lowerIndex,
  removeAt,
} from './skip/leaf.js';
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
  walkRange,
} from './skip/range.js';
import { SnapshotView } from './skip/snapshot-view.js';
import { Towers } from './skip/towers.js';

export interface SkipListOptions<V> {
  /** Heap bytes of a value, for memory(). Default: 0, values are not counted. */
  valueBytes?: (value: V) => number;
  /** Snapshot views that may be open at once. Default 16. */
  snapshotsMax?: number;
}

export interface SkipListMemory {
  /** Keys themselves: characters with V8's 16-byte head, rounded up to 8. */
  readonly keyBytes: number;
  /** As `valueBytes` says. */
  readonly valueBytes: number;
  /** Everything else: references to keys and values, free places in leaves, towers. */
  readonly overheadBytes: number;
  readonly leaves: number;
}

/** Two arrays, their backing stores' heads and the object around them, on a 64-bit V8. */
const LEAF_HEAD_BYTES = 2 * (32 + 16) + 48;

export class SkipList<V> {
  readonly #random: () => number;
  readonly #valueBytesOf: ((value: V) => number) | null;
  readonly #snapshotsMax: number;
  #towers: Towers;
  /** By node. */
  #leaves: Leaf<V>[] = [];
  #size = 0;
  #keyBytes = 0;
  #valueBytes = 0;
  /** Goes up when places found before may no longer be right. */
  #version = 0;
  /** Leaves carry the epoch they were made in; each snapshot begins a new one. */
  #epoch = 1;
  /** The latest key of getForWrite(), while the towers' path is still the way to it; where it is or belongs. */
  #soughtKey: string | null = null;
  #soughtNode = 0;
  #soughtIndex = 0;
  #soughtVersion = 0;
  readonly #openEpochs = new Set<number>();
  /** Leaves of earlier epochs are shared with a view; 0 when none is open. */
  #sharedBefore = 0;
  readonly #walk: LeafWalk<V> = {
    find: (key) => (key === null ? this.#towers.tail : this.#towers.find(key)),
    leaf: (at) => this.#leaves[at]!,
    next: (at) => this.#towers.next(at) || -1,
    previous: (at) => (at === 0 ? -1 : this.#towers.previous(at)),
  };

  /** `random` gives [0, 1). */
  constructor(random: () => number, options: SkipListOptions<V> = {}) {
    const { snapshotsMax = 16, valueBytes = null } = options;
    if (!Number.isInteger(snapshotsMax) || snapshotsMax < 1) {
      throw new KvError(
        'KV_OPTION_INVALID',
        `snapshotsMax is ${snapshotsMax}: a whole number above 0 is right`,
      );
    }
    this.#random = random;
    this.#valueBytesOf = valueBytes;
    this.#snapshotsMax = snapshotsMax;
    this.#towers = new Towers(random);
    this.#leaves[0] = { keys: [], values: [], epoch: this.#epoch };
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const { keys, values } = this.#leaves[this.#towers.find(key)]!;
    const index = lowerIndex(keys, key);
    return index < keys.length && keys[index] === key ? values[index] : undefined;
  }

  has(key: string): boolean {
    const { keys } = this.#leaves[this.#towers.find(key)]!;
    const index = lowerIndex(keys, key);
    return index < keys.length && keys[index] === key;
  }

  /** As get(). A set() of the same key that comes next need not look for its place again. */
  getForWrite(key: string): V | undefined {
    const node = this.#findPath(key);
    const { keys, values } = this.#leaves[node]!;
    const index = lowerIndex(keys, key);
    this.#soughtKey = key;
    this.#soughtNode = node;
    this.#soughtIndex = index;
    this.#soughtVersion = this.#version;
    return index < keys.length && keys[index] === key ? values[index] : undefined;
  }

  /** True when the key is new, false when its value was replaced. */
  set(key: string, value: V): boolean {
    if (this.#append(key, value)) return true;
    const isSought = this.#soughtKey === key && this.#soughtVersion === this.#version;
    const node = isSought ? this.#soughtNode : this.#findPath(key);
    const found = this.#leaves[node]!;
    const index = isSought ? this.#soughtIndex : lowerIndex(found.keys, key);
    if (index < found.keys.length && found.keys[index] === key) {
      const { values } = this.#own(node);
      if (this.#valueBytesOf !== null) {
        this.#valueBytes += this.#valueBytesOf(value) - this.#valueBytesOf(values[index]!);
      }
      values[index] = value;
      return false;
    }
    const leaf = this.#own(node);
    insertAt(leaf.keys, index, key);
    insertAt(leaf.values, index, value);
    this.#towers.widen(1);
    this.#count(key, value, 1);
    if (leaf.keys.length > LEAF_ENTRIES_MAX) this.#split(node, leaf);
    return true;
  }

  /** True when the key was there. */
  delete(key: string): boolean {
    const node = this.#findPath(key);
    const found = this.#leaves[node]!;
    const index = lowerIndex(found.keys, key);
    if (index === found.keys.length || found.keys[index] !== key) return false;
    const leaf = this.#own(node);
    this.#count(key, leaf.values[index]!, -1);
    removeAt(leaf.keys, index);
    removeAt(leaf.values, index);
    this.#towers.widen(-1);
    if (leaf.keys.length < LEAF_ENTRIES_FEW) this.#join(node);
    return true;
  }

  /** Removes everything; open snapshot views keep what they saw. */
  clear(): void {
    this.#towers = new Towers(this.#random);
    this.#leaves = [{ keys: [], values: [], epoch: this.#epoch }];
    this.#size = 0;
    this.#keyBytes = 0;
    this.#valueBytes = 0;
    this.#version += 1;
  }

  /** How many keys are below `key`, which need not be there itself. */
  rank(key: string): number {
    const node = this.#findPath(key);
    return this.#towers.foundRank + lowerIndex(this.#leaves[node]!.keys, key);
  }

  /** The entry that `rank` keys are below; undefined outside of 0 … size - 1. */
  at(rank: number): Entry<V> | undefined {
    if (!Number.isInteger(rank) || rank < 0 || rank >= this.#size) return undefined;
    this.#soughtKey = null;
    const { keys, values } = this.#leaves[this.#towers.findRank(rank)]!;
    const index = rank - this.#towers.foundRank;
    return { key: keys[index]!, value: values[index]! };
  }

  /** The first entry whose key is not below `key`. */
  lowerBound(key: string): Entry<V> | undefined {
    return this.#first({ from: key });
  }

  /** The first entry whose key is above `key`. */
  upperBound(key: string): Entry<V> | undefined {
    return this.#first({ after: key });
  }

  first(): Entry<V> | undefined {
    return this.#first({});
  }

  last(): Entry<V> | undefined {
    return this.#first({ reverse: true });
  }

  /** One page of a range, as of now. `page.rest` asks for the next one, whatever was written between. */
  scan(options: PageOptions = {}): Page<V> {
    return pageOf(this.#walk, options);
  }

  /** How many keys are in the range, by their ranks: O(log n). */
  count(range: Range = {}): number {
    const { low, lowIncluded, high, highIncluded } = boundsOf(range);
    const below = this.rank(low) + (!lowIncluded && this.has(low) ? 1 : 0);
    const upTo = high === null ? this.#size : this.rank(high) + (highIncluded && this.has(high) ? 1 : 0);
    return Math.max(0, upTo - below);
  }

  /**
   * The entries of a range, live: each step gives the nearest key, as of that step, beyond the last one given.
   * A key that is there all the time comes exactly once; one written or deleted ahead of the iterator is seen or not
   * seen accordingly, behind it never. The iterator stays good under every write, clear() included.
   */
  *entries(range: Range = {}): Generator<Entry<V>, void, undefined> {
    const reverse = range.reverse === true;
    let bounds = boundsOf(range);
    let version = this.#version;
    let place = startOf(this.#walk, bounds, reverse);
    while (place !== null) {
      const key = place.leaf.keys[place.index]!;
      yield { key, value: place.leaf.values[place.index]! };
      if (version === this.#version) {
        place = stepOf(this.#walk, place, bounds, reverse);
        continue;
      }
      version = this.#version;
      bounds = reverse
        ? { ...bounds, high: key, highIncluded: false }
        : { ...bounds, low: key, lowIncluded: false };
      place = startOf(this.#walk, bounds, reverse);
    }
  }

  /**
   * Gives each entry of a range to `take`; the quickest way through. `take` must not write to the list.
   * @throws AssertionError: it did.
   */
  visit(take: (key: string, value: V) => void, range: Range = {}): void {
    const version = this.#version;
    walkRange(this.#walk, range, Number.POSITIVE_INFINITY, (key, value) => {
      take(key, value);
      assert(version === this.#version, 'the list was written during visit()');
    });
  }

  /**
   * Gives at most `limit` entries of a range to `take`, in order; true when that was all of them.
   * @throws AssertionError: `take` wrote to the list.
   */
  visitSome(range: Range, limit: number, take: (key: string, value: V) => void): boolean {
    const version = this.#version;
    const done = walkRange(this.#walk, range, limit, take);
    assert(version === this.#version, 'the list was written during visitSome()');
    return done;
  }

  /**
   * The list as it is now, to be read while writes go on. Takes one reference per leaf at once (some 22,000 at a million
   * keys); from then on the first write to each leaf copies that leaf. Values are shared: replace them, do not change them.
   * @throws KvError KV_SNAPSHOTS_EXHAUSTED: snapshotsMax views are open.
   */
  snapshot(): SnapshotView<V> {
    if (this.#openEpochs.size >= this.#snapshotsMax) {
      throw new KvError(
        'KV_SNAPSHOTS_EXHAUSTED',
        `${this.#snapshotsMax} snapshot views are open (snapshotsMax)`,
      );
    }
    const leaves: Leaf<V>[] = [];
    const towers = this.#towers;
    let node = 0;
    do {
      leaves.push(this.#leaves[node]!);
      node = towers.next(node);
    } while (node !== 0);
    this.#epoch += 1;
    const epoch = this.#epoch;
    this.#openEpochs.add(epoch);
    this.#sharedBefore = epoch;
    return new SnapshotView(leaves, this.#size, () => {
      this.#openEpochs.delete(epoch);
      this.#sharedBefore = Math.max(0, ...this.#openEpochs);
    });
  }

  /** Bytes in use, by count and not by looking. Copies held by snapshot views are not in it. */
  memory(): SkipListMemory {
    const leaves = this.#towers.count;
    // A leaf's arrays have room for LEAF_ENTRIES_MAX once they grew past half of it.
    const places = leaves * LEAF_ENTRIES_MAX;
    const overheadBytes = places * 2 * 8 + leaves * (LEAF_HEAD_BYTES + 8) + this.#towers.bytes;
    return { keyBytes: this.#keyBytes, valueBytes: this.#valueBytes, overheadBytes, leaves };
  }

  /** For tests: O(size). @throws AssertionError: something in here contradicts something else. */
  checkInvariants(): void {
    this.#towers.check((node) => this.#leaves[node]!.keys.length);
    let size = 0;
    let last: string | null = null;
    for (let node = 0; node !== -1; node = this.#walk.next(node)) {
      const { keys, values } = this.#leaves[node]!;
      assert(node === 0 || keys.length > 0, 'no leaf but the first is empty');
      assert.equal(keys.length, values.length);
      assert(keys.length <= LEAF_ENTRIES_MAX);
      for (const key of keys) {
        assert(last === null || last < key, 'keys ascend');
        assert.equal(this.#towers.find(key), node);
        last = key;
      }
      size += keys.length;
    }
    assert.equal(size, this.#size);
  }

  #findPath(key: string): number {
    this.#soughtKey = null;
    return this.#towers.findPath(key);
  }

  #first(range: Range): Entry<V> | undefined {
    const place = startOf(this.#walk, boundsOf(range), range.reverse === true);
    if (place === null) return undefined;
    return { key: place.leaf.keys[place.index]!, value: place.leaf.values[place.index]! };
  }

  /** Ordered loading: a key above all others needs no search, changes no span and fills leaves to the last place. */
  #append(key: string, value: V): boolean {
    const tail = this.#towers.tail;
    const { keys } = this.#leaves[tail]!;
    if (keys.length === 0 || keys[keys.length - 1]! >= key) return false;
    if (keys.length < LEAF_ENTRIES_MAX) {
      const leaf = this.#own(tail);
      leaf.keys.push(key);
      leaf.values.push(value);
    } else {
      this.#towers.findTailPath();
      const node = this.#towers.insertAfterPath(key, this.#size);
      this.#leaves[node] = { keys: [key], values: [value], epoch: this.#epoch };
    }
    this.#count(key, value, 1);
    return true;
  }

  /** The leaf of a node, copied first if a view shares it. */
  #own(node: number): Leaf<V> {
    const leaf = this.#leaves[node]!;
    if (leaf.epoch >= this.#sharedBefore) return leaf;
    const copy = { keys: leaf.keys.slice(), values: leaf.values.slice(), epoch: this.#epoch };
    this.#leaves[node] = copy;
    this.#version += 1;
    return copy;
  }

  /** Called while the path to `node` is that of findPath. */
  #split(node: number, leaf: Leaf<V>): void {
    const half = leaf.keys.length >>> 1;
    const keys = leaf.keys.slice(half);
    const values = leaf.values.slice(half);
    this.#leaves[node] = {
      keys: leaf.keys.slice(0, half),
      values: leaf.values.slice(0, half),
      epoch: this.#epoch,
    };
    const upper = this.#towers.insertAfterPath(keys[0]!, this.#towers.foundRank + half);
    this.#leaves[upper] = { keys, values, epoch: this.#epoch };
  }

  /** Joins a leaf that has few keys with a neighbour that has room; an empty one goes in any case. */
  #join(node: number): void {
    const after = this.#towers.next(node);
    if (after !== 0 && this.#joinInto(node, after)) return;
    if (node !== 0 && this.#joinInto(this.#towers.previous(node), node)) return;
    if (node !== 0 && this.#leaves[node]!.keys.length === 0) this.#drop(node);
  }

  #joinInto(node: number, after: number): boolean {
    const from = this.#leaves[after]!;
    if (this.#leaves[node]!.keys.length + from.keys.length > LEAF_ENTRIES_JOINED_MAX) return false;
    const leaf = this.#own(node);
    leaf.keys.push(...from.keys);
    leaf.values.push(...from.values);
    this.#drop(after);
    return true;
  }

  #drop(node: number): void {
    this.#towers.remove(node);
    this.#leaves[node] = NO_LEAF;
  }

  #count(key: string, value: V, sign: 1 | -1): void {
    this.#size += sign;
    this.#keyBytes += sign * ((16 + key.length + 7) & ~7);
    if (this.#valueBytesOf !== null) this.#valueBytes += sign * this.#valueBytesOf(value);
    this.#version += 1;
  }
}

/** In place of the leaf of a free node, so that the leaf itself can be collected. */
const NO_LEAF: Leaf<never> = Object.freeze({ keys: [], values: [], epoch: 0 });
