import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { FrameCodec } from '../../reactor/codec.js';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import { ReactorError } from '../../reactor/errors.js';
import { CODEC_SAMPLES, decode, encode, type Frame } from '../support/frame-wire.js';

// A failing property prints its seed and path; FRAME_SEED runs that one again.
const SEED = Number(process.env['FRAME_SEED'] ?? 20_240_229);

/** Few different bytes, so that delimiters and parts of them are common. */
const BODY = fc.oneof(
  fc.string({ unit: fc.constantFrom('-', '=', '\r', '\n', 'E', 'N', 'D', 'x'), maxLength: 12 }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc.string({ minLength: 3, maxLength: 3, unit: 'binary-ascii' }),
);

const FRAMES = fc.array(fc.record({ msgId: fc.nat({ max: 0xffff }), body: BODY }), { maxLength: 12 });
const CUTS = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });

for (const { title, options } of CODEC_SAMPLES) {
  test(`${title}: what encode accepts, decode gives back, however it is cut`, () => {
    const codec = createCodec(options);
    fc.assert(
      fc.property(FRAMES, CUTS, (candidates, cuts) => {
        const frames = candidates.map(({ msgId, body }) => ({ msgId: codec.hasMsgId ? msgId : 0, body }));
        const expressible = frames.filter((frame) => isExpressible(codec, frame));
        const wire = encode(codec, expressible);
        assert.deepEqual(decode(codec, cutAt(wire, cuts)), expressible);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test(`${title}: a frame said to lie in memory is byte for byte what would be encoded`, () => {
    const codec = createCodec(options);
    const ids = fc.constantFrom(0, 1, 256);
    // What precedes a body looks like a header more often than not.
    const before = fc.array(fc.constantFrom(0, 1, 2, 3), { maxLength: 12 });
    fc.assert(
      fc.property(before, BODY, ids, (bytesBefore, text, msgId) => {
        const body = Buffer.from(text, 'latin1');
        if (!isExpressible(codec, { msgId, body: text })) return;
        const encoded = Buffer.alloc(codec.encodedBytes(msgId, body));
        codec.encodeInto(encoded, 0, msgId, body);
        const memory = Buffer.concat([Buffer.from(bytesBefore), body]);
        for (const bytes of [memory, Buffer.concat([Buffer.from(bytesBefore), encoded])]) {
          const end = bytes.length;
          const at = codec.encodedAt(bytes, msgId, end - body.length, end);
          if (at !== -1) assert(bytes.subarray(at, at + encoded.length).equals(encoded));
        }
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });
}

function isExpressible(codec: FrameCodec, { msgId, body }: Frame): boolean {
  try {
    codec.encodedBytes(msgId, Buffer.from(body, 'latin1'));
    return true;
  } catch (error) {
    assert.ok(error instanceof ReactorError);
    return false;
  }
}

/** Pieces of the wire; each cut is a fraction of its length. */
function cutAt(wire: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const ends = [...cuts.map((cut) => Math.floor(cut * wire.length)), wire.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => wire.subarray(ends[index - 1] ?? 0, end));
}
