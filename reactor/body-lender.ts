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
  RECEIVING.set(memory, new KeptViews());
  return memory;
}

const RECEIVING = new WeakMap<Buffer, KeptViews>();

/** Peers that ask alike have their frames at the same places in every batch, and views of them serve again. */
const KEPT_VIEWS_BITS = 9;
/** 2^32 over the golden ratio: multiples of any frame's length are spread evenly by its upper bits. */
const SPREAD = 0x9e3779b1;

/** Views of one piece of memory, each in the one place that its offset gives it. */
class KeptViews {
  readonly #views: (Buffer | null)[] = Array.from({ length: 1 << KEPT_VIEWS_BITS }, () => null);
  /** Offset and bytes of each. */
  readonly #places = new Uint32Array(2 << KEPT_VIEWS_BITS);

  find(memory: ArrayBufferLike, offset: number, bytes: number): Buffer {
    const index = Math.imul(offset, SPREAD) >>> (32 - KEPT_VIEWS_BITS);
    const places = this.#places;
    const kept = this.#views[index]!;
    if (kept !== null && places[2 * index] === offset && places[2 * index + 1] === bytes) return kept;
    const view = new View(memory, offset, bytes);
    places[2 * index] = offset;
    places[2 * index + 1] = bytes;
    this.#views[index] = view;
    return view;
  }
}

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
  /** Of memory that is received into again and again. */
  #views: KeptViews | null = null;

  /** A view of `source[start, start + bytes)`. */
  lend(source: Buffer, start: number, bytes: number): Buffer {
    if (source !== this.#source) {
      this.#source = source;
      this.#sourceOffset = source.byteOffset;
      this.#views = RECEIVING.get(source) ?? null;
      this.memory = source.buffer;
    }
    this.start = this.#sourceOffset + start;
    this.end = this.start + bytes;
    const view =
      this.#views === null
        ? new View(this.memory!, this.start, bytes)
        : this.#views.find(this.memory!, this.start, bytes);
    this.body = view;
    return view;
  }

  /** The bytes lent so far go back to their owner. */
  takeBack(): void {
    this.body = null;
    if (this.#views !== null) return;
    this.memory = null;
    this.#source = null;
  }
}

/** The thread's own: each has its copy of this module. */
export const lender: BodyLender = new BodyLender();
