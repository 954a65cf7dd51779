// One round of codec fuzzing: a random codec, a random wire, cut and stopped at random.
// The outcome must be that of the same wire in one chunk: the same frames, and the same error after them.
// Wires are valid frames, damaged frames and noise; some rounds run out of pool memory on the way.

import assert from 'node:assert/strict';
import { BufferPool } from '../../reactor/buffer-pool.js';
import type { FrameCodec, FrameSink } from '../../reactor/codec.js';
import { type CodecOptions, createCodec } from '../../reactor/codecs/create-codec.js';
import { ReactorError, type ReactorErrorCode } from '../../reactor/errors.js';
import { SharedBudget } from '../../reactor/shared-budget.js';
import type { SeededRandom } from '../support/seeded-random.js';

const PIECES_OF_CODECS = Buffer.from([
  0, 0, 0, 1, 2, 3, 5, 8, 10, 10, 13, 13, 0x23, 0x23, 0x24, 0x7f, 0x80, 0xff,
]);
const AMPLE_BYTES = 32 * 1024 * 1024;
const TIGHT_BYTES = 4096;

interface Outcome {
  readonly frames: readonly string[];
  readonly error: ReactorErrorCode | null;
  /** Bytes kept at the end; 0 after an error. */
  readonly keptBytes: number;
}

/** @throws AssertionError, or whatever else the decoder should not have thrown. */
export function fuzzFrames(random: SeededRandom): void {
  const codec = createCodec(randomOptions(random));
  const wire = randomWire(random, codec);
  const expected = decodeWire(codec, [wire], () => true, AMPLE_BYTES);
  const pieces = randomPieces(random, wire);
  const stopChance = random.pick([0, 0.1, 0.9]);
  const goesOn = (): boolean => !random.chance(stopChance);
  assert.deepEqual(decodeWire(codec, pieces, goesOn, AMPLE_BYTES), expected);

  const starved = decodeWire(codec, pieces, goesOn, TIGHT_BYTES);
  if (starved.error !== 'REACTOR_POOL_EXHAUSTED') assert.deepEqual(starved, expected);
  else assert.deepEqual(starved.frames, expected.frames.slice(0, starved.frames.length));
}

function decodeWire(
  codec: FrameCodec,
  pieces: readonly Buffer[],
  goesOn: () => boolean,
  poolBytesMax: number,
): Outcome {
  const budget = SharedBudget.create(poolBytesMax, 1);
  const pool = new BufferPool({ leakDetection: 'paranoid' }, 0, budget);
  const decoder = codec.createDecoder(pool);
  const frames: string[] = [];
  let isStopped = false;
  const sink: FrameSink = {
    onFrame(msgId, bytes, start, end) {
      assert(!isStopped, 'a sink that refused gets nothing more');
      frames.push(`${msgId}:${bytes.toString('latin1', start, end)}`);
      isStopped = !goesOn();
      return !isStopped;
    },
  };
  let error: ReactorErrorCode | null = null;
  let keptBytes = 0;
  try {
    for (const piece of pieces) {
      const chunk = Buffer.from(piece);
      decoder.feed(chunk, sink);
      chunk.fill(0x0a); // the read buffer is used for the next read
      while (isStopped && (decoder.bufferedBytes === 0 || goesOn())) {
        isStopped = false;
        decoder.resume(sink);
      }
    }
    while (isStopped) {
      isStopped = false;
      decoder.resume(sink);
    }
    keptBytes = decoder.bufferedBytes;
    assert.equal(pool.stats().lentBytes > 0, keptBytes > 0, 'a slab is held for as long as bytes are');
  } catch (thrown) {
    if (!(thrown instanceof ReactorError)) throw thrown;
    error = thrown.code;
  }
  decoder.release();
  pool.close();
  assert.equal(budget.usedBytes(), 0);
  return { frames, error, keptBytes };
}

function randomOptions(random: SeededRandom): CodecOptions {
  const frameBytesMax = random.pick([1, 7, 200, 6000, 300_000]);
  // 'raw' has no frame ends that cuts could leave alone.
  const kind = random.pick<Exclude<CodecOptions['kind'], 'raw'>>([
    'tlv',
    'length-field',
    'varint',
    'delimiter',
    'line',
    'fixed',
  ]);
  switch (kind) {
    case 'tlv':
      return { kind: 'tlv', frameBytesMax };
    case 'varint':
      return { kind: 'varint', frameBytesMax };
    case 'line':
      return { kind: 'line', frameBytesMax, lineEnd: random.pick(['\n', '\r\n']) };
    case 'fixed':
      return { kind: 'fixed', frameBytes: random.integer(1, 50) };
    case 'delimiter':
      return {
        kind: 'delimiter',
        frameBytesMax,
        delimiter: random.bytes(random.integer(1, 5), PIECES_OF_CODECS),
        strip: random.chance(0.5),
      };
    case 'length-field': {
      const lengthOffset = random.integer(0, 3);
      const lengthBytes = random.pick([1, 2, 3, 4, 8] as const);
      const msgId = { offset: lengthOffset + lengthBytes, bytes: random.pick([1, 2, 4] as const) };
      return {
        kind: 'length-field',
        frameBytesMax,
        lengthOffset,
        lengthBytes,
        byteOrder: random.pick(['little', 'big']),
        lengthAdjustment: random.integer(-4, 4),
        ...(random.chance(0.5) ? { stripBytes: random.integer(0, 12) } : {}),
        ...(random.chance(0.5) ? { msgId } : {}),
      };
    }
    default:
      return kind satisfies never;
  }
}

function randomWire(random: SeededRandom, codec: FrameCodec): Buffer {
  const parts: Buffer[] = [];
  for (let partCount = random.integer(0, 12); partCount > 0; partCount -= 1) {
    const bodyBytes = random.integer(0, random.pick([3, 50, 5000]));
    parts.push(encoded(codec, random.integer(0, 255), random.bytes(bodyBytes, PIECES_OF_CODECS)));
  }
  const wire = Buffer.concat(parts);
  if (wire.length > 0 && random.chance(0.3))
    wire[random.integer(0, wire.length - 1)] = random.integer(0, 255);
  return wire;
}

/** The frame, or where the codec cannot express it, its bare bytes: noise to the decoder. */
function encoded(codec: FrameCodec, msgId: number, candidate: Buffer): Buffer {
  const body = codec.name === 'fixed' ? candidate.subarray(0, codec.frameBytesMax) : candidate;
  try {
    const frame = Buffer.alloc(codec.encodedBytes(msgId, body));
    codec.encodeInto(frame, 0, msgId, body);
    return frame;
  } catch (error) {
    assert(error instanceof ReactorError);
    return body;
  }
}

function randomPieces(random: SeededRandom, wire: Buffer): readonly Buffer[] {
  const pieceBytesMax = random.pick([1, 7, 100, 2000]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < wire.length; ) {
    const end = at + random.integer(1, pieceBytesMax);
    pieces.push(wire.subarray(at, end));
    at = end;
  }
  return pieces;
}
