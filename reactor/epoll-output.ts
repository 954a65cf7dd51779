// The output of one connection on the native transport: bytes staged in the thread's send slab.
// epoll-connection.ts owns it; epoll-transport.ts hands the slab over and says so.

import { lender } from './body-lender.js';
import type { BufferPool } from './buffer-pool.js';
import type { FrameCodec } from './codec.js';
import type { EpollSink } from './epoll-sinks.js';
import type { EpollTransport } from './epoll-transport.js';
import type { Output } from './output-queue.js';

export class EpollOutput implements Output {
  readonly #transport: EpollTransport;
  readonly #pool: BufferPool;
  #slot = -1;
  #sink: EpollSink | null = null;
  #staged = 0;

  constructor(transport: EpollTransport, pool: BufferPool) {
    this.#transport = transport;
    this.#pool = pool;
  }

  /** Says whose output this is; before it nothing can be appended. */
  attach(slot: number, sink: EpollSink): void {
    this.#slot = slot;
    this.#sink = sink;
  }

  /** Bytes staged and not handed over yet. */
  get bytes(): number {
    return this.#staged;
  }

  get isEmpty(): boolean {
    return this.#staged === 0;
  }

  appendFrame(codec: FrameCodec, msgId: number, body: Uint8Array, frameBytes: number): void {
    if (body === lender.body && this.#appendLent(codec, msgId, frameBytes)) return;
    if (frameBytes > this.#transport.stageBytesMax) {
      this.#appendLarge(codec, msgId, body, frameBytes);
      return;
    }
    const slab = this.#stage(frameBytes);
    codec.encodeInto(slab, this.#transport.stageOffset, msgId, body);
  }

  appendBytes(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += this.#transport.stageBytesMax) {
      const piece = bytes.subarray(offset, offset + this.#transport.stageBytesMax);
      const slab = this.#stage(piece.length);
      slab.set(piece, this.#transport.stageOffset);
    }
  }

  appendText(text: string, bytes: number, encoding: 'latin1' | 'utf8'): void {
    if (bytes > this.#transport.stageBytesMax) {
      this.appendBytes(Buffer.from(text, encoding));
      return;
    }
    const slab = this.#stage(bytes);
    slab.write(text, this.#transport.stageOffset, bytes, encoding);
  }

  clear(): void {
    this.#staged = 0; // what is in the slab names a slot that is gone: C++ skips it
  }

  /** What was staged has been handed over; returns how many bytes that was. */
  takeStaged(): number {
    const bytes = this.#staged;
    this.#staged = 0;
    return bytes;
  }

  /** The opposite: it was not handed over after all. */
  putBack(bytes: number): void {
    this.#staged += bytes;
  }

  /** Sends a received body from where it lies; false when its frame does not lie there, ready to be sent. */
  #appendLent(codec: FrameCodec, msgId: number, frameBytes: number): boolean {
    const transport = this.#transport;
    if (!transport.isInBatch || lender.memory !== transport.receivedMemory) return false;
    const frameStart = codec.encodedAt(transport.received, msgId, lender.start, lender.end);
    if (frameStart === -1) return false;
    transport.stageReceived(this.#slot, this.#sink!, frameStart, frameBytes, this.#staged === 0);
    this.#staged += frameBytes;
    return true;
  }

  #stage(bytes: number): Buffer {
    const slab = this.#transport.stage(this.#slot, this.#sink!, bytes, this.#staged === 0);
    this.#staged += bytes;
    return slab;
  }

  /** A frame above the slab's size is put together in pool memory first. */
  #appendLarge(codec: FrameCodec, msgId: number, body: Uint8Array, frameBytes: number): void {
    const slab = this.#pool.acquire(frameBytes);
    try {
      codec.encodeInto(slab.bytes, 0, msgId, body);
      this.appendBytes(slab.bytes.subarray(0, frameBytes));
    } finally {
      slab.release();
    }
  }
}
