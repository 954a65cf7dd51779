import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import type { ReactorError } from '../../reactor/errors.js';
import { CollectingSink, encode, feedPieces, inSingleBytes, poolOfTest } from '../support/frame-wire.js';

const WIRE = Buffer.from('hello\n\0\r\nworld', 'latin1');

test('every chunk is one frame at once, and nothing is kept', () => {
  const pool = poolOfTest();
  const decoder = createCodec({ kind: 'raw' }).createDecoder(pool);
  for (const pieces of [[WIRE], [WIRE.subarray(0, 3), WIRE.subarray(3)], inSingleBytes(WIRE)]) {
    const sink = new CollectingSink();
    feedPieces(decoder, pieces, sink);
    assert.deepEqual(
      sink.frames,
      pieces.map((piece) => ({ msgId: 0, body: piece.toString('latin1') })),
    );
    assert.equal(decoder.bufferedBytes, 0);
  }
  decoder.release();
  pool.close();
});

test('a chunk above the maximum comes as several frames', () => {
  const pool = poolOfTest();
  const decoder = createCodec({ kind: 'raw', frameBytesMax: 6 }).createDecoder(pool);
  const sink = new CollectingSink();
  feedPieces(decoder, [WIRE], sink);
  assert.deepEqual(
    sink.frames.map(({ body }) => body),
    ['hello\n', '\0\r\nwor', 'ld'],
  );
  decoder.release();
  pool.close();
});

test('a sink that stops between the frames of one chunk gets the rest in order, each byte once', () => {
  const pool = poolOfTest();
  const decoder = createCodec({ kind: 'raw', frameBytesMax: 6 }).createDecoder(pool);
  const sink = new CollectingSink(() => false);
  feedPieces(decoder, [WIRE.subarray(0, 10), WIRE.subarray(10)], sink);
  assert.equal(sink.frames.length, 1, 'nothing is delivered after the stop');
  while (decoder.bufferedBytes > 0) decoder.resume(sink);
  assert.equal(sink.frames.map(({ body }) => body).join(''), WIRE.toString('latin1'));
  assert.equal(pool.stats().lentBytes, 0);
  decoder.release();
  pool.close();
});

test('a body goes out as it is, and one above the maximum is refused', () => {
  const codec = createCodec({ kind: 'raw', frameBytesMax: WIRE.length });
  const body = WIRE.toString('latin1');
  assert.deepEqual(encode(codec, [{ msgId: 0, body }]), WIRE);
  assert.throws(
    () => codec.encodedBytes(0, Buffer.alloc(WIRE.length + 1)),
    (error: ReactorError) => error.code === 'REACTOR_BODY_TOO_LARGE',
  );
});
