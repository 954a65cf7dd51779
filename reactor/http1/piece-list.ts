// Bytes that came piece by piece and wait to be taken. Small pieces share memory: a client that sends single bytes
// must not make us keep an object of a hundred for each.
// request-body.ts has one for each body. Pure.

/** A piece below this joins the one before it, in memory of this size. */
const SHARED_BYTES = 4096;

export class PieceList {
  #pieces: Buffer[] = [];
  /** Where small pieces go, and how much of it is used; it is not among the pieces yet. */
  #shared: Buffer | null = null;
  #usedBytes = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `piece` behind what waits. */
  append(piece: Buffer): void {
    this.#bytes += piece.length;
    const isFirst = this.#bytes === piece.length;
    if (isFirst || piece.length >= SHARED_BYTES) {
      this.#closeShared();
      this.#pieces.push(Buffer.from(piece));
      return;
    }
    if (this.#usedBytes + piece.length > SHARED_BYTES) this.#closeShared();
    this.#shared ??= Buffer.allocUnsafe(SHARED_BYTES);
    piece.copy(this.#shared, this.#usedBytes);
    this.#usedBytes += piece.length;
  }

  /** Gives all that waits, in order; nothing waits any more. */
  take(): Buffer[] {
    this.#closeShared();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  #closeShared(): void {
    if (this.#shared !== null) this.#pieces.push(this.#shared.subarray(0, this.#usedBytes));
    this.#shared = null;
    this.#usedBytes = 0;
  }
}
