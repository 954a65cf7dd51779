// What a connection has received and not dealt with yet, as one run of bytes that grows and gives back.
// request-parser.ts reads it where it lies; as long as nothing is left over, that is the read buffer itself, uncopied.
// Every byte of memory held is counted in an InputBudget that all connections share.

/** Memory that unfinished and waiting requests of all connections may take together. */
export class InputBudget {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get isExceeded(): boolean {
    return this.bytes > this.bytesMax;
  }
}

const CAPACITY_MIN = 512;

export class InputBuffer {
  /** What is read: `bytes[start, end)`. Positions in it stay until `add` or `keep` returns how far they moved. */
  bytes: Buffer = EMPTY;
  start = 0;
  end = 0;
  readonly #budget: InputBudget;
  /** The memory is ours, not the read buffer. */
  #isOwn = false;

  constructor(budget: InputBudget) {
    this.#budget = budget;
  }

  get length(): number {
    return this.end - this.start;
  }

  /**
   * Takes a chunk, which is only lent until `keep`. `wanted` is how many bytes the unfinished request will have.
   * Returns how far what was there has moved to the front.
   */
  add(chunk: Buffer, wanted: number): number {
    if (this.length === 0) {
      const moved = this.start;
      this.release();
      this.bytes = chunk;
      this.end = chunk.length;
      return moved;
    }
    const moved =
      this.#isOwn && this.end + chunk.length <= this.bytes.length ? 0 : this.#makeRoom(chunk.length, wanted);
    this.bytes.set(chunk, this.end);
    this.end += chunk.length;
    return moved;
  }

  /** The chunk is the reactor's again: what is left of it is copied. Returns how far that has moved to the front. */
  keep(wanted: number): number {
    if (this.length === 0) {
      const moved = this.start;
      this.release();
      return moved;
    }
    return this.#isOwn ? 0 : this.#makeRoom(0, wanted);
  }

  /** Forgets everything and gives the memory back. Idempotent. */
  release(): void {
    if (this.#isOwn) this.#budget.bytes -= this.bytes.length;
    this.#isOwn = false;
    this.bytes = EMPTY;
    this.start = 0;
    this.end = 0;
  }

  #makeRoom(more: number, wanted: number): number {
    const { length, start, bytes } = this;
    const needed = Math.max(length + more, Math.min(wanted, (length + more) * 2));
    if (this.#isOwn && needed <= bytes.length && start >= length) {
      bytes.copyWithin(0, start, this.end); // moves fewer bytes than were read before it
    } else {
      const grown = Buffer.allocUnsafeSlow(Math.max(CAPACITY_MIN, 2 ** Math.ceil(Math.log2(needed))));
      grown.set(bytes.subarray(start, this.end));
      this.release();
      this.bytes = grown;
      this.#isOwn = true;
      this.#budget.bytes += grown.length;
    }
    this.start = 0;
    this.end = length;
    return start;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
