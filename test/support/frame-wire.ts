// What the codec tests share: one entry per codec, the wires they make, and decoding in pieces.

import assert from 'node:assert/strict';
import { BufferPool } from '../../reactor/buffer-pool.js';
import type { FrameCodec, FrameDecoder, FrameSink } from '../../reactor/codec.js';
import type { CodecOptions } from '../../reactor/codecs/create-codec.js';
import { SharedBudget } from '../../reactor/shared-budget.js';

export interface Frame {
  readonly msgId: number;
  readonly body: string;
}

export interface CodecSample {
  readonly title: string;
  readonly options: CodecOptions;
  /** Frames the codec can express, among them short, empty and repetitive ones. */
  readonly frames: readonly Frame[];
}

const TEXTS = ['', 'a', 'hello', '', '-', 'x'.repeat(130), '\r', 'ab-', '\0\0\0\0'];

export const CODEC_SAMPLES: readonly CodecSample[] = [
  { title: 'tlv', options: { kind: 'tlv' }, frames: numbered(TEXTS) },
  { title: 'length-field u32', options: { kind: 'length-field' }, frames: unnumbered(TEXTS) },
  {
    title: 'length-field u16 big-endian that counts itself',
    options: { kind: 'length-field', lengthBytes: 2, byteOrder: 'big', lengthAdjustment: -2 },
    frames: unnumbered(TEXTS),
  },
  {
    title: 'length-field u64 between a magic number and a message id',
    options: {
      kind: 'length-field',
      lengthOffset: 3,
      lengthBytes: 8,
      lengthAdjustment: 2,
      msgId: { offset: 11, bytes: 2, byteOrder: 'big' },
    },
    frames: numbered(TEXTS),
  },
  { title: 'varint', options: { kind: 'varint' }, frames: unnumbered(TEXTS) },
  {
    title: 'delimiter of one byte',
    options: { kind: 'delimiter', delimiter: '\n' },
    frames: unnumbered(TEXTS),
  },
  {
    title: 'delimiter that repeats itself',
    options: { kind: 'delimiter', delimiter: '--=--' },
    frames: unnumbered(['', 'a', '=', '-=-', '=--', '--=a', 'x'.repeat(130), '']),
  },
  {
    title: 'delimiter kept in the body',
    options: { kind: 'delimiter', delimiter: Buffer.from('ENDE'), strip: false },
    frames: unnumbered(['ENDE', 'aENDE', 'ENENDE', 'E ENENDE']),
  },
  {
    title: 'line',
    options: { kind: 'line' },
    frames: unnumbered(['', 'a', '\r.', '', 'x'.repeat(130), 'b\rc']),
  },
  {
    title: 'line with carriage returns',
    options: { kind: 'line', lineEnd: '\r\n' },
    frames: unnumbered(['', 'a', '\r', '\r\r', '', 'x'.repeat(130), 'b\rc']),
  },
  { title: 'fixed', options: { kind: 'fixed', frameBytes: 3 }, frames: unnumbered(['abc', '\r\n\0', 'xyz']) },
];

/** A pool whose every loan is watched. Ends the test that forgot to give something back. */
export function poolOfTest(bytesMax: number = 64 * 1024 * 1024): BufferPool {
  return new BufferPool({ leakDetection: 'paranoid' }, 0, SharedBudget.create(bytesMax, 1));
}

export function encode(codec: FrameCodec, frames: readonly Frame[]): Buffer {
  return Buffer.concat(
    frames.map(({ msgId, body }) => {
      const bytes = Buffer.from(body, 'latin1');
      const wire = Buffer.alloc(codec.encodedBytes(msgId, bytes), 0xee);
      assert.equal(codec.encodeInto(wire, 0, msgId, bytes), wire.length);
      return wire;
    }),
  );
}

/** Collects frames as text. `onEach` decides whether to go on; by default always. */
export class CollectingSink implements FrameSink {
  readonly frames: Frame[] = [];
  readonly #onEach: (frame: Frame) => boolean;

  constructor(onEach: (frame: Frame) => boolean = () => true) {
    this.#onEach = onEach;
  }

  onFrame(msgId: number, bytes: Buffer, start: number, end: number): boolean {
    const frame = { msgId, body: bytes.toString('latin1', start, end) };
    this.frames.push(frame);
    return this.#onEach(frame);
  }
}

/** Feeds the pieces through one read buffer that is overwritten after each, as a connection's is. */
export function feedPieces(decoder: FrameDecoder, pieces: readonly Buffer[], sink: FrameSink): void {
  const readBuffer = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)));
  for (const piece of pieces) {
    piece.copy(readBuffer);
    decoder.feed(readBuffer.subarray(0, piece.length), sink);
    readBuffer.fill(0x0a); // a line feed: the worst thing to find behind the end
  }
}

/** Decodes a whole wire given in pieces, and asserts that no byte and no slab is left over. */
export function decode(codec: FrameCodec, pieces: readonly Buffer[]): readonly Frame[] {
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const sink = new CollectingSink();
  feedPieces(decoder, pieces, sink);
  assert.equal(decoder.bufferedBytes, 0);
  assert.equal(pool.stats().lentBytes, 0, 'the slab goes back as soon as nothing is kept');
  decoder.release();
  pool.close();
  return sink.frames;
}

export function inSingleBytes(wire: Buffer): readonly Buffer[] {
  return Array.from(wire, (_, at) => wire.subarray(at, at + 1));
}

function numbered(bodies: readonly string[]): readonly Frame[] {
  return bodies.map((body, index) => ({ msgId: index * 7001, body }));
}

function unnumbered(bodies: readonly string[]): readonly Frame[] {
  return bodies.map((body) => ({ msgId: 0, body }));
}
