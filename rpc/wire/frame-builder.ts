// Builds one frame body at a time in memory that the thread uses again and again.
// The encoders of this folder write with it; the session hands the result to the connection, which copies it.

import assert from 'node:assert/strict';
import type { EncodedMessage } from '../contract.js';
import { FRAME_BODY_BYTES_MAX, FRAME_HEAD_BYTES } from '../limits.js';

export class FrameBuilder {
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(FRAME_BODY_BYTES_MAX);
  readonly #memory: ArrayBufferLike = this.#bytes.buffer;
  #length = 0;

  /** Bytes written so far, the head included. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was built and writes the head of the next body. */
  begin(flags: number, streamId: number): this {
    const bytes = this.#bytes;
    bytes[0] = flags;
    bytes[1] = 0;
    bytes[2] = 0;
    bytes[3] = 0;
    this.#length = 4;
    return this.u32(streamId);
  }

  u8(value: number): this {
    this.#bytes[this.#length] = value;
    this.#length += 1;
    return this;
  }

  u16(value: number): this {
    const bytes = this.#bytes;
    bytes[this.#length] = value;
    bytes[this.#length + 1] = value >>> 8;
    this.#length += 2;
    return this;
  }

  /** Also for i32: the same bytes. */
  u32(value: number): this {
    const bytes = this.#bytes;
    const at = this.#length;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.#length = at + 4;
    return this;
  }

  /** ASCII only; the length is the caller's to write. */
  ascii(text: string): this {
    this.#length += this.#bytes.write(text, this.#length, 'latin1');
    return this;
  }

  bytes(bytes: Uint8Array): this {
    assert(this.#length + bytes.length <= FRAME_BODY_BYTES_MAX);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** The caller has judged its size. */
  message(message: EncodedMessage): this {
    assert(this.#length + message.bytes <= FRAME_BODY_BYTES_MAX);
    message.writeTo(this.#bytes, this.#length);
    this.#length += message.bytes;
    return this;
  }

  /** The body built, valid until the next `begin`. */
  body(): Uint8Array {
    assert(this.#length >= FRAME_HEAD_BYTES);
    return new Uint8Array(this.#memory, 0, this.#length);
  }
}

/** The thread's own: each has its copy of this module, and a body is sent before the next is begun. */
export const builder: FrameBuilder = new FrameBuilder();
