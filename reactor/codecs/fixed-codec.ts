// Frames that all have the same size and no header.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Wire: body | body | ...

import type { FrameCodec, FrameSink } from '../codec.js';
import { bodyTooLarge, checkedInteger, FRAME_BYTES_LIMIT, frameMalformed } from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';

export interface FixedCodecOptions {
  /** Bytes every body has. */
  frameBytes: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function fixedCodec(options: FixedCodecOptions): FrameCodec {
  return new FixedCodec(checkedInteger('frameBytes', options.frameBytes, 1, FRAME_BYTES_LIMIT));
}

class FixedCodec extends FramingCodec {
  readonly name = 'fixed';
  readonly hasMsgId = false;

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    const frameBytes = this.frameBytesMax;
    let frameStart = start;
    while (end - frameStart >= frameBytes) {
      frameStart += frameBytes;
      if (!delivery.continues(sink.onFrame(0, bytes, frameStart - frameBytes, frameStart))) break;
    }
    return frameStart;
  }

  missingBytes(_kept: Buffer, start: number, end: number): number {
    return this.frameBytesMax - (end - start);
  }

  encodedBytes(_msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    if (body.length < this.frameBytesMax) {
      throw frameMalformed(`a body of ${body.length} bytes where every frame has ${this.frameBytesMax}`);
    }
    return body.length;
  }

  override encodedAt(_bytes: Buffer, _msgId: number, start: number): number {
    return start;
  }

  encodeInto(target: Buffer, offset: number, _msgId: number, body: Uint8Array): number {
    target.set(body, offset);
    return offset + body.length;
  }
}
