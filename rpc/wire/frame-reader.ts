// Reads the parts of one frame body in order and never past its end.
// The decoders of this folder use it on frames that are not many; the two frames of a unary call are read in place.

import { RpcError } from '../errors.js';

export class FrameReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at: number;

  /** @param what the frame's name, for errors */
  constructor(bytes: Buffer, at: number, what: string) {
    this.#bytes = bytes;
    this.#at = at;
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#take(4));
  }

  /** UTF-8; what is none is shown as replacement characters. */
  text(bytes: number): string {
    const start = this.#take(bytes);
    return this.#bytes.toString('utf8', start, start + bytes);
  }

  ascii(bytes: number): string {
    const start = this.#take(bytes);
    return this.#bytes.toString('latin1', start, start + bytes);
  }

  /** A view, as borrowed as the frame is. */
  view(bytes: number): Buffer {
    const start = this.#take(bytes);
    return this.#bytes.subarray(start, start + bytes);
  }

  copy(bytes: number): Uint8Array {
    return new Uint8Array(this.view(bytes));
  }

  rest(): Buffer {
    return this.view(this.left);
  }

  #take(bytes: number): number {
    const start = this.#at;
    if (bytes > this.#bytes.length - start) {
      throw new RpcError(
        'RPC_PROTOCOL',
        `${this.#what} frame is too short: ${bytes} more bytes announced, ${this.#bytes.length - start} there`,
      );
    }
    this.#at = start + bytes;
    return start;
  }
}
