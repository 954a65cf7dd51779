// Makes the views of received bytes that handlers are lent, and remembers the latest one.
// handlers.ts asks it when a handler looks at a body; epoll-output.ts, whether what is sent is that very body and may
// go out from where it lies.

import { markAsUntransferable } from 'node:worker_threads';

/** What Buffer's own methods make of a piece of memory, without their detour: half the time of `subarray`. */
const View = (Buffer as unknown as { readonly [Symbol.species]: ViewConstructor })[Symbol.species];

/** Node's subclass of Uint8Array whose instances are Buffers. */
type ViewConstructor = new (memory: ArrayBufferLike, offset: number, bytes: number) => Buffer;

/**
 * Memory to receive into, of which handlers will be shown pieces. It cannot be given to another thread: a
 * `postMessage` that lists it sends a copy, and whoever reads or writes here goes on doing so.
 */
export function lendableMemory(bytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes);
  markAsUntransferable(memory.buffer);
  return memory;
}

/** The same for memory that a thread receives into again and again: what is known of it need not be forgotten. */
export function receivingMemory(bytes: number): Buffer {
  const memory = lendableMemory(bytes);
  RECEIVING.add(memory);
  return memory;
}

const RECEIVING = new WeakSet<Buffer>();

export class BodyLender {
  /** The latest view, until `takeBack`. */
  body: Buffer | null = null;
  /** Where that lies: `memory[start, end)`. Kept beside it, because asking a Buffer takes longer. */
  memory: ArrayBufferLike | null = null;
  start = 0;
  end = 0;
  /** What it is a piece of. */
  #source: Buffer | null = null;
  #sourceOffset = 0;
  #isSourceKept = false;

  /** A view of `source[start, start + bytes)`. */
  lend(source: Buffer, start: number, bytes: number): Buffer {
    if (source !== this.#source) {
      this.#source = source;
      this.#sourceOffset = source.byteOffset;
      this.#isSourceKept = RECEIVING.has(source);
      this.memory = source.buffer;
    }
    this.start = this.#sourceOffset + start;
    this.end = this.start + bytes;
    this.body = new View(this.memory!, this.start, bytes);
    return this.body;
  }

  /** The bytes lent so far go back to their owner. */
  takeBack(): void {
    this.body = null;
    if (this.#isSourceKept) return;
    this.memory = null;
    this.#source = null;
  }
}

/** The thread's own: each has its copy of this module. */
export const lender: BodyLender = new BodyLender();
