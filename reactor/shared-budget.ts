// One cap on the bytes that the buffer pools of all threads own together.
// Each thread's BufferPool reserves here before it allocates and releases what it drops; main forgets the
// share of a thread that died. Without locks: a thread writes only its own column, and the total is the
// sum of the columns, so a thread that is terminated at any instruction cannot corrupt it.
// Shared layout, Int32: unitsMax | threadCount | units of thread 0 | units of thread 1 | ...

import assert from 'node:assert/strict';
import { ReactorError } from './errors.js';

/** Granularity of the count; the smallest slab, and the page of the systems we run on. */
const UNIT_BYTES = 4096;
const UNITS_MAX_INDEX = 0;
const THREAD_COUNT_INDEX = 1;
const FIRST_COLUMN_INDEX = 2;

export class SharedBudget {
  /** The shared memory itself: hand it to other threads, which wrap it in a SharedBudget of their own. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #unitsMax: number;
  readonly #threadCount: number;

  /** Wraps the `buffer` of a budget made by `create`, in the same or in another thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#unitsMax = this.#words[UNITS_MAX_INDEX] ?? 0;
    this.#threadCount = this.#words[THREAD_COUNT_INDEX] ?? 0;
    assert(this.#words.length === FIRST_COLUMN_INDEX + this.#threadCount, 'a budget made by create()');
  }

  /**
   * Allocates the shared memory, once, in the main thread. `bytesMax` is rounded down to 4 KiB.
   * @throws ReactorError REACTOR_OPTION_INVALID: `bytesMax` is below 4 KiB or above 8 TiB.
   */
  static create(bytesMax: number, threadCount: number): SharedBudget {
    const unitsMax = Math.floor(bytesMax / UNIT_BYTES);
    // Half the Int32 range: what is reserved and what is being asked for can be added without overflow.
    if (!(unitsMax >= 1 && unitsMax < 2 ** 30)) {
      throw new ReactorError('REACTOR_OPTION_INVALID', `poolBytesMax must be 4096 or more, not ${bytesMax}`);
    }
    assert(Number.isInteger(threadCount), 'a count of threads');
    assert(threadCount >= 1, 'a budget has at least one thread');
    const words = new Int32Array(
      new SharedArrayBuffer((FIRST_COLUMN_INDEX + threadCount) * Int32Array.BYTES_PER_ELEMENT),
    );
    words[UNITS_MAX_INDEX] = unitsMax;
    words[THREAD_COUNT_INDEX] = threadCount;
    return new SharedBudget(words.buffer);
  }

  get bytesMax(): number {
    return this.#unitsMax * UNIT_BYTES;
  }

  /**
   * Takes `bytes`, rounded up to 4 KiB, for the calling thread; false when that would pass the cap.
   * Two threads that race for the last bytes may both be refused, but never both be served.
   */
  reserve(thread: number, bytes: number): boolean {
    const units = Math.ceil(bytes / UNIT_BYTES);
    if (units > this.#unitsMax) return false;
    const column = this.#columnOf(thread);
    Atomics.add(this.#words, column, units);
    if (this.#usedUnits() <= this.#unitsMax) return true;
    Atomics.sub(this.#words, column, units);
    return false;
  }

  /** Returns what the calling thread reserved with the same number of bytes. */
  release(thread: number, bytes: number): void {
    const units = Math.ceil(bytes / UNIT_BYTES);
    const before = Atomics.sub(this.#words, this.#columnOf(thread), units);
    assert(before >= units, 'a thread releases no more than it reserved');
  }

  /** Bytes all threads have reserved together. */
  usedBytes(): number {
    return this.#usedUnits() * UNIT_BYTES;
  }

  /** Bytes one thread has reserved. */
  usedBy(thread: number): number {
    return Atomics.load(this.#words, this.#columnOf(thread)) * UNIT_BYTES;
  }

  /** Returns everything a thread had reserved. Only for a thread that has ended. */
  forget(thread: number): void {
    Atomics.store(this.#words, this.#columnOf(thread), 0);
  }

  #usedUnits(): number {
    let units = 0;
    for (let thread = 0; thread < this.#threadCount; thread += 1) {
      units += Atomics.load(this.#words, FIRST_COLUMN_INDEX + thread);
    }
    return units;
  }

  #columnOf(thread: number): number {
    assert(thread >= 0 && thread < this.#threadCount, 'a thread this budget was made for');
    return FIRST_COLUMN_INDEX + thread;
  }
}
