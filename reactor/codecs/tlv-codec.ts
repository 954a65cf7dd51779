// The TLV framing, our default and the Lars wire: a message id, a length, and a body of that length.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Wire, little-endian: msgId u32 | bodyBytes u32 | body.

import type { FrameCodec, FrameSink } from '../codec.js';
import { FRAME_BYTES_MAX } from '../limits.js';
import { bodyTooLarge, checkedFrameBytesMax, frameMalformed, frameTooLarge } from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';
import { readUint32Little, writeUint32Little } from './unsigned.js';

export interface TlvCodecOptions {
  /** Bytes one body may have. Default 1 MiB. */
  frameBytesMax?: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function tlvCodec(options: TlvCodecOptions = {}): FrameCodec {
  return new TlvCodec(checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX));
}

const HEADER_BYTES = 8;
const LENGTH_AT = 4;

class TlvCodec extends FramingCodec {
  readonly name = 'tlv';
  readonly hasMsgId = true;

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let frameStart = start;
    while (end - frameStart >= HEADER_BYTES) {
      const bodyStart = frameStart + HEADER_BYTES;
      const bodyEnd = bodyStart + this.#bodyBytes(bytes, frameStart);
      if (bodyEnd > end) break;
      const msgId = readUint32Little(bytes, frameStart);
      frameStart = bodyEnd;
      if (!delivery.continues(sink.onFrame(msgId, bytes, bodyStart, bodyEnd))) break;
    }
    return frameStart;
  }

  missingBytes(kept: Buffer, start: number, end: number): number {
    const keptBytes = end - start;
    if (keptBytes < HEADER_BYTES) return HEADER_BYTES - keptBytes;
    return HEADER_BYTES + this.#bodyBytes(kept, start) - keptBytes;
  }

  encodedBytes(msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    if (msgId >>> 0 !== msgId) {
      throw frameMalformed(`message id ${msgId} is not an unsigned 32-bit number`);
    }
    return HEADER_BYTES + body.length;
  }

  override encodedAt(bytes: Buffer, msgId: number, start: number, end: number): number {
    const frameStart = start - HEADER_BYTES;
    if (frameStart < 0 || readUint32Little(bytes, frameStart) !== msgId) return -1;
    return readUint32Little(bytes, frameStart + LENGTH_AT) === end - start ? frameStart : -1;
  }

  encodeInto(target: Buffer, offset: number, msgId: number, body: Uint8Array): number {
    writeUint32Little(target, offset, msgId);
    writeUint32Little(target, offset + LENGTH_AT, body.length);
    target.set(body, offset + HEADER_BYTES);
    return offset + HEADER_BYTES + body.length;
  }

  #bodyBytes(bytes: Buffer, frameStart: number): number {
    const bodyBytes = readUint32Little(bytes, frameStart + LENGTH_AT);
    if (bodyBytes > this.frameBytesMax) throw frameTooLarge(bodyBytes, this.frameBytesMax);
    return bodyBytes;
  }
}
