// Cuts a stream of frames, `u32 kind | u32 length | body`, and reads a word of each line of the bodies where they lie.
// Both ends of a socket use it. The chunks come as they come: a header, a word may be cut anywhere. Pure.

import { LINE_BYTES } from '../../rotation.js';
import { KIND_DATA, type Tally } from './ends.js';

export const FRAME_HEADER_BYTES = 8;

const SHORT_BODY_BYTES_MAX = 64 * 1024;
const WORD_BYTES = 4;

export class FrameReader {
  readonly #onShort: (kind: number, body: Buffer) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  readonly #short = Buffer.alloc(SHORT_BODY_BYTES_MAX);
  #headerHave = 0;
  #kind = 0;
  #bodyBytes = 0;
  #bodyHave = 0;
  #count = 0;
  #sum = 0;

  /** @param onShort gets every frame of another kind than data; its body is valid until it returns. */
  constructor(onShort: (kind: number, body: Buffer) => void) {
    this.#onShort = onShort;
  }

  /** Data frames since the last call. */
  settle(): Tally {
    const tally = { count: this.#count, sum: this.#sum };
    this.#count = 0;
    this.#sum = 0;
    return tally;
  }

  /** @param view over all of `chunk`'s memory, made once for all chunks that lie there. */
  feed(chunk: Uint8Array, view: DataView, bytes: number): void {
    for (let at = 0; at < bytes; ) {
      if (this.#headerHave < FRAME_HEADER_BYTES) {
        at = this.#readHeader(chunk, view, at, bytes);
        if (this.#headerHave < FRAME_HEADER_BYTES) return;
      }
      const length = Math.min(this.#bodyBytes - this.#bodyHave, bytes - at);
      if (this.#kind === KIND_DATA) this.#sum = sumPart(view, at, length, this.#bodyHave, this.#sum);
      else this.#short.set(chunk.subarray(at, at + length), this.#bodyHave);
      this.#bodyHave += length;
      at += length;
      if (this.#bodyHave < this.#bodyBytes) return;
      this.#headerHave = 0;
      if (this.#kind === KIND_DATA) this.#count += 1;
      else this.#onShort(this.#kind, this.#short.subarray(0, this.#bodyBytes));
    }
  }

  #readHeader(chunk: Uint8Array, view: DataView, at: number, end: number): number {
    if (this.#headerHave === 0 && end - at >= FRAME_HEADER_BYTES) {
      this.#begin(view.getUint32(at, true), view.getUint32(at + 4, true));
      return at + FRAME_HEADER_BYTES;
    }
    for (; at < end && this.#headerHave < FRAME_HEADER_BYTES; at += 1) {
      this.#header[this.#headerHave] = chunk[at]!;
      this.#headerHave += 1;
    }
    if (this.#headerHave === FRAME_HEADER_BYTES) {
      this.#begin(this.#header.readUInt32LE(0), this.#header.readUInt32LE(4));
    }
    return at;
  }

  #begin(kind: number, bodyBytes: number): void {
    this.#headerHave = FRAME_HEADER_BYTES;
    this.#kind = kind;
    this.#bodyBytes = bodyBytes;
    this.#bodyHave = 0;
  }
}

/** Adds the first words of the lines in a part of a body that begins at its byte `bodyAt`. */
export function sumPart(view: DataView, from: number, length: number, bodyAt: number, sum: number): number {
  const end = from + length;
  // What the last chunk had not of a word: its bytes count by their place in it.
  for (let place = bodyAt % LINE_BYTES, at = from; place > 0 && place < WORD_BYTES && at < end; at += 1) {
    sum = (sum + (view.getUint8(at) << (8 * place))) | 0;
    place += 1;
  }
  let at = from + (-bodyAt & (LINE_BYTES - 1));
  for (; at + WORD_BYTES <= end; at += LINE_BYTES) sum = (sum + view.getInt32(at, true)) | 0;
  for (let place = 0; at < end; at += 1, place += 1) sum = (sum + (view.getUint8(at) << (8 * place))) | 0;
  return sum;
}

export function writeFrameHeader(bytes: Buffer, at: number, kind: number, length: number): void {
  bytes.writeUInt32LE(kind, at);
  bytes.writeUInt32LE(length, at + 4);
}
