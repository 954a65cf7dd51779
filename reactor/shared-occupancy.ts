// How many connections each thread holds, in all and per peer address, in memory that every thread sees.
// Whoever accepts asks `admit`; whoever ends a connection says `leave`. Works for every accept mode.
// Addresses are counted by a count-min sketch (Cormode and Muthukrishnan 2005): fixed memory, no locks, and
// it never counts too few; an address is refused wrongly only if it collides with busy ones in all rows.
// One plane of numbers per thread, so that a dead thread's share can be forgotten.

import { ReactorError } from './errors.js';

export interface OccupancyLimits {
  readonly connectionsMax: number;
  readonly connectionsPerThreadMax: number;
  readonly connectionsPerAddressMax: number;
}

export interface SharedOccupancyMemory {
  readonly memory: SharedArrayBuffer;
  readonly threads: number;
}

const ROWS = 4;
const COLUMNS = 4096;
/** Per thread: one word that counts all its connections, then the sketch. */
const PLANE_WORDS = 16 + ROWS * COLUMNS;

export class SharedOccupancy {
  readonly shared: SharedOccupancyMemory;
  readonly #threads: number;
  readonly #words: Int32Array;

  constructor(shared: SharedOccupancyMemory) {
    this.shared = shared;
    this.#threads = shared.threads;
    this.#words = new Int32Array(shared.memory);
  }

  static create(threads: number): SharedOccupancy {
    return new SharedOccupancy({ memory: new SharedArrayBuffer(threads * PLANE_WORDS * 4), threads });
  }

  /** Open connections of one thread, those on their way to it included. */
  openOn(thread: number): number {
    return Atomics.load(this.#words, thread * PLANE_WORDS);
  }

  open(): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread += 1) sum += this.openOn(thread);
    return sum;
  }

  /** Connections of one address over all threads; may be too high, never too low. */
  openFrom(address: string): number {
    let least = Infinity;
    for (const cell of cellsOf(address)) {
      let sum = 0;
      for (let thread = 0; thread < this.#threads; thread += 1) {
        sum += Atomics.load(this.#words, thread * PLANE_WORDS + cell);
      }
      least = Math.min(least, sum);
    }
    return least;
  }

  /**
   * Counts one connection for `thread`, or returns why not. `address` is undefined for Unix sockets.
   * Two threads that accept at the same moment may pass a limit by one each.
   */
  admit(thread: number, address: string | undefined, limits: OccupancyLimits): ReactorError | null {
    if (this.open() >= limits.connectionsMax) return refused('in all', limits.connectionsMax);
    if (this.openOn(thread) >= limits.connectionsPerThreadMax) {
      return refused('on one thread', limits.connectionsPerThreadMax);
    }
    if (address !== undefined && this.openFrom(address) >= limits.connectionsPerAddressMax) {
      return refused(`from ${address}`, limits.connectionsPerAddressMax);
    }
    this.#add(thread, address, 1);
    return null;
  }

  leave(thread: number, address: string | undefined): void {
    this.#add(thread, address, -1);
  }

  /** The thread has died and its connections with it. */
  forget(thread: number): void {
    const start = thread * PLANE_WORDS;
    for (let word = start; word < start + PLANE_WORDS; word += 1) Atomics.store(this.#words, word, 0);
  }

  #add(thread: number, address: string | undefined, amount: number): void {
    const plane = thread * PLANE_WORDS;
    Atomics.add(this.#words, plane, amount);
    if (address === undefined) return;
    for (const cell of cellsOf(address)) Atomics.add(this.#words, plane + cell, amount);
  }
}

function refused(where: string, limit: number): ReactorError {
  return new ReactorError('REACTOR_CONNECTION_LIMIT', `${limit} connections ${where} are the limit`);
}

/** One word of a plane per row. */
function cellsOf(address: string): number[] {
  // FNV-1a with a different start per row gives four hashes that collide independently enough.
  const cells: number[] = [];
  for (let row = 0; row < ROWS; row += 1) {
    let hash = (0x811c9dc5 ^ Math.imul(row, 0x9e3779b1)) | 0;
    for (let position = 0; position < address.length; position += 1) {
      hash = Math.imul(hash ^ address.charCodeAt(position), 0x01000193);
    }
    hash ^= hash >>> 15; // FNV's low bits alone depend on few input bits
    cells.push(16 + row * COLUMNS + ((hash >>> 0) % COLUMNS));
  }
  return cells;
}
