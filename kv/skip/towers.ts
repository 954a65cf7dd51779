// The towers of the skip list, on typed arrays: per node its forward links and spans by level, its way back, its height.
// A node is a number and stands for one leaf; node 0 is the head, is never linked to, and 0 therefore also means "none".
// `firsts[node]` bounds its leaf from below: every key in it is >= firsts[node], every key before it is less.
// Growth doubles the arrays: with one node per some 45 keys, the copy at a million keys moves 2 MB, below a millisecond.

import assert from 'node:assert/strict';

/** With one node in four going up a level: enough for 16 million leaves, some 700 million keys. */
export const LEVELS_MAX = 12;
const NODES_AT_FIRST = 64;
/** Of the nodes on a level, the share that is on the next one too. */
const UP_CHANCE = 0.25;

export class Towers {
  readonly #random: () => number;
  #next = new Int32Array(NODES_AT_FIRST * LEVELS_MAX);
  /** Keys from the start of the node's leaf to the start of the leaf its link leads to; undefined where there is no link. */
  #span = new Int32Array(NODES_AT_FIRST * LEVELS_MAX);
  #previous = new Int32Array(NODES_AT_FIRST);
  #height = new Uint8Array(NODES_AT_FIRST);
  readonly #firsts: string[] = [''];
  /** Free nodes, linked by #previous. */
  #free = 0;
  #nodesUsed = 1;
  #nodesFree = 0;
  #levels = 1;
  #tail = 0;
  /** Set by the find…Path methods: per level the last node before the place, and the rank of that node's first key. */
  readonly #path = new Int32Array(LEVELS_MAX);
  readonly #pathRank = new Float64Array(LEVELS_MAX);

  /** `random` gives [0, 1) and decides the heights alone: the same sequence makes the same list. */
  constructor(random: () => number) {
    this.#random = random;
    this.#height[0] = LEVELS_MAX;
  }

  /** The last node. */
  get tail(): number {
    return this.#tail;
  }

  /** Nodes in the list, the head included. */
  get count(): number {
    return this.#nodesUsed - this.#nodesFree;
  }

  next(node: number): number {
    return this.#next[node * LEVELS_MAX]!;
  }

  previous(node: number): number {
    return this.#previous[node]!;
  }

  /** The node whose leaf holds `key` if any does. */
  find(key: string): number {
    const next = this.#next;
    const firsts = this.#firsts;
    let node = 0;
    let refused = 0; // the node that was too far one level up need not be compared again
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      let ahead = next[node * LEVELS_MAX + level]!;
      while (ahead !== refused && ahead !== 0 && firsts[ahead]! <= key) {
        node = ahead;
        ahead = next[node * LEVELS_MAX + level]!;
      }
      refused = ahead;
    }
    return node;
  }

  /** As find(), and keeps the path for spans and links. */
  findPath(key: string): number {
    const next = this.#next;
    const firsts = this.#firsts;
    let node = 0;
    let rank = 0;
    let refused = 0;
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      let slot = node * LEVELS_MAX + level;
      let ahead = next[slot]!;
      while (ahead !== refused && ahead !== 0 && firsts[ahead]! <= key) {
        rank += this.#span[slot]!;
        node = ahead;
        slot = node * LEVELS_MAX + level;
        ahead = next[slot]!;
      }
      refused = ahead;
      this.#path[level] = node;
      this.#pathRank[level] = rank;
    }
    return node;
  }

  /** Rank of the first key of the node that findPath() gave. */
  get foundRank(): number {
    return this.#pathRank[0]!;
  }

  /** The path to the end of the list; `listSize` keys are in it. */
  findTailPath(): void {
    let node = 0;
    let rank = 0;
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      let slot = node * LEVELS_MAX + level;
      while (this.#next[slot] !== 0) {
        rank += this.#span[slot]!;
        node = this.#next[slot]!;
        slot = node * LEVELS_MAX + level;
      }
      this.#path[level] = node;
      this.#pathRank[level] = rank;
    }
  }

  /** The node that holds the key of this rank, and with foundRank where its leaf starts. 0 <= rank < size. */
  findRank(rank: number): number {
    let node = 0;
    let reached = 0;
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      let slot = node * LEVELS_MAX + level;
      while (this.#next[slot] !== 0 && reached + this.#span[slot]! <= rank) {
        reached += this.#span[slot]!;
        node = this.#next[slot]!;
        slot = node * LEVELS_MAX + level;
      }
    }
    this.#pathRank[0] = reached;
    return node;
  }

  /** Notes that the leaf at the end of the path has `delta` more keys. */
  widen(delta: number): void {
    for (let level = 0; level < this.#levels; level += 1) {
      // Where the link leads nowhere its span means nothing and may become anything.
      this.#span[this.#path[level]! * LEVELS_MAX + level]! += delta;
    }
  }

  /**
   * Links a new node behind the end of the path; its leaf starts at `first` and at this rank.
   * Spans must be right for the list as it is with the new node's keys counted.
   */
  insertAfterPath(first: string, rank: number): number {
    const node = this.#take();
    const height = this.#randomHeight();
    this.#firsts[node] = first;
    this.#height[node] = height;
    for (let level = this.#levels; level < height; level += 1) {
      this.#path[level] = 0;
      this.#pathRank[level] = 0;
    }
    if (height > this.#levels) this.#levels = height;
    for (let level = 0; level < height; level += 1) {
      const before = this.#path[level]! * LEVELS_MAX + level;
      const slot = node * LEVELS_MAX + level;
      const keysBefore = rank - this.#pathRank[level]!;
      this.#next[slot] = this.#next[before]!;
      this.#span[slot] = this.#span[before]! - keysBefore;
      this.#next[before] = node;
      this.#span[before] = keysBefore;
    }
    this.#previous[node] = this.#path[0]!;
    const after = this.next(node);
    if (after === 0) this.#tail = node;
    else this.#previous[after] = node;
    return node;
  }

  /** Takes a node other than the head out; the keys of its leaf, if any, count to the node before it. */
  remove(node: number): void {
    assert(node !== 0);
    this.#findPathBefore(node);
    const height = this.#height[node]!;
    for (let level = 0; level < height; level += 1) {
      const before = this.#path[level]! * LEVELS_MAX + level;
      const slot = node * LEVELS_MAX + level;
      assert(this.#next[before] === node);
      this.#next[before] = this.#next[slot]!;
      this.#span[before]! += this.#span[slot]!;
    }
    const after = this.next(node);
    const before = this.#previous[node]!;
    if (after === 0) this.#tail = before;
    else this.#previous[after] = before;
    while (this.#levels > 1 && this.#next[this.#levels - 1] === 0) this.#levels -= 1;
    this.#firsts[node] = '';
    this.#previous[node] = this.#free;
    this.#free = node;
    this.#nodesFree += 1;
  }

  /** Bytes of the arrays. */
  get bytes(): number {
    const typed =
      this.#next.byteLength + this.#span.byteLength + this.#previous.byteLength + this.#height.byteLength;
    return typed + this.#firsts.length * 8;
  }

  /** @throws AssertionError: links, spans or heights contradict each other. For tests: O(nodes). */
  check(keysOf: (node: number) => number): void {
    const startOf = new Map<number, number>();
    let start = 0;
    let before = 0;
    for (let node = 0; ; node = this.next(node)) {
      startOf.set(node, start);
      if (node !== 0) assert.equal(this.#previous[node], before);
      start += keysOf(node);
      before = node;
      if (this.next(node) === 0) break;
    }
    assert.equal(this.#tail, before);
    assert.equal(startOf.size, this.count);
    for (let level = 0; level < this.#levels; level += 1) {
      for (let node = 0; this.#next[node * LEVELS_MAX + level] !== 0; ) {
        const slot = node * LEVELS_MAX + level;
        const ahead = this.#next[slot]!;
        assert(this.#height[ahead]! > level);
        assert.equal(startOf.get(node)! + this.#span[slot]!, startOf.get(ahead));
        node = ahead;
      }
    }
  }

  /** The path to the node before `node` on every level. */
  #findPathBefore(node: number): void {
    const first = this.#firsts[node]!;
    let at = 0;
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      let ahead = this.#next[at * LEVELS_MAX + level]!;
      while (ahead !== 0 && ahead !== node && this.#firsts[ahead]! < first) {
        at = ahead;
        ahead = this.#next[at * LEVELS_MAX + level]!;
      }
      this.#path[level] = at;
    }
  }

  #randomHeight(): number {
    let height = 1;
    while (height < LEVELS_MAX && this.#random() < UP_CHANCE) height += 1;
    return height;
  }

  #take(): number {
    if (this.#free !== 0) {
      const node = this.#free;
      this.#free = this.#previous[node]!;
      this.#nodesFree -= 1;
      return node;
    }
    const node = this.#nodesUsed;
    if (node === this.#height.length) this.#grow();
    this.#nodesUsed += 1;
    return node;
  }

  #grow(): void {
    const nodes = this.#height.length * 2;
    this.#next = grown(this.#next, new Int32Array(nodes * LEVELS_MAX));
    this.#span = grown(this.#span, new Int32Array(nodes * LEVELS_MAX));
    this.#previous = grown(this.#previous, new Int32Array(nodes));
    this.#height = grown(this.#height, new Uint8Array(nodes));
  }
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
