// Frames that end with a delimiter of one or more bytes, which no body contains.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Each byte is searched once when it arrives, however the wire is cut, and once more when its frame is whole.
// Wire: body | delimiter.

import type { FrameCodec, FrameSink } from '../codec.js';
import { FRAME_BYTES_MAX } from '../limits.js';
import {
  bodyTooLarge,
  checkedFrameBytesMax,
  checkedInteger,
  checkedOneOf,
  frameMalformed,
  frameTooLarge,
  optionInvalid,
} from './codec-checks.js';
import type { Delivery } from './frame-assembler.js';
import { FramingCodec } from './framing-codec.js';

export interface DelimiterCodecOptions {
  /** 1 to 64 bytes; a string is taken as UTF-8. */
  delimiter: string | Uint8Array;
  /**
   * Whether bodies come without their delimiter. With false a body carries it both ways: it is handed out
   * with the body, and what is sent has to end with it. Default true.
   */
  strip?: boolean;
  /** Bytes one body may have. Default 1 MiB. */
  frameBytesMax?: number;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function delimiterCodec(options: DelimiterCodecOptions): FrameCodec {
  return new DelimiterCodec(
    checkedDelimiter(options.delimiter),
    checkedOneOf('strip', options.strip ?? true, [true, false]),
    checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX),
  );
}

/** Looking for a delimiter across a cut compares at most the square of this. */
const DELIMITER_BYTES_LIMIT = 64;

class DelimiterCodec extends FramingCodec {
  readonly name = 'delimiter';
  readonly hasMsgId = false;
  override readonly isSearching = true;
  readonly #delimiter: Buffer;
  /** Bytes of delimiter that a body comes without. */
  readonly #strippedBytes: number;
  /** Bytes within which a frame's delimiter has to end. */
  readonly #wireBytesMax: number;

  constructor(delimiter: Buffer, strip: boolean, frameBytesMax: number) {
    super(frameBytesMax);
    this.#delimiter = delimiter;
    this.#strippedBytes = strip ? delimiter.length : 0;
    this.#wireBytesMax = frameBytesMax + this.#strippedBytes;
  }

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let frameStart = start;
    while (frameStart < end) {
      const bodyStart = frameStart;
      const frameEnd = this.#frameEnd(bytes, frameStart, end);
      // A frame without an end yet is too large once its delimiter cannot end in time.
      const frameBytesMin = frameEnd === -1 ? end - frameStart + 1 : frameEnd - frameStart;
      if (frameBytesMin > this.#wireBytesMax) throw this.#tooLarge(frameBytesMin);
      if (frameEnd === -1) break;
      frameStart = frameEnd;
      if (!delivery.continues(sink.onFrame(0, bytes, bodyStart, frameEnd - this.#strippedBytes))) break;
    }
    return frameStart;
  }

  missingBytes(kept: Buffer, start: number, end: number, next: Buffer, offset: number): number {
    const acrossBytes = this.#bytesAcrossCut(kept, start, end, next, offset);
    const frameEnd = acrossBytes > 0 ? offset + acrossBytes : this.#frameEnd(next, offset, next.length);
    const missing = (frameEnd === -1 ? next.length + 1 : frameEnd) - offset;
    const frameBytesMin = end - start + missing;
    if (frameBytesMin > this.#wireBytesMax) throw this.#tooLarge(frameBytesMin);
    return missing;
  }

  encodedBytes(_msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    const wireBytes = body.length + this.#strippedBytes;
    if (this.#firstEnd(body) !== wireBytes) {
      throw frameMalformed(
        this.#strippedBytes > 0
          ? 'the body contains the delimiter'
          : 'the body does not end at its first delimiter',
      );
    }
    return wireBytes;
  }

  encodeInto(target: Buffer, offset: number, _msgId: number, body: Uint8Array): number {
    target.set(body, offset);
    if (this.#strippedBytes > 0) target.set(this.#delimiter, offset + body.length);
    return offset + body.length + this.#strippedBytes;
  }

  /** Offset after the first delimiter in `bytes[start, end)`, or -1. */
  #frameEnd(bytes: Buffer, start: number, end: number): number {
    const at = bytes.indexOf(this.#delimiter, start);
    return at === -1 || at + this.#delimiter.length > end ? -1 : at + this.#delimiter.length;
  }

  /** How many bytes of `next` end a delimiter that begins in `kept`; 0 when none does. */
  #bytesAcrossCut(kept: Buffer, start: number, end: number, next: Buffer, offset: number): number {
    const delimiter = this.#delimiter;
    const fewest = Math.max(1, delimiter.length - (end - start));
    const most = Math.min(delimiter.length - 1, next.length - offset);
    for (let nextBytes = fewest; nextBytes <= most; nextBytes += 1) {
      const keptBytes = delimiter.length - nextBytes;
      if (
        kept.compare(delimiter, 0, keptBytes, end - keptBytes, end) === 0 &&
        next.compare(delimiter, keptBytes, delimiter.length, offset, offset + nextBytes) === 0
      ) {
        return nextBytes;
      }
    }
    return 0;
  }

  /** Where a decoder would end the frame that this body makes, or -1. */
  #firstEnd(body: Uint8Array): number {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const inBody = this.#frameEnd(bytes, 0, bytes.length);
    if (inBody !== -1 || this.#strippedBytes === 0) return inBody;
    // The delimiter we add may complete an earlier one: 'x-' before '--' would end a byte too soon.
    const acrossBytes = this.#bytesAcrossCut(bytes, 0, bytes.length, this.#delimiter, 0);
    return bytes.length + (acrossBytes > 0 ? acrossBytes : this.#strippedBytes);
  }

  #tooLarge(frameBytes: number): Error {
    return frameTooLarge(frameBytes - this.#strippedBytes, this.frameBytesMax);
  }
}

function checkedDelimiter(value: unknown): Buffer {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw optionInvalid('codec option delimiter must be a string or a Uint8Array');
  }
  const delimiter = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value); // one overload each
  checkedInteger('delimiter (its bytes)', delimiter.length, 1, DELIMITER_BYTES_LIMIT);
  return delimiter;
}
