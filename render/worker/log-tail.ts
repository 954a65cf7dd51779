// What a renderer printed, piece by piece: the last bytes of it, and how many came before them.
// renderer-child.ts feeds it both outputs; renderer-process.ts takes what was printed during one task. Pure.

export class LogTail {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #dropped = 0;

  /** @param bytesMax of what is kept; older output is dropped and counted. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    // Whole pieces go first, so that a stream of short lines is not copied again for each of them.
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#pieces[0]!;
      const surplus = Math.min(this.#bytes - this.#bytesMax, oldest.length);
      if (surplus === oldest.length) this.#pieces.shift();
      else this.#pieces[0] = oldest.subarray(surplus);
      this.#bytes -= surplus;
      this.#dropped += surplus;
    }
  }

  /** The text so far, which is then forgotten. */
  take(): string {
    const text = Buffer.concat(this.#pieces).toString();
    const head = this.#dropped > 0 ? `[${this.#dropped} bytes before this were dropped]\n` : '';
    this.#pieces = [];
    this.#bytes = 0;
    this.#dropped = 0;
    return head + text;
  }
}
