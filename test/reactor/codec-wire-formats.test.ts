import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodecOptions, createCodec } from '../../reactor/codecs/create-codec.js';
import { decode, encode, type Frame } from '../support/frame-wire.js';

interface WireCase {
  readonly title: string;
  readonly options: CodecOptions;
  readonly frames: readonly Frame[];
  /** Hexadecimal; what is in quotes is text. */
  readonly wire: string;
}

const HELLO: readonly Frame[] = [{ msgId: 0, body: 'hello' }];

const CASES: readonly WireCase[] = [
  {
    title: 'tlv is msgId and length, both u32 little-endian, then the body',
    options: { kind: 'tlv' },
    frames: [
      { msgId: 0x5201, body: 'hello' },
      { msgId: 0xffff_fffe, body: '' },
    ],
    wire: "01520000 05000000 'hello' feffffff 00000000",
  },
  {
    title: 'a length-field header is stripped by default',
    options: { kind: 'length-field' },
    frames: HELLO,
    wire: "05000000 'hello'",
  },
  {
    title: 'length first, header kept: the body carries the length, which encoding fills in',
    options: { kind: 'length-field', lengthBytes: 2, byteOrder: 'big', stripBytes: 0 },
    frames: [{ msgId: 0, body: '\0\x05hello' }],
    wire: "0005 'hello'",
  },
  {
    title: 'a length that counts the whole frame',
    options: { kind: 'length-field', lengthBytes: 2, byteOrder: 'big', lengthAdjustment: -2 },
    frames: HELLO,
    wire: "0007 'hello'",
  },
  {
    title: 'a length behind another field',
    options: { kind: 'length-field', lengthOffset: 2, lengthBytes: 3, byteOrder: 'big', stripBytes: 5 },
    frames: HELLO,
    wire: "0000 000005 'hello'",
  },
  {
    title: 'a length before another field that it does not count',
    options: { kind: 'length-field', lengthBytes: 3, byteOrder: 'big', lengthAdjustment: 2, stripBytes: 3 },
    frames: [{ msgId: 0, body: '\xca\xfehello' }],
    wire: "000005 cafe 'hello'",
  },
  {
    title: 'a length between two fields, counting the whole frame, with the first two stripped',
    options: {
      kind: 'length-field',
      lengthOffset: 1,
      lengthBytes: 2,
      byteOrder: 'big',
      lengthAdjustment: -3,
      stripBytes: 3,
    },
    frames: [{ msgId: 0, body: '\xfehello' }],
    wire: "00 0009 fe 'hello'",
  },
  {
    title: 'a message id behind the length, counted by it',
    options: { kind: 'length-field', byteOrder: 'big', msgId: { offset: 4, bytes: 2 } },
    frames: [{ msgId: 0x0102, body: 'hello' }],
    wire: "00000007 0102 'hello'",
  },
  {
    title: 'a message id before the length, in the other byte order',
    options: {
      kind: 'length-field',
      lengthOffset: 4,
      byteOrder: 'big',
      msgId: { offset: 0, bytes: 4, byteOrder: 'little' },
    },
    frames: [{ msgId: 0x0102, body: 'hello' }],
    wire: "02010000 00000005 'hello'",
  },
  {
    title: 'an 8-byte length, big-endian',
    options: { kind: 'length-field', lengthBytes: 8, byteOrder: 'big' },
    frames: HELLO,
    wire: "0000000000000005 'hello'",
  },
  {
    title: 'a varint length takes its second byte from 128 on',
    options: { kind: 'varint' },
    frames: [...HELLO, { msgId: 0, body: 'x'.repeat(300) }],
    wire: `05 'hello' ac02 '${'x'.repeat(300)}'`,
  },
  {
    title: 'delimited frames may be empty',
    options: { kind: 'delimiter', delimiter: '\0' },
    frames: [...HELLO, { msgId: 0, body: '' }],
    wire: "'hello' 00 00",
  },
  {
    title: 'lines end with a line feed',
    options: { kind: 'line' },
    frames: [...HELLO, { msgId: 0, body: '' }],
    wire: "'hello' 0a 0a",
  },
  {
    title: 'lines end with carriage return and line feed when asked',
    options: { kind: 'line', lineEnd: '\r\n' },
    frames: [...HELLO, { msgId: 0, body: '' }],
    wire: "'hello' 0d0a 0d0a",
  },
  {
    title: 'fixed frames have no header',
    options: { kind: 'fixed', frameBytes: 5 },
    frames: HELLO,
    wire: "'hello'",
  },
];

for (const { title, options, frames, wire } of CASES) {
  test(`${options.kind}: ${title}`, () => {
    const codec = createCodec(options);
    assert.equal(encode(codec, frames).toString('hex'), wireBytes(wire).toString('hex'));
    assert.deepEqual(decode(codec, [wireBytes(wire)]), frames);
  });
}

test('a line decoder takes either line end, whatever it sends itself', () => {
  for (const lineEnd of ['\n', '\r\n'] as const) {
    const frames = decode(createCodec({ kind: 'line', lineEnd }), [Buffer.from('a\nb\r\n\r\n\nc\r\r\n')]);
    assert.deepEqual(
      frames.map(({ body }) => body),
      ['a', 'b', '', '', 'c\r'],
    );
  }
});

const UNSENDABLE: readonly [title: string, options: CodecOptions, body: string][] = [
  ['a body with the delimiter in it', { kind: 'delimiter', delimiter: '##' }, 'a##b'],
  ['a body whose end and the delimiter make an earlier one', { kind: 'delimiter', delimiter: '##' }, 'a#'],
  ['a body without the delimiter it should carry', { kind: 'delimiter', delimiter: '##', strip: false }, 'a'],
  ['a body that goes on after its delimiter', { kind: 'delimiter', delimiter: '##', strip: false }, '##b'],
  ['a line with a line feed in it', { kind: 'line' }, 'a\nb'],
  ['a line whose last byte would be taken for its end', { kind: 'line' }, 'a\r'],
  ['a body shorter than the fixed size', { kind: 'fixed', frameBytes: 3 }, 'ab'],
  ['a body without room for the length it carries', { kind: 'length-field', stripBytes: 0 }, 'abc'],
  ['a body whose length would be negative', { kind: 'length-field', lengthAdjustment: 9 }, 'abc'],
];

for (const [title, options, body] of UNSENDABLE) {
  test(`${options.kind}: ${title} is refused when sent`, () => {
    assert.throws(() => createCodec(options).encodedBytes(0, Buffer.from(body)), {
      code: 'REACTOR_FRAME_MALFORMED',
    });
  });
}

test('length-field: a body whose length does not fit the field is refused when sent', () => {
  const codec = createCodec({ kind: 'length-field', lengthBytes: 1 });
  assert.equal(codec.encodedBytes(0, Buffer.alloc(255)), 256);
  assert.throws(() => codec.encodedBytes(0, Buffer.alloc(256)), { code: 'REACTOR_BODY_TOO_LARGE' });
});

function wireBytes(wire: string): Buffer {
  return Buffer.concat(
    wire
      .split(/('[^']*')/)
      .map((part) =>
        part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part.replaceAll(' ', ''), 'hex'),
      ),
  );
}
