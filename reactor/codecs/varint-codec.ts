// Frames with a base-128 length in front, the way protobuf delimits messages in a stream.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Wire: bodyBytes in groups of 7 bits, low group first, the top bit set on all but the last byte | body.

import type { FrameCodec, FrameSink } from '../codec.js';
import { FRAME_BYTES_MAX } from '../limits.js';
import { bodyTooLarge, checkedFrameBytesMax, frameMalformed, frameTooLarge } from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';

export interface VarintCodecOptions {
  /** Bytes one body may have. Default 1 MiB. */
  frameBytesMax?: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function varintCodec(options: VarintCodecOptions = {}): FrameCodec {
  return new VarintCodec(checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX));
}

/** Enough for 32 bits. */
const HEADER_BYTES_MAX = 5;
const MORE_FOLLOWS = 0x80;
const GROUP_RANGE = 0x80;

class VarintCodec extends FramingCodec {
  readonly name = 'varint';
  readonly hasMsgId = false;

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let frameStart = start;
    while (frameStart < end) {
      const headerBytes = headerBytesAt(bytes, frameStart, end);
      if (headerBytes === 0) break;
      const bodyStart = frameStart + headerBytes;
      const bodyEnd = bodyStart + this.#bodyBytes(bytes, frameStart, headerBytes);
      if (bodyEnd > end) break;
      frameStart = bodyEnd;
      if (!delivery.continues(sink.onFrame(0, bytes, bodyStart, bodyEnd))) break;
    }
    return frameStart;
  }

  missingBytes(kept: Buffer, start: number, end: number): number {
    const headerBytes = headerBytesAt(kept, start, end);
    if (headerBytes === 0) return 1;
    return headerBytes + this.#bodyBytes(kept, start, headerBytes) - (end - start);
  }

  encodedBytes(_msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    let headerBytes = 1;
    for (let rest = body.length; rest >= GROUP_RANGE; rest = Math.floor(rest / GROUP_RANGE)) headerBytes += 1;
    return headerBytes + body.length;
  }

  encodeInto(target: Buffer, offset: number, _msgId: number, body: Uint8Array): number {
    let at = offset;
    let rest = body.length;
    while (rest >= GROUP_RANGE) {
      target[at] = (rest % GROUP_RANGE) | MORE_FOLLOWS;
      rest = Math.floor(rest / GROUP_RANGE);
      at += 1;
    }
    target[at] = rest;
    target.set(body, at + 1);
    return at + 1 + body.length;
  }

  #bodyBytes(bytes: Buffer, start: number, headerBytes: number): number {
    let bodyBytes = 0;
    for (let at = start + headerBytes - 1; at >= start; at -= 1) {
      bodyBytes = bodyBytes * GROUP_RANGE + (bytes[at]! % GROUP_RANGE);
    }
    if (bodyBytes > this.frameBytesMax) throw frameTooLarge(bodyBytes, this.frameBytesMax);
    return bodyBytes;
  }
}

/** Bytes of the length that starts at `start`; 0 when it does not end before `end`. */
function headerBytesAt(bytes: Buffer, start: number, end: number): number {
  const headerEndMax = Math.min(end, start + HEADER_BYTES_MAX);
  for (let at = start; at < headerEndMax; at += 1) {
    if (bytes[at]! < MORE_FOLLOWS) return at + 1 - start;
  }
  if (end - start >= HEADER_BYTES_MAX) throw frameMalformed('a varint length does not end within 5 bytes');
  return 0;
}
