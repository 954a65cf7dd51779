import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameSink } from '../../reactor/codec.js';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import { tlvCodec } from '../../reactor/codecs/tlv-codec.js';
import {
  CODEC_SAMPLES,
  CollectingSink,
  encode,
  feedPieces,
  inSingleBytes,
  poolOfTest,
} from '../support/frame-wire.js';

for (const { title, options, frames } of CODEC_SAMPLES) {
  const codec = createCodec(options);
  const wire = encode(codec, frames);

  test(`${title}: a sink that stops after every frame gets each of them once`, () => {
    for (const pieces of [[wire], [wire.subarray(0, wire.length / 2), wire.subarray(wire.length / 2)]]) {
      const pool = poolOfTest();
      const decoder = codec.createDecoder(pool);
      const sink = new CollectingSink(() => false);
      feedPieces(decoder, pieces, sink);
      assert.equal(sink.frames.length, 1, 'nothing is delivered after the stop');
      for (let delivered = 1; decoder.bufferedBytes > 0; delivered += 1) {
        assert.equal(sink.frames.length, delivered);
        decoder.resume(sink);
      }
      assert.deepEqual(sink.frames, frames);
      assert.equal(pool.stats().lentBytes, 0);
      decoder.release();
      pool.close();
    }
  });

  test(`${title}: what is fed while stopped is kept, in order`, () => {
    const pool = poolOfTest();
    const decoder = codec.createDecoder(pool);
    let stopsLeft = 2;
    const sink = new CollectingSink(() => {
      stopsLeft -= 1;
      return stopsLeft < 0;
    });
    decoder.feed(wire, sink);
    feedPieces(decoder, inSingleBytes(wire), sink);
    assert.equal(sink.frames.length, 1);
    decoder.resume(sink);
    assert.equal(sink.frames.length, 2);
    decoder.resume(sink);
    assert.deepEqual(sink.frames, [...frames, ...frames]);
    assert.equal(decoder.bufferedBytes, 0);
    decoder.release();
    pool.close();
  });
}

const codec = tlvCodec();
const THREE = encode(codec, [
  { msgId: 1, body: 'one' },
  { msgId: 2, body: 'two' },
  { msgId: 3, body: 'three' },
]);

test('a stop on the last frame of a chunk leaves nothing to resume: the next chunk flows', () => {
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  let goesOn = false;
  const sink = new CollectingSink(() => goesOn);
  decoder.feed(encode(codec, [{ msgId: 1, body: 'one' }]), sink);
  assert.equal(decoder.bufferedBytes, 0);
  goesOn = true;
  decoder.feed(THREE, sink);
  assert.equal(sink.frames.length, 4);
  pool.close();
});

for (const pieces of [[THREE], inSingleBytes(THREE), [THREE.subarray(0, 9), THREE.subarray(9)]]) {
  test(`a release inside the sink ends the delivery there (${pieces.length} chunks)`, () => {
    const pool = poolOfTest();
    const decoder = codec.createDecoder(pool);
    const bodies: string[] = [];
    const sink: FrameSink = {
      onFrame(_msgId, bytes, start, end) {
        decoder.release();
        // Another borrower must not be given the slab that the sink still looks at.
        const other = pool.acquire(16);
        other.bytes.fill(0xff);
        other.release();
        bodies.push(bytes.toString('latin1', start, end));
        return true;
      },
    };
    for (const piece of pieces) {
      if (bodies.length > 0) break;
      decoder.feed(piece, sink);
    }
    assert.deepEqual(bodies, ['one']);
    assert.equal(pool.stats().lentBytes, 0);
    decoder.release();
    pool.close();
  });
}

test('a decoder that was released or has failed refuses to be fed', () => {
  const pool = poolOfTest();
  const sink = new CollectingSink();
  const released = codec.createDecoder(pool);
  released.feed(THREE.subarray(0, 5), sink);
  released.release();
  released.release();
  assert.throws(() => released.feed(THREE, sink), { code: 'ERR_ASSERTION' });

  const failed = codec.createDecoder(pool);
  assert.throws(() => failed.feed(Buffer.alloc(64, 0xff), sink), { code: 'REACTOR_FRAME_TOO_LARGE' });
  assert.throws(() => failed.feed(THREE, sink), { code: 'ERR_ASSERTION' });
  failed.release();
  pool.close();
});

test('a decoder fed by its own sink asserts instead of mixing up the stream', () => {
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const sink: FrameSink = {
    onFrame() {
      decoder.feed(THREE, sink);
      return true;
    },
  };
  assert.throws(() => decoder.feed(THREE, sink), { code: 'ERR_ASSERTION' });
  decoder.release();
  pool.close();
});

test('a stream that is stopped for good and released gives its memory back', () => {
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const sink = new CollectingSink(() => false);
  for (let round = 0; round < 1000; round += 1) decoder.feed(THREE, sink);
  assert.equal(decoder.bufferedBytes, 1000 * THREE.length - THREE.indexOf('two') + 8);
  decoder.release();
  assert.equal(decoder.bufferedBytes, 0);
  assert.equal(pool.stats().lentBytes, 0);
  pool.close();
});

test('a sink that stays some frames behind for ever is served from one slab', () => {
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const sink = new CollectingSink(() => false);
  const sent = Array.from({ length: 3000 }, (_, index) => ({ msgId: index, body: `frame ${index}` }));
  decoder.feed(encode(codec, sent.slice(0, 20)), sink);
  for (const frame of sent.slice(20)) {
    decoder.feed(encode(codec, [frame]), sink);
    decoder.resume(sink);
  }
  while (decoder.bufferedBytes > 0) decoder.resume(sink);
  assert.deepEqual(sink.frames, sent);
  assert.equal(pool.stats().acquisitions, 1);
  decoder.release();
  pool.close();
});

test('a pool without memory fails the delivery with its code, after the frames that were whole', () => {
  const pool = poolOfTest(4096);
  const decoder = codec.createDecoder(pool);
  const sink = new CollectingSink();
  const large = encode(codec, [{ msgId: 4, body: 'x'.repeat(5000) }]);
  assert.throws(() => decoder.feed(Buffer.concat([THREE, large.subarray(0, 100)]), sink), {
    code: 'REACTOR_POOL_EXHAUSTED',
  });
  assert.equal(sink.frames.length, 3);
  decoder.release();
  pool.close();
});
