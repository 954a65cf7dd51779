import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReactorErrorCode } from '../../reactor/errors.js';
import { type CodecOptions, createCodec } from '../../reactor/codecs/create-codec.js';
import { tlvCodec } from '../../reactor/codecs/tlv-codec.js';
import { CollectingSink, encode, feedPieces, inSingleBytes, poolOfTest } from '../support/frame-wire.js';

const MIB = 1024 * 1024;

interface Refusal {
  readonly title: string;
  readonly options: CodecOptions;
  /** No more than the bytes on which the refusal has to rest. */
  readonly wire: string;
  readonly code: ReactorErrorCode;
}

const REFUSALS: readonly Refusal[] = [
  {
    title: 'tlv above the default',
    options: { kind: 'tlv' },
    wire: '01000000 01001000',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'tlv of 0xffffffff',
    options: { kind: 'tlv' },
    wire: '01000000 ffffffff',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'tlv of max + 1',
    options: { kind: 'tlv', frameBytesMax: 10 },
    wire: '00000000 0b000000',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'u32 of 0xffffffff',
    options: { kind: 'length-field' },
    wire: 'ffffffff',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'u64 of 2^53 + 1',
    options: { kind: 'length-field', lengthBytes: 8 },
    wire: '0100000000002000',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'u64 of all ones',
    options: { kind: 'length-field', lengthBytes: 8, byteOrder: 'big' },
    wire: 'ffffffffffffffff',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'u16 that counts itself and says 1',
    options: { kind: 'length-field', lengthBytes: 2, lengthAdjustment: -2 },
    wire: '0100',
    code: 'REACTOR_FRAME_MALFORMED',
  },
  {
    title: 'frame without room for its message id',
    options: { kind: 'length-field', lengthBytes: 1, msgId: { offset: 1, bytes: 4 } },
    wire: '03',
    code: 'REACTOR_FRAME_MALFORMED',
  },
  {
    title: 'varint of max + 1',
    options: { kind: 'varint', frameBytesMax: 127 },
    wire: '8001',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'varint above 32 bits',
    options: { kind: 'varint' },
    wire: 'ffffffff7f',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'varint without an end',
    options: { kind: 'varint' },
    wire: '8080808080',
    code: 'REACTOR_FRAME_MALFORMED',
  },
  {
    title: 'delimited frame without an end',
    options: { kind: 'delimiter', delimiter: '##', frameBytesMax: 4 },
    wire: '616161612361',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'line without an end',
    options: { kind: 'line', frameBytesMax: 4 },
    wire: '616161616161',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
  {
    title: 'line of max + 1 with an end',
    options: { kind: 'line', frameBytesMax: 4 },
    wire: '61616161610a',
    code: 'REACTOR_FRAME_TOO_LARGE',
  },
];

for (const { title, options, wire, code } of REFUSALS) {
  const codec = createCodec(options);
  const bytes = Buffer.from(wire.replaceAll(' ', ''), 'hex');

  test(`${title}: refused on its header, before anything is allocated`, () => {
    const pool = poolOfTest();
    const decoder = codec.createDecoder(pool);
    assert.throws(() => decoder.feed(bytes, new CollectingSink()), { code });
    assert.equal(pool.stats().acquisitions, 0);
    decoder.release();
    pool.close();
  });

  test(`${title}: refused at the same byte when it comes in single bytes`, () => {
    const pool = poolOfTest();
    const decoder = codec.createDecoder(pool);
    const sink = new CollectingSink();
    feedPieces(decoder, inSingleBytes(bytes.subarray(0, -1)), sink);
    assert.throws(() => decoder.feed(bytes.subarray(-1), sink), { code });
    assert.equal(pool.stats().ownedBytes, bytes.length > 1 ? 4096 : 0);
    decoder.release();
    pool.close();
  });
}

test('frames before the refused one are delivered', () => {
  const codec = tlvCodec({ frameBytesMax: 4 });
  const sink = new CollectingSink();
  const wire = Buffer.concat([
    encode(codec, [{ msgId: 1, body: 'good' }]),
    Buffer.from('0200000005000000', 'hex'),
  ]);
  assert.throws(() => codec.createDecoder(poolOfTest()).feed(wire, sink), {
    code: 'REACTOR_FRAME_TOO_LARGE',
  });
  assert.deepEqual(sink.frames, [{ msgId: 1, body: 'good' }]);
});

test('bodies of exactly the maximum pass, both ways', () => {
  const all: readonly CodecOptions[] = [
    { kind: 'tlv', frameBytesMax: 7 },
    { kind: 'length-field', lengthBytes: 1, frameBytesMax: 7 },
    { kind: 'varint', frameBytesMax: 7 },
    { kind: 'delimiter', delimiter: '##', frameBytesMax: 7 },
    { kind: 'line', lineEnd: '\r\n', frameBytesMax: 7 },
    { kind: 'fixed', frameBytes: 7 },
  ];
  for (const options of all) {
    const codec = createCodec(options);
    const sink = new CollectingSink();
    const pool = poolOfTest();
    feedPieces(
      codec.createDecoder(pool),
      inSingleBytes(encode(codec, [{ msgId: 0, body: '7 bytes' }])),
      sink,
    );
    assert.deepEqual(sink.frames, [{ msgId: 0, body: '7 bytes' }], options.kind);
    assert.throws(() => codec.encodedBytes(0, Buffer.alloc(8)), { code: 'REACTOR_BODY_TOO_LARGE' });
    pool.close();
  }
});

test('a message id that does not fit is refused when encoding', () => {
  for (const msgId of [-1, 0x1_0000_0000, 1.5, Number.NaN]) {
    assert.throws(() => tlvCodec().encodedBytes(msgId, Buffer.alloc(0)), { code: 'REACTOR_FRAME_MALFORMED' });
  }
});

test('a header alone cannot tie up the largest frame', () => {
  const codec = tlvCodec();
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const wire = encode(codec, [{ msgId: 1, body: 'x'.repeat(MIB) }]);
  const sink = new CollectingSink();
  decoder.feed(wire.subarray(0, 9), sink);
  assert.equal(pool.stats().lentBytes, 65_536);
  for (let at = 9; at < wire.length; at += 50_000) {
    decoder.feed(wire.subarray(at, at + 50_000), sink);
    assert.ok(pool.stats().lentBytes <= Math.max(65_536, 16 * decoder.bufferedBytes));
  }
  assert.equal(sink.frames.length, 1);
  pool.close();
});

test('a frame of up to 64 KiB is kept in one slab from its first byte on', () => {
  const codec = tlvCodec();
  const pool = poolOfTest();
  const decoder = codec.createDecoder(pool);
  const sink = new CollectingSink();
  feedPieces(decoder, inSingleBytes(encode(codec, [{ msgId: 1, body: 'x'.repeat(60_000) }])), sink);
  // One for the header's first bytes, one for the frame they announce.
  assert.equal(pool.stats().acquisitions, 2);
  assert.equal(sink.frames.length, 1);
  pool.close();
});
