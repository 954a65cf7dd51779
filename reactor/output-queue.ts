// What a connection still has to send: bytes, appended frame by frame and taken out slab by slab, and files.
// sending-half.ts appends; the transport takes slabs, writes them, and releases them, or reads the file whose turn
// it is. Small sends share a slab, so that the memory held stays close to the bytes that wait.

import assert from 'node:assert/strict';

import type { BufferPool, PooledBuffer } from './buffer-pool.js';
import type { FrameCodec } from './codec.js';
import type { FileReader } from './file-reader.js';
import { SLAB_BYTES } from './limits.js';

/** Small frames are gathered in slabs of up to this size; a larger frame gets a slab of its own. */
const GATHER_BYTES_MAX = SLAB_BYTES[2]!;

/** Bytes [0, usedBytes) of `slab` are to be written, in order; whoever shifted it releases `slab`. */
export interface OutputChunk {
  readonly slab: PooledBuffer;
  usedBytes: number;
}

/** What a connection asks of the place its output waits in. */
export interface Output {
  /** Bytes appended and not yet handed to the kernel's side of the transport. */
  readonly bytes: number;
  /** Nothing is left to be handed over, neither bytes nor files. */
  readonly isEmpty: boolean;
  /** @throws ReactorError REACTOR_POOL_EXHAUSTED; nothing is appended then. */
  appendFrame(codec: FrameCodec, msgId: number, body: Uint8Array, frameBytes: number): void;
  /** @throws ReactorError REACTOR_POOL_EXHAUSTED; nothing is appended then. */
  appendBytes(bytes: Uint8Array): void;
  /** The same for text that takes `bytes` in this encoding. @throws ReactorError REACTOR_POOL_EXHAUSTED. */
  appendText(text: string, bytes: number, encoding: 'latin1' | 'utf8'): void;
  /** Forgets everything, unsent. */
  clear(): void;
}

export class OutputQueue implements Output {
  readonly #pool: BufferPool;
  readonly #full: (OutputChunk | FileReader)[] = [];
  #tail: OutputChunk | null = null;
  #bytes = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Bytes appended and not yet shifted out; those of files do not count. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#tail === null && this.#full.length === 0;
  }

  /** The file whose turn it is; null while bytes come first. */
  get file(): FileReader | null {
    const first = this.#full[0];
    return first === undefined || isChunk(first) ? null : first;
  }

  /**
   * Encodes one frame at the end of the queue; `body` is copied and may be reused at once. `frameBytes` is
   * what the codec's `encodedBytes` said of this frame.
   * @throws ReactorError REACTOR_POOL_EXHAUSTED; nothing is appended then.
   */
  appendFrame(codec: FrameCodec, msgId: number, body: Uint8Array, frameBytes: number): void {
    const chunk = this.#chunkFor(frameBytes);
    const end = codec.encodeInto(chunk.slab.bytes, chunk.usedBytes, msgId, body);
    assert(end === chunk.usedBytes + frameBytes); // the codec wrote what it announced
    chunk.usedBytes = end;
    this.#bytes += frameBytes;
  }

  /** Copies raw bytes to the end of the queue. @throws ReactorError REACTOR_POOL_EXHAUSTED. */
  appendBytes(bytes: Uint8Array): void {
    const chunk = this.#chunkFor(bytes.length);
    chunk.slab.bytes.set(bytes, chunk.usedBytes);
    chunk.usedBytes += bytes.length;
    this.#bytes += bytes.length;
  }

  /** Encodes text at the end of the queue. @throws ReactorError REACTOR_POOL_EXHAUSTED. */
  appendText(text: string, bytes: number, encoding: 'latin1' | 'utf8'): void {
    const chunk = this.#chunkFor(bytes);
    chunk.slab.bytes.write(text, chunk.usedBytes, bytes, encoding);
    chunk.usedBytes += bytes;
    this.#bytes += bytes;
  }

  /** Puts a file behind everything appended so far; it is closed by `finishFile` or `clear`. */
  appendFile(file: FileReader): void {
    if (this.#tail !== null) this.#full.push(this.#tail);
    this.#tail = null;
    this.#full.push(file);
  }

  /** The turn of `file` is over: closes it. */
  finishFile(): void {
    this.file?.close();
    this.#full.shift();
  }

  /** Takes the oldest chunk out, full or not; null when nothing waits, or a file comes first. */
  shift(): OutputChunk | null {
    let chunk: OutputChunk | null = null;
    const first = this.#full[0];
    if (first === undefined) {
      chunk = this.#tail;
      this.#tail = null;
    } else if (isChunk(first)) {
      chunk = first;
      this.#full.shift();
    }
    if (chunk !== null) this.#bytes -= chunk.usedBytes;
    return chunk;
  }

  /** Gives all memory back and closes all files, unsent. */
  clear(): void {
    while (!this.isEmpty) {
      if (this.file === null) this.shift()?.slab.release();
      else this.finishFile();
    }
    assert(this.#bytes === 0);
  }

  /** A chunk with room for `bytes`: the tail, a larger tail, or a new one. */
  #chunkFor(bytes: number): OutputChunk {
    const tail = this.#tail;
    if (tail === null) {
      this.#tail = { slab: this.#pool.acquire(bytes), usedBytes: 0 };
      return this.#tail;
    }
    const neededBytes = tail.usedBytes + bytes;
    if (neededBytes <= tail.slab.bytes.length) return tail;
    if (neededBytes <= GATHER_BYTES_MAX) {
      const larger = this.#pool.acquire(Math.min(neededBytes * 2, GATHER_BYTES_MAX));
      larger.bytes.set(tail.slab.bytes.subarray(0, tail.usedBytes));
      tail.slab.release();
      this.#tail = { slab: larger, usedBytes: tail.usedBytes };
      return this.#tail;
    }
    const slab = this.#pool.acquire(bytes);
    this.#full.push(tail);
    this.#tail = { slab, usedBytes: 0 };
    return this.#tail;
  }
}

function isChunk(item: OutputChunk | FileReader): item is OutputChunk {
  return 'slab' in item;
}
