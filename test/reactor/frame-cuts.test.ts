import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import { CODEC_SAMPLES, decode, encode, inSingleBytes } from '../support/frame-wire.js';

for (const { title, options, frames } of CODEC_SAMPLES) {
  const codec = createCodec(options);
  const wire = encode(codec, frames);

  test(`${title}: frames in one chunk are delivered in order`, () => {
    assert.deepEqual(decode(codec, [wire]), frames);
  });

  test(`${title}: a wire cut at every byte gives the same frames`, () => {
    for (let cut = 0; cut <= wire.length; cut += 1) {
      assert.deepEqual(decode(codec, [wire.subarray(0, cut), wire.subarray(cut)]), frames, `cut at ${cut}`);
    }
  });

  test(`${title}: a wire cut at any two bytes gives the same frames`, () => {
    // The long body in the middle adds nothing here and would square the work.
    const short = frames.filter(({ body }) => body.length < 100);
    const shortWire = encode(codec, short);
    for (let first = 1; first < shortWire.length; first += 1) {
      for (let second = first + 1; second < shortWire.length; second += 1) {
        const pieces = [
          shortWire.subarray(0, first),
          shortWire.subarray(first, second),
          shortWire.subarray(second),
        ];
        assert.deepEqual(decode(codec, pieces), short, `cut at ${first} and ${second}`);
      }
    }
  });

  test(`${title}: single bytes give the same frames`, () => {
    assert.deepEqual(decode(codec, inSingleBytes(wire)), frames);
  });
}

test('a frame larger than the largest slab survives being cut', () => {
  const codec = createCodec({ kind: 'tlv', frameBytesMax: 16 * 1024 * 1024 });
  const body = Buffer.alloc(9 * 1024 * 1024, 'large').toString('latin1');
  const wire = encode(codec, [
    { msgId: 1, body },
    { msgId: 2, body: 'next' },
  ]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < wire.length; at += 65_536) pieces.push(wire.subarray(at, at + 65_536));
  const frames = decode(codec, pieces);
  assert.equal(frames.length, 2);
  assert.ok(frames[0]?.body === body);
  assert.equal(frames[1]?.body, 'next');
});

test('a delimited frame that grows through every slab size is delivered whole', () => {
  const codec = createCodec({ kind: 'line' });
  const body = Buffer.alloc(900_000, 'grow').toString('latin1');
  const wire = encode(codec, [{ msgId: 0, body }]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < wire.length; at += 1500) pieces.push(wire.subarray(at, at + 1500));
  assert.ok(decode(codec, pieces)[0]?.body === body);
});
