// Lends slabs of fixed sizes to one thread and takes them back; everything it owns counts in SharedBudget.
// Decoders borrow for bytes that are not a whole frame yet, connections for output that waits.
// Has no clock: the event loop calls trim() now and then, and the time between two calls is the window.

import assert from 'node:assert/strict';
import { lendableMemory } from './body-lender.js';
import { ReactorError } from './errors.js';
import { type LeakDetection, type LeakRecord, type LeakReport, LeakSampler } from './leak-sampler.js';
import { SLAB_BYTES } from './limits.js';
import type { SharedBudget } from './shared-budget.js';

/** Plain data: it crosses threads. */
export interface BufferPoolOptions {
  /** Slabs to make at once and to keep through trimming, by slab bytes: `{ 4096: 100 }`. Default none. */
  preallocate?: Readonly<Record<number, number>>;
  /** Default 'sampled'. 'paranoid' samples every loan and also catches any use of a returned handle. */
  leakDetection?: LeakDetection;
  /** One loan in this many keeps the stack that acquired it: some 20 µs each. Default 1024. */
  leakSampleEvery?: number;
}

const DEFAULTS: Required<BufferPoolOptions> = {
  preallocate: {},
  leakDetection: 'sampled',
  leakSampleEvery: 1024,
};

/** Memory on loan. Whoever acquired it owns it until `release`; nobody may use it afterwards. */
export interface PooledBuffer {
  /** The whole slab: at least as many bytes as were asked for, with what the last borrower left in it. */
  readonly bytes: Buffer;
  /** `bytes.length`. */
  readonly slabBytes: number;
  /** Gives the memory back to the pool it came from. Asserts that it was lent. */
  release(): void;
}

export interface BufferPoolStats {
  /** Bytes the pool owns: lent and idle together. */
  readonly ownedBytes: number;
  readonly lentBytes: number;
  readonly idleBytes: number;
  readonly classes: readonly SlabClassStats[];
  /** Lent buffers above the largest slab: exact in size and not kept when they return. */
  readonly unpooledLent: number;
  /** Calls of `acquire` that succeeded. */
  readonly acquisitions: number;
  /** Calls of `acquire` that were refused at the cap. */
  readonly exhausted: number;
  /** Buffers that were garbage collected while lent. */
  readonly suspectedLeaks: number;
}

export interface SlabClassStats {
  readonly slabBytes: number;
  readonly owned: number;
  readonly lent: number;
  readonly idle: number;
}

interface SlabClass {
  readonly slabBytes: number;
  /** Trimming leaves at least this many. */
  readonly ownedMin: number;
  /** The last one returned is lent first: its memory is the likeliest to be in the cache. */
  readonly idle: Slab[];
  lent: number;
  /** Most lent at once since the last trim. */
  lentPeak: number;
}

export class BufferPool {
  readonly #budget: SharedBudget;
  readonly #thread: number;
  readonly #paranoid: boolean;
  readonly #leaks: LeakSampler;
  readonly #onLeak: (leak: LeakReport) => void;
  readonly #classes: readonly SlabClass[];
  readonly #giveBack = (slab: Slab): void => this.#takeBack(slab);
  #unpooledLent = 0;
  #unpooledBytes = 0;
  #acquisitions = 0;
  #exhausted = 0;
  #suspectedLeaks = 0;
  #closed = false;

  /**
   * `thread` is the calling thread's slot in `budget`. `onLeak` runs between tasks, after a garbage
   * collection found a buffer that was lost while lent; its budget has been given back by then.
   * @throws ReactorError REACTOR_OPTION_INVALID; REACTOR_POOL_EXHAUSTED: `preallocate` passes the cap.
   */
  constructor(
    options: BufferPoolOptions,
    thread: number,
    budget: SharedBudget,
    onLeak: (leak: LeakReport) => void = () => {},
  ) {
    const { preallocate, leakDetection, leakSampleEvery } = checked({ ...DEFAULTS, ...options });
    this.#budget = budget;
    this.#thread = thread;
    this.#paranoid = leakDetection === 'paranoid';
    this.#leaks = new LeakSampler(leakDetection, leakSampleEvery, (record) => this.#lost(record));
    this.#onLeak = onLeak;
    this.#classes = SLAB_BYTES.map((slabBytes) => ({
      slabBytes,
      ownedMin: preallocate[slabBytes] ?? 0,
      idle: [],
      lent: 0,
      lentPeak: 0,
    }));
    try {
      for (const slabClass of this.#classes) this.#preallocate(slabClass);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Lends at least `bytes`, from the smallest class that holds them; above the largest class exactly
   * `bytes`, allocated for this loan. At the cap it first drops idle slabs of its own.
   * @throws ReactorError REACTOR_POOL_EXHAUSTED, REACTOR_CLOSED.
   */
  acquire(bytes: number): PooledBuffer {
    if (this.#closed) throw new ReactorError('REACTOR_CLOSED', 'the buffer pool is closed');
    const slabClass = this.#classFor(bytes);
    const slab = slabClass?.idle.pop() ?? this.#reservedSlab(slabClass?.slabBytes ?? bytes);
    if (slabClass === undefined) {
      this.#unpooledLent += 1;
      this.#unpooledBytes += bytes;
    } else {
      slabClass.lent += 1;
      if (slabClass.lent > slabClass.lentPeak) slabClass.lentPeak = slabClass.lent;
    }
    this.#acquisitions += 1;
    this.#leaks.lent(slab.record);
    slab.lent = true;
    return slab;
  }

  /**
   * Drops idle slabs that the peak since the last call did not need, and starts a new window.
   * Returns the bytes dropped; the memory itself follows with the next garbage collection.
   */
  trim(): number {
    let droppedBytes = 0;
    for (const slabClass of this.#classes) {
      const ownedKept = Math.max(slabClass.lentPeak, slabClass.ownedMin);
      while (slabClass.idle.length > 0 && slabClass.lent + slabClass.idle.length > ownedKept) {
        this.#dropIdle(slabClass);
        droppedBytes += slabClass.slabBytes;
      }
      slabClass.lentPeak = slabClass.lent;
    }
    return droppedBytes;
  }

  stats(): BufferPoolStats {
    let lentBytes = this.#unpooledBytes;
    let idleBytes = 0;
    for (const { slabBytes, lent, idle } of this.#classes) {
      lentBytes += lent * slabBytes;
      idleBytes += idle.length * slabBytes;
    }
    return {
      ownedBytes: lentBytes + idleBytes,
      lentBytes,
      idleBytes,
      classes: this.#classes.map(({ slabBytes, lent, idle }) => ({
        slabBytes,
        owned: lent + idle.length,
        lent,
        idle: idle.length,
      })),
      unpooledLent: this.#unpooledLent,
      acquisitions: this.#acquisitions,
      exhausted: this.#exhausted,
      suspectedLeaks: this.#suspectedLeaks,
    };
  }

  /**
   * Drops everything idle and lends no more. Asserts that nothing is lent; what is may still be released,
   * and is dropped then. Idempotent.
   */
  close(): void {
    this.#closed = true;
    for (const slabClass of this.#classes) while (slabClass.idle.length > 0) this.#dropIdle(slabClass);
    const lent = this.#classes.reduce((sum, slabClass) => sum + slabClass.lent, this.#unpooledLent);
    assert(lent === 0, `buffers still lent when the pool closed: ${lent}`);
  }

  #classFor(bytes: number): SlabClass | undefined {
    assert(bytes >= 0, 'a buffer has a size');
    for (const slabClass of this.#classes) if (bytes <= slabClass.slabBytes) return slabClass;
    return undefined;
  }

  #preallocate(slabClass: SlabClass): void {
    const { slabBytes, ownedMin, idle } = slabClass;
    while (idle.length < ownedMin) {
      if (!this.#budget.reserve(this.#thread, slabBytes)) throw this.#refusal(slabBytes);
      idle.push(this.#newSlab(slabBytes));
    }
  }

  /** For a class that has nothing idle; at the cap it drops idle slabs of the others, largest first. */
  #reservedSlab(bytes: number): Slab {
    if (this.#budget.reserve(this.#thread, bytes)) return this.#newSlab(bytes);
    for (const slabClass of this.#classes.toReversed()) {
      while (slabClass.idle.length > 0) {
        this.#dropIdle(slabClass);
        if (this.#budget.reserve(this.#thread, bytes)) return this.#newSlab(bytes);
      }
    }
    throw this.#refusal(bytes);
  }

  #refusal(bytes: number): ReactorError {
    this.#exhausted += 1;
    return new ReactorError(
      'REACTOR_POOL_EXHAUSTED',
      `${bytes} more bytes would pass the cap of ${this.#budget.bytesMax} for all buffer pools`,
    );
  }

  #newSlab(bytes: number): Slab {
    return new Slab(this.#giveBack, this.#leaks, lendableMemory(bytes));
  }

  #dropIdle(slabClass: SlabClass): void {
    const slab = slabClass.idle.pop();
    assert(slab !== undefined, 'only idle slabs are dropped');
    this.#leaks.unwatch(slab.record);
    this.#budget.release(this.#thread, slabClass.slabBytes);
  }

  #takeBack(slab: Slab): void {
    const slabClass = this.#returned(slab.slabBytes);
    if (slabClass === undefined || this.#closed) {
      this.#leaks.unwatch(slab.record);
      this.#budget.release(this.#thread, slab.slabBytes);
    } else if (this.#paranoid) {
      // A new handle for the next borrower: whoever still has the old one is found out for good.
      this.#leaks.unwatch(slab.record);
      slabClass.idle.push(new Slab(this.#giveBack, this.#leaks, slab.bytes));
    } else {
      slabClass.idle.push(slab);
    }
  }

  /** Takes a loan out of the counts; undefined for one above the largest class. */
  #returned(bytes: number): SlabClass | undefined {
    const slabClass = this.#classFor(bytes);
    if (slabClass === undefined) {
      this.#unpooledLent -= 1;
      this.#unpooledBytes -= bytes;
    } else {
      slabClass.lent -= 1;
    }
    return slabClass;
  }

  #lost(record: LeakRecord): void {
    this.#returned(record.bytes);
    this.#budget.release(this.#thread, record.bytes);
    this.#suspectedLeaks += 1;
    this.#onLeak({ bytes: record.bytes, acquiredAt: record.acquiredAt });
  }
}

/** The handle of one piece of memory; it is lent again and again without being made anew. */
class Slab implements PooledBuffer {
  readonly bytes: Buffer;
  readonly slabBytes: number;
  readonly record: LeakRecord;
  lent = false;
  readonly #giveBack: (slab: Slab) => void;

  constructor(giveBack: (slab: Slab) => void, leaks: LeakSampler, bytes: Buffer) {
    this.bytes = bytes;
    this.slabBytes = bytes.length;
    this.record = leaks.watch(this, bytes.length);
    this.#giveBack = giveBack;
  }

  release(): void {
    assert(this.lent, 'a buffer is released once');
    this.lent = false;
    this.#giveBack(this);
  }
}

function checked(options: Required<BufferPoolOptions>): Required<BufferPoolOptions> {
  const { preallocate, leakDetection, leakSampleEvery } = options;
  for (const [slabBytes, count] of Object.entries(preallocate)) {
    if (!SLAB_BYTES.includes(Number(slabBytes)) || !Number.isInteger(count) || count < 0) {
      throw invalid(`preallocate wants a count of slabs for one of ${SLAB_BYTES.join(', ')}`);
    }
  }
  if (!['off', 'sampled', 'paranoid'].includes(leakDetection)) {
    throw invalid(`leakDetection is 'off', 'sampled' or 'paranoid', not '${leakDetection}'`);
  }
  if (!Number.isInteger(leakSampleEvery) || leakSampleEvery < 1) {
    throw invalid(`leakSampleEvery is a whole number from 1, not ${leakSampleEvery}`);
  }
  return options;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
