// All keys in the order of their hashes, so that a scan's cursor is a place among 2^32 hashes and nothing else: any
// member answers any cursor, before and after a failover, a restart or a restored snapshot, and a key that is there all
// the time is passed exactly once by every complete scan, whatever else comes and goes.
// Buckets hold a range of hashes each and are split when they are full (extendible hashing over the upper bits), one at
// a time, so that no write ever pays for a whole table. The hash has a secret that all members share: whoever could choose
// keys of one hash would make one bucket of them all. Keyspace keeps it up to date.

import { halfSipHash, type SipKey } from './half-sip-hash.js';
import { keyHash } from './key-hash.js';

/** A step of a scan gives whole buckets: some 22 keys each. */
const BUCKET_KEYS_MAX = 32;
/** Keys whose hashes agree in this many bits share a bucket whatever its size. */
const DEPTH_MAX = 22;
const HASH_COUNT = 0x1_0000_0000;
/** A step gives up after so many buckets without a key, and the client asks again. */
const EMPTY_BUCKETS_MAX = 1_000;

interface Bucket {
  /** Upper bits that all hashes in it have in common. */
  depth: number;
  keys: string[];
}

export class ScanIndex {
  /** null: a hash without a secret, as before the cluster has drawn one. */
  readonly #key: SipKey | null;
  #depth = 0;
  /** By the upper #depth bits; neighbours may share a bucket. */
  #buckets: Bucket[] = [{ depth: 0, keys: [] }];

  constructor(key: SipKey | null = null) {
    this.#key = key;
  }

  /** For a key that is not in it. */
  add(key: string): void {
    const hash = this.#hash(key);
    let bucket = this.#buckets[this.#slotOf(hash)]!;
    while (bucket.keys.length >= BUCKET_KEYS_MAX && bucket.depth < DEPTH_MAX) {
      this.#split(bucket, hash);
      bucket = this.#buckets[this.#slotOf(hash)]!;
    }
    bucket.keys.push(key);
  }

  /** For a key that is in it. */
  remove(key: string): void {
    const { keys } = this.#buckets[this.#slotOf(this.#hash(key))]!;
    const place = keys.indexOf(key);
    const last = keys.pop()!;
    if (place < keys.length) keys[place] = last;
  }

  clear(): void {
    this.#depth = 0;
    this.#buckets = [{ depth: 0, keys: [] }];
  }

  /**
   * Gives the keys from the hash `cursor` on, whole buckets until at least `count` keys were visited.
   * The result is the cursor of the next step, 0 at the end.
   */
  scan(cursor: number, count: number, visit: (key: string) => void): number {
    let from = cursor;
    let visited = 0;
    for (let buckets = 0; visited < count && buckets < count + EMPTY_BUCKETS_MAX; buckets += 1) {
      const { depth, keys } = this.#buckets[this.#slotOf(from)]!;
      const width = HASH_COUNT / 2 ** depth;
      const start = Math.floor(from / width) * width;
      for (const key of keys) {
        // A cursor that another member gave, with smaller buckets, may lie within this one.
        if (from > start && this.#hash(key) < from) continue;
        visit(key);
        visited += 1;
      }
      from = start + width;
      if (from >= HASH_COUNT) return 0;
    }
    return from;
  }

  #hash(key: string): number {
    return this.#key === null ? keyHash(key) : halfSipHash(key, this.#key);
  }

  #slotOf(hash: number): number {
    return this.#depth === 0 ? 0 : hash >>> (32 - this.#depth);
  }

  #split(bucket: Bucket, hash: number): void {
    if (bucket.depth === this.#depth) {
      const doubled: Bucket[] = [];
      for (const other of this.#buckets) doubled.push(other, other);
      this.#buckets = doubled;
      this.#depth += 1;
    }
    const depth = bucket.depth + 1;
    const lower: Bucket = { depth, keys: [] };
    const upper: Bucket = { depth, keys: [] };
    for (const key of bucket.keys) {
      const half = (this.#hash(key) >>> (32 - depth)) & 1;
      (half === 0 ? lower : upper).keys.push(key);
    }
    const slots = 2 ** (this.#depth - bucket.depth);
    const first = Math.floor(this.#slotOf(hash) / slots) * slots;
    for (let slot = 0; slot < slots; slot += 1)
      this.#buckets[first + slot] = slot < slots / 2 ? lower : upper;
  }
}
