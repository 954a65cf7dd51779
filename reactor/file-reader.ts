// Reads one file piece by piece for a transport that sends bytes rather than descriptors.
// output-queue.ts keeps it in its place among the output; net-connection.ts asks for the next piece when the
// kernel has taken the one before, so a file never holds more than one slab.

import assert from 'node:assert/strict';
import { read } from 'node:fs';

import type { BufferPool } from './buffer-pool.js';
import type { ReactorError } from './errors.js';
import { FILE_PIECE_BYTES } from './limits.js';
import type { OutputChunk } from './output-queue.js';
import { fileFailed, type SendableFile } from './sendable-file.js';

export class FileReader {
  readonly #file: SendableFile;
  #position: number;
  #bytesLeft: number;
  #isReading = false;

  /** Owns `file` from here on. */
  constructor(file: SendableFile) {
    this.#file = file;
    this.#position = file.start;
    this.#bytesLeft = file.bytes;
  }

  /** Bytes not read yet. */
  get bytesLeft(): number {
    return this.#bytesLeft;
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /**
   * Reads the next piece and hands it over; whoever gets it releases its slab. A file that is shorter than it was
   * when it was opened fails with REACTOR_FILE_FAILED.
   * @throws ReactorError REACTOR_POOL_EXHAUSTED
   */
  read(pool: BufferPool, done: (error: ReactorError | null, piece: OutputChunk | null) => void): void {
    const wanted = Math.min(this.#bytesLeft, FILE_PIECE_BYTES);
    const slab = pool.acquire(wanted);
    this.#isReading = true;
    read(this.#file.fd, slab.bytes, 0, wanted, this.#position, (cause, bytes) => {
      this.#isReading = false;
      if (cause !== null || bytes === 0) {
        slab.release();
        done(fileFailed(cause), null);
        return;
      }
      this.#position += bytes;
      this.#bytesLeft -= bytes;
      done(null, { slab, usedBytes: bytes });
    });
  }

  /** Not while a read is under way: the number of the descriptor could come to mean another file. */
  close(): void {
    assert(!this.#isReading);
    this.#file.close();
  }
}
