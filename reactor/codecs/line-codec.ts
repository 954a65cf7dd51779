// Lines of text: frames that end with \n or \r\n, whichever the peer likes.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Bodies come without their line end. Bytes are not decoded: any encoding in which \n is one byte will do.
// Wire: body | \n, or body | \r \n.

import type { FrameCodec, FrameSink } from '../codec.js';
import { FRAME_BYTES_MAX } from '../limits.js';
import {
  bodyTooLarge,
  checkedFrameBytesMax,
  checkedOneOf,
  frameMalformed,
  frameTooLarge,
} from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';

export interface LineCodecOptions {
  /** What ends the lines we send. Both are understood. Default '\n'. */
  lineEnd?: '\n' | '\r\n';
  /** Bytes one line may have, its end not counted. Default 1 MiB. */
  frameBytesMax?: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function lineCodec(options: LineCodecOptions = {}): FrameCodec {
  return new LineCodec(
    checkedOneOf('lineEnd', options.lineEnd ?? '\n', ['\n', '\r\n'] as const),
    checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX),
  );
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LINE_END_BYTES_MAX = 2;

class LineCodec extends FramingCodec {
  readonly name = 'line';
  readonly hasMsgId = false;
  override readonly isSearching = true;
  readonly #lineEnd: Buffer;

  constructor(lineEnd: string, frameBytesMax: number) {
    super(frameBytesMax);
    this.#lineEnd = Buffer.from(lineEnd);
  }

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let lineStart = start;
    while (lineStart < end) {
      const bodyStart = lineStart;
      const feedAt = bytes.indexOf(LINE_FEED, lineStart);
      if (feedAt === -1 || feedAt >= end) {
        this.#checkUnended(end - lineStart);
        break;
      }
      const bodyEnd = feedAt > bodyStart && bytes[feedAt - 1] === CARRIAGE_RETURN ? feedAt - 1 : feedAt;
      const bodyBytes = bodyEnd - bodyStart;
      if (bodyBytes > this.frameBytesMax) throw frameTooLarge(bodyBytes, this.frameBytesMax);
      lineStart = feedAt + 1;
      if (!delivery.continues(sink.onFrame(0, bytes, bodyStart, bodyEnd))) break;
    }
    return lineStart;
  }

  missingBytes(_kept: Buffer, start: number, end: number, next: Buffer, offset: number): number {
    const feedAt = next.indexOf(LINE_FEED, offset);
    const unendedBytes = (feedAt === -1 ? next.length : feedAt) - offset;
    this.#checkUnended(end - start + unendedBytes);
    return unendedBytes + 1;
  }

  encodedBytes(_msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    if (body.includes(LINE_FEED)) throw frameMalformed('the body contains a line feed');
    if (body.at(-1) === CARRIAGE_RETURN && this.#lineEnd.length === 1) {
      throw frameMalformed('the body ends with a carriage return, which would be taken for its line end');
    }
    return body.length + this.#lineEnd.length;
  }

  encodeInto(target: Buffer, offset: number, _msgId: number, body: Uint8Array): number {
    target.set(body, offset);
    target.set(this.#lineEnd, offset + body.length);
    return offset + body.length + this.#lineEnd.length;
  }

  /** Without its line feed, a line may be over the maximum by the carriage return only. */
  #checkUnended(bytes: number): void {
    if (bytes >= this.frameBytesMax + LINE_END_BYTES_MAX) throw frameTooLarge(bytes, this.frameBytesMax);
  }
}
