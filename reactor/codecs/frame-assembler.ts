// One connection's decoder, the same for every codec: it keeps the bytes that are not delivered yet.
// A codec describes itself as a Framing: where frames end in contiguous bytes, and nothing else.
// Frames that lie whole in a chunk are delivered from the chunk, without a copy or an allocation. Only
// what is left over is copied, into a slab borrowed from the pool until those bytes are delivered too.

import assert from 'node:assert/strict';
import type { BufferPool, PooledBuffer } from '../buffer-pool.js';
import type { FrameDecoder, FrameSink } from '../codec.js';
import { READ_BUFFER_BYTES } from '../limits.js';

/** What a codec knows of its wire. Stateless: all connections share it. */
export interface Framing {
  /** It searches the bytes it is shown, and so is to be shown a view of the chunk, with nothing behind its end. */
  readonly isSearching: boolean;
  /**
   * Hands the whole frames of `bytes[start, end)` to `sink`, oldest first, and asks `delivery` after each
   * whether to go on. Returns the offset after the last frame it handed over.
   * @throws ReactorError REACTOR_FRAME_TOO_LARGE, REACTOR_FRAME_MALFORMED.
   */
  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number;
  /**
   * How many more bytes the partial frame `kept[start, end)` needs before `deliver` can make progress, at
   * least 1. `next[offset, end of next)` are the bytes that follow it; more than those may be needed.
   * @throws like `deliver`, before anybody allocates for the frame.
   */
  missingBytes(kept: Buffer, start: number, end: number, next: Buffer, offset: number): number;
}

/** The running delivery, as a Framing sees it. */
export interface Delivery {
  /** Takes what `onFrame` returned; false when the delivery has to end here. */
  continues(accepted: boolean): boolean;
}

/** 'stopped' means that bytes are kept because the sink refused; a failed or released decoder takes no more. */
type State = 'open' | 'delivering' | 'stopped' | 'failed' | 'released';

/**
 * A frame announced with up to this many bytes gets its whole slab at once. A longer one has to send a
 * quarter of what it is lent, or a header of 8 bytes would be enough to tie up frameBytesMax.
 */
const WHOLE_FRAME_LOAN_BYTES = READ_BUFFER_BYTES;
const LOAN_FACTOR = 4;

export class FrameAssembler implements FrameDecoder, Delivery {
  readonly #pool: BufferPool;
  readonly #framing: Framing;
  #state: State = 'open';
  /** Holds the kept bytes at [start, end); null when there are none. */
  #slab: PooledBuffer | null = null;
  #start = 0;
  #end = 0;

  constructor(pool: BufferPool, framing: Framing) {
    this.#pool = pool;
    this.#framing = framing;
  }

  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  feed(bytes: Buffer, sink: FrameSink, start: number = 0, end: number = bytes.length): void {
    if (this.#state === 'stopped') {
      this.#keep(bytes, start, end, 0);
      return;
    }
    assert(this.#state === 'open', 'a decoder is fed from outside its sink, and not after its end');
    this.#state = 'delivering';
    try {
      if (this.#slab === null && !this.#framing.isSearching) this.#deliverChunk(bytes, start, end, sink);
      else this.#deliverView(bytes.subarray(start, end), sink);
    } catch (error) {
      this.#fail();
      throw error;
    }
    this.#endDelivery();
  }

  resume(sink: FrameSink): void {
    if (this.#state !== 'stopped') return;
    this.#state = 'delivering';
    try {
      this.#deliverKept(sink);
    } catch (error) {
      this.#fail();
      throw error;
    }
    this.#endDelivery();
  }

  release(): void {
    // The sink may be looking at the slab: endDelivery gives it back once the sink has returned.
    const isDelivering = this.#state === 'delivering';
    this.#state = 'released';
    if (!isDelivering) this.#dropKept();
  }

  continues(accepted: boolean): boolean {
    if (!accepted && this.#state === 'delivering') this.#state = 'stopped';
    return this.#state === 'delivering';
  }

  #deliverView(chunk: Buffer, sink: FrameSink): void {
    const offset = this.#slab === null ? 0 : this.#completeKept(chunk, sink);
    if (offset < chunk.length) this.#deliverChunk(chunk, offset, chunk.length, sink);
  }

  /** Delivers straight from the chunk that ends at `end`, starting at a frame's first byte, and keeps the rest. */
  #deliverChunk(bytes: Buffer, start: number, end: number, sink: FrameSink): void {
    if (this.#isIn('delivering')) {
      const restAt = this.#framing.deliver(bytes, start, end, sink, this);
      if (restAt === end || this.#isIn('released')) return;
      const rest = bytes.subarray(restAt, end);
      const { length } = rest;
      const missing = this.#isIn('stopped') ? 0 : this.#framing.missingBytes(rest, 0, length, rest, length);
      this.#keep(rest, 0, length, missing);
    } else if (this.#isIn('stopped')) {
      this.#keep(bytes, start, end, 0);
    }
  }

  /** Gives the kept partial frame what it lacks and delivers it. Returns the chunk offset reached. */
  #completeKept(chunk: Buffer, sink: FrameSink): number {
    let offset = 0;
    while (this.#slab !== null && offset < chunk.length && this.#isIn('delivering')) {
      const missing = this.#framing.missingBytes(this.#slab.bytes, this.#start, this.#end, chunk, offset);
      const taken = Math.min(missing, chunk.length - offset);
      this.#keep(chunk, offset, offset + taken, missing - taken);
      offset += taken;
      if (taken === missing) this.#deliverKept(sink);
    }
    return offset;
  }

  #deliverKept(sink: FrameSink): void {
    if (this.#slab === null) return;
    this.#start = this.#framing.deliver(this.#slab.bytes, this.#start, this.#end, sink, this);
    if (this.#start === this.#end) this.#dropKept();
  }

  /** Copies `source[from, to)` behind the kept bytes; `missing` more are known to belong to the frame. */
  #keep(source: Buffer, from: number, to: number, missing: number): void {
    if (from === to) return;
    const slab = this.#roomFor(to - from, missing);
    source.copy(slab.bytes, this.#end, from, to);
    this.#end += to - from;
  }

  /** The slab, with room for `added` bytes at `end`. */
  #roomFor(added: number, missing: number): PooledBuffer {
    const slab = this.#slab;
    if (slab !== null && this.#end + added <= slab.slabBytes) return slab;
    const kept = this.#end - this.#start;
    const needed = kept + added;
    if (slab !== null && needed <= slab.slabBytes && kept <= slab.slabBytes / 2) {
      // Half of the slab is free, so each byte moved here makes room for one more.
      slab.bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
      this.#end = kept;
      return slab;
    }
    const loanBytesMax = Math.max(WHOLE_FRAME_LOAN_BYTES, LOAN_FACTOR * needed);
    const larger = this.#pool.acquire(Math.max(needed, Math.min(needed + missing, loanBytesMax)));
    if (slab !== null) {
      slab.bytes.copy(larger.bytes, 0, this.#start, this.#end);
      slab.release();
    }
    this.#slab = larger;
    this.#start = 0;
    this.#end = kept;
    return larger;
  }

  #endDelivery(): void {
    if (this.#state === 'released') this.#dropKept();
    else if (this.#state === 'delivering' || this.#slab === null) this.#state = 'open';
  }

  #fail(): void {
    if (this.#state === 'released') this.#dropKept();
    else this.#state = 'failed';
  }

  #dropKept(): void {
    this.#slab?.release();
    this.#slab = null;
    this.#start = 0;
    this.#end = 0;
  }

  /** The state as it is now: a sink may have changed it behind the compiler's back. */
  #isIn(state: State): boolean {
    return this.#state === state;
  }
}
