// Length-field framing with the parameters people know from netty: the length may stand anywhere in a
// header, be 1, 2, 3, 4 or 8 bytes in either byte order, and count more or less than the bytes after it.
// frame-assembler.ts runs it for one connection; connection.ts encodes with it.
// Wire: frame = everything up to lengthOffset + lengthBytes + length + lengthAdjustment;
//       body  = frame without its first stripBytes.

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
import { type ByteOrder, readUnsigned, type UnsignedBytes, unsignedMax, writeUnsigned } from './unsigned.js';

export interface LengthFieldCodecOptions {
  /** Where the length starts, counted from the frame's first byte. Default 0. */
  lengthOffset?: number;
  /** Default 4. */
  lengthBytes?: UnsignedBytes;
  /** Default 'little'. */
  byteOrder?: ByteOrder;
  /** Added to the length to get the bytes that follow it: -4 where a 4-byte length counts itself. Default 0. */
  lengthAdjustment?: number;
  /**
   * Bytes at the frame's start that are not part of the body: not handed out when decoding, put before the
   * body when encoding. Default: the header, up to the end of the length or of the message id.
   */
  stripBytes?: number;
  /** A message id in the header. Default none: msgId is 0 both ways. */
  msgId?: MsgIdField;
  /** Bytes one body may have. Default 1 MiB. */
  frameBytesMax?: number;
}

export interface MsgIdField {
  /** Where the message id starts, counted from the frame's first byte. */
  offset: number;
  bytes: 1 | 2 | 4;
  /** Default: that of the length. */
  byteOrder?: ByteOrder;
}

/** @throws ReactorError REACTOR_OPTION_INVALID. */
export function lengthFieldCodec(options: LengthFieldCodecOptions = {}): FrameCodec {
  return new LengthFieldCodec(options);
}

const HEADER_BYTES_LIMIT = 4096;
const ADJUSTMENT_LIMIT = 2 ** 30;

interface HeaderField {
  readonly offset: number;
  readonly bytes: UnsignedBytes;
  readonly byteOrder: ByteOrder;
}

class LengthFieldCodec extends FramingCodec {
  readonly name = 'length-field';
  readonly hasMsgId: boolean;
  readonly #length: HeaderField;
  readonly #lengthEnd: number;
  readonly #lengthAdjustment: number;
  readonly #msgId: HeaderField | null;
  readonly #stripBytes: number;
  /** A frame has its length, its message id, and the bytes to strip. */
  readonly #frameBytesMin: number;

  constructor(options: LengthFieldCodecOptions) {
    super(checkedFrameBytesMax(options.frameBytesMax ?? FRAME_BYTES_MAX));
    this.#length = {
      offset: checkedInteger('lengthOffset', options.lengthOffset ?? 0, 0, HEADER_BYTES_LIMIT),
      bytes: checkedOneOf('lengthBytes', options.lengthBytes ?? 4, [1, 2, 3, 4, 8] as const),
      byteOrder: checkedOneOf('byteOrder', options.byteOrder ?? 'little', ['little', 'big'] as const),
    };
    this.#lengthEnd = endOf(this.#length);
    this.#lengthAdjustment = checkedInteger(
      'lengthAdjustment',
      options.lengthAdjustment ?? 0,
      -ADJUSTMENT_LIMIT,
      ADJUSTMENT_LIMIT,
    );
    this.#msgId = options.msgId === undefined ? null : checkedMsgId(options.msgId, this.#length);
    this.hasMsgId = this.#msgId !== null;
    const headerBytes = Math.max(this.#lengthEnd, this.#msgId === null ? 0 : endOf(this.#msgId));
    this.#stripBytes = checkedInteger('stripBytes', options.stripBytes ?? headerBytes, 0, HEADER_BYTES_LIMIT);
    this.#frameBytesMin = Math.max(headerBytes, this.#stripBytes);
  }

  deliver(bytes: Buffer, start: number, end: number, sink: FrameSink, delivery: Delivery): number {
    let frameStart = start;
    while (end - frameStart >= this.#lengthEnd) {
      const bodyStart = frameStart + this.#stripBytes;
      const frameEnd = frameStart + this.#frameBytes(bytes, frameStart);
      if (frameEnd > end) break;
      const msgId = this.#msgId === null ? 0 : readField(bytes, frameStart, this.#msgId);
      frameStart = frameEnd;
      if (!delivery.continues(sink.onFrame(msgId, bytes, bodyStart, frameEnd))) break;
    }
    return frameStart;
  }

  missingBytes(kept: Buffer, start: number, end: number): number {
    const keptBytes = end - start;
    if (keptBytes < this.#lengthEnd) return this.#lengthEnd - keptBytes;
    return this.#frameBytes(kept, start) - keptBytes;
  }

  encodedBytes(msgId: number, body: Uint8Array): number {
    if (body.length > this.frameBytesMax) throw bodyTooLarge(body.length, this.frameBytesMax);
    const frameBytes = this.#stripBytes + body.length;
    if (frameBytes < this.#frameBytesMin) {
      throw frameMalformed('the body is too short to hold the header fields that are not stripped');
    }
    const length = this.#lengthOf(frameBytes);
    if (length < 0) throw frameMalformed('the length of this body would be negative');
    const lengthMax = unsignedMax(this.#length.bytes);
    if (length > lengthMax) throw bodyTooLarge(body.length, body.length - (length - lengthMax));
    if (this.#msgId !== null && !(msgId >= 0 && msgId <= unsignedMax(this.#msgId.bytes))) {
      throw frameMalformed(`message id ${msgId} does not fit ${this.#msgId.bytes} bytes`);
    }
    return frameBytes;
  }

  encodeInto(target: Buffer, offset: number, msgId: number, body: Uint8Array): number {
    const frameEnd = offset + this.#stripBytes + body.length;
    target.fill(0, offset, offset + this.#stripBytes);
    target.set(body, offset + this.#stripBytes);
    writeField(target, offset, this.#length, this.#lengthOf(frameEnd - offset));
    if (this.#msgId !== null) writeField(target, offset, this.#msgId, msgId);
    return frameEnd;
  }

  /** Bytes of the whole frame whose length field lies in `bytes`. */
  #frameBytes(bytes: Buffer, frameStart: number): number {
    const frameBytes = this.#lengthEnd + readField(bytes, frameStart, this.#length) + this.#lengthAdjustment;
    const bodyBytes = frameBytes - this.#stripBytes;
    if (bodyBytes > this.frameBytesMax) throw frameTooLarge(bodyBytes, this.frameBytesMax);
    if (frameBytes < this.#frameBytesMin) {
      throw frameMalformed(`a frame of ${frameBytes} bytes is shorter than its header`);
    }
    return frameBytes;
  }

  /** What the length field says in a frame of this many bytes. */
  #lengthOf(frameBytes: number): number {
    return frameBytes - this.#lengthEnd - this.#lengthAdjustment;
  }
}

function endOf(field: HeaderField): number {
  return field.offset + field.bytes;
}

function readField(bytes: Buffer, frameStart: number, field: HeaderField): number {
  return readUnsigned(bytes, frameStart + field.offset, field.bytes, field.byteOrder);
}

function writeField(target: Buffer, frameStart: number, field: HeaderField, value: number): void {
  writeUnsigned(target, frameStart + field.offset, value, field.bytes, field.byteOrder);
}

function checkedMsgId(options: MsgIdField, length: HeaderField): HeaderField {
  const bytes = checkedOneOf('msgId.bytes', options.bytes, [1, 2, 4] as const);
  const byteOrder = checkedOneOf('msgId.byteOrder', options.byteOrder ?? length.byteOrder, [
    'little',
    'big',
  ] as const);
  const offset = checkedInteger('msgId.offset', options.offset, 0, HEADER_BYTES_LIMIT);
  if (offset < endOf(length) && length.offset < offset + bytes) {
    throw optionInvalid('codec option msgId.offset must not let the message id overlap the length');
  }
  return { offset, bytes, byteOrder };
}
