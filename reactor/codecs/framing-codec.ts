// What every codec is besides its wire: a bound on bodies, and a decoder for each connection.
// The codecs extend it and say where frames end (Framing) and how they are written (FrameCodec).

import type { BufferPool } from '../buffer-pool.js';
import type { FrameCodec, FrameDecoder, FrameSink } from '../codec.js';
import { type Delivery, FrameAssembler, type Framing } from './frame-assembler.js';

export abstract class FramingCodec implements FrameCodec, Framing {
  abstract readonly name: string;
  abstract readonly hasMsgId: boolean;
  readonly isSearching: boolean = false;
  readonly frameBytesMax: number;

  /** `frameBytesMax` is checked already. */
  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  createDecoder(pool: BufferPool): FrameDecoder {
    return new FrameAssembler(pool, this);
  }

  abstract deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number;
  abstract missingBytes(kept: Buffer, start: number, end: number, next: Buffer, offset: number): number;
  abstract encodedBytes(msgId: number, body: Uint8Array): number;
  abstract encodeInto(target: Buffer, offset: number, msgId: number, body: Uint8Array): number;

  encodedAt(_bytes: Buffer, _msgId: number, _start: number, _end: number): number {
    return -1;
  }
}
