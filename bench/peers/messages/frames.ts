// Cuts a stream of frames, `u32 kind | u32 length | body`, and reads a word of each line of the bodies.
// Both ends of a socket use it. The chunks come as they come: a header, a word may be cut anywhere. A body that does not
// lie in one chunk is put together, as whoever wants the message has to, unless the reader takes it in pieces. Pure.

import { LINE_BYTES, sumLines } from '../../rotation.js';
import { KIND_DATA, type Tally } from './ends.js';

export const FRAME_HEADER_BYTES = 8;

const BODY_BYTES_AT_FIRST = 64 * 1024;
const WORD_BYTES = 4;

export interface FrameReaderOptions {
  /** Adds up data as it comes, and puts no message together. */
  readonly inPieces?: boolean;
}

export class FrameReader {
  readonly #onShort: (kind: number, body: Buffer) => void;
  readonly #inPieces: boolean;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** Where bodies are put together, one after the other. */
  #body = Buffer.alloc(BODY_BYTES_AT_FIRST);
  #bodyView = new DataView(this.#body.buffer);
  #headerHave = 0;
  #kind = 0;
  #bodyBytes = 0;
  #bodyHave = 0;
  #count = 0;
  #sum = 0;

  /** @param onShort gets every frame of another kind than data; its body is valid until it returns. */
  constructor(onShort: (kind: number, body: Buffer) => void, { inPieces = false }: FrameReaderOptions = {}) {
    this.#onShort = onShort;
    this.#inPieces = inPieces;
  }

  /** Data frames since the last call. */
  settle(): Tally {
    const tally = { count: this.#count, sum: this.#sum };
    this.#count = 0;
    this.#sum = 0;
    return tally;
  }

  /** @param view over all of `chunk`'s memory, made once for all chunks that lie there. */
  feed(chunk: Buffer, view: DataView, bytes: number): void {
    for (let at = 0; at < bytes; ) {
      if (this.#headerHave < FRAME_HEADER_BYTES) {
        at = this.#readHeader(chunk, view, at, bytes);
        if (this.#headerHave < FRAME_HEADER_BYTES) return;
      }
      const length = Math.min(this.#bodyBytes - this.#bodyHave, bytes - at);
      if (this.#kind === KIND_DATA && this.#inPieces) {
        this.#sum = sumPart(view, at, length, this.#bodyHave, this.#sum);
      } else if (length === this.#bodyBytes) {
        this.#end(chunk, view, at);
        at += length;
        continue;
      } else {
        chunk.copy(this.#body, this.#bodyHave, at, at + length);
      }
      this.#bodyHave += length;
      at += length;
      if (this.#bodyHave < this.#bodyBytes) return;
      this.#end(this.#body, this.#bodyView, 0);
    }
  }

  /** The frame is complete, its body at `from`, unless it was added up in pieces. */
  #end(bytes: Buffer, view: DataView, from: number): void {
    const length = this.#bodyBytes;
    this.#headerHave = this.#bodyBytes = this.#bodyHave = 0;
    if (this.#kind !== KIND_DATA) return this.#onShort(this.#kind, bytes.subarray(from, from + length));
    this.#count += 1;
    if (!this.#inPieces) this.#sum = sumLines(view, from, length, this.#sum);
  }

  #readHeader(chunk: Buffer, view: DataView, at: number, end: number): number {
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
    if (bodyBytes <= this.#body.length) return;
    this.#body = Buffer.alloc(bodyBytes, 1); // written once, so that no message pays for page faults
    this.#bodyView = new DataView(this.#body.buffer, this.#body.byteOffset, bodyBytes);
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
