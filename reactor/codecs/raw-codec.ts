// Bytes as they come: every chunk that was read is a frame. For relays, and protocols that frame themselves.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Wire: bytes. Where one frame ends and the next begins is chance, only their order is kept.

import type { FrameCodec, FrameSink } from '../codec.js';
import { FRAME_BYTES_MAX } from '../limits.js';
import { bodyTooLarge, checkedFrameBytesMax } from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';

export interface RawCodecOptions {
  /** Bytes one frame may have. A longer chunk comes as several frames; a longer send is refused. Default 1 MiB. */
  frameBytesMax?: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function rawCodec(options: RawCodecOptions = {}): FrameCodec {
  return new RawCodec(checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX));
}

class RawCodec extends FramingCodec {
  readonly name = 'raw';
  readonly hasMsgId = false;

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let frameStart = start;
    while (frameStart < end) {
      const frameEnd = Math.min(end, frameStart + this.frameBytesMax);
      const accepted = sink.onFrame(0, bytes, frameStart, frameEnd);
      frameStart = frameEnd;
      if (!delivery.continues(accepted)) break;
    }
    return frameStart;
  }

  /** Any byte is progress: nothing is ever partial. */
  missingBytes(): number {
    return 1;
  }

  encodedBytes(_msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
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
