import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodecOptions, createCodec } from '../../reactor/codecs/create-codec.js';
import { ReactorError } from '../../reactor/errors.js';
import { CODEC_SAMPLES } from '../support/frame-wire.js';

test('every codec can be described as data that a structured clone keeps', () => {
  for (const { title, options } of CODEC_SAMPLES) {
    const codec = createCodec(structuredClone(options));
    assert.equal(codec.name, options.kind, title);
    assert.equal(codec.hasMsgId, options.kind === 'tlv' || 'msgId' in options, title);
  }
});

test('bodies may have 1 MiB unless an option says otherwise', () => {
  for (const kind of ['tlv', 'length-field', 'varint', 'line'] as const) {
    assert.equal(createCodec({ kind }).frameBytesMax, 1024 * 1024);
    assert.equal(createCodec({ kind, frameBytesMax: 5 }).frameBytesMax, 5);
  }
  assert.equal(createCodec({ kind: 'fixed', frameBytes: 9 }).frameBytesMax, 9);
});

// As they would arrive from JavaScript or a configuration file.
const INVALID: readonly [named: string, options: object][] = [
  ['kind', {}],
  ['kind', { kind: 'xml' }],
  ['frameBytesMax', { kind: 'tlv', frameBytesMax: 0 }],
  ['frameBytesMax', { kind: 'varint', frameBytesMax: 1.5 }],
  ['frameBytesMax', { kind: 'line', frameBytesMax: '64' }],
  ['frameBytesMax', { kind: 'tlv', frameBytesMax: 2 ** 31 }],
  ['lengthOffset', { kind: 'length-field', lengthOffset: -1 }],
  ['lengthBytes', { kind: 'length-field', lengthBytes: 5 }],
  ['byteOrder', { kind: 'length-field', byteOrder: 'network' }],
  ['lengthAdjustment', { kind: 'length-field', lengthAdjustment: Number.NaN }],
  ['stripBytes', { kind: 'length-field', stripBytes: -4 }],
  ['msgId.offset', { kind: 'length-field', msgId: { bytes: 4 } }],
  ['msgId.offset', { kind: 'length-field', msgId: { offset: 3, bytes: 4 } }],
  ['msgId.bytes', { kind: 'length-field', msgId: { offset: 4, bytes: 3 } }],
  ['msgId.byteOrder', { kind: 'length-field', msgId: { offset: 4, bytes: 4, byteOrder: 'middle' } }],
  ['delimiter', { kind: 'delimiter' }],
  ['delimiter', { kind: 'delimiter', delimiter: '' }],
  ['delimiter', { kind: 'delimiter', delimiter: 'x'.repeat(65) }],
  ['strip', { kind: 'delimiter', delimiter: 'x', strip: 'no' }],
  ['lineEnd', { kind: 'line', lineEnd: '\r' }],
  ['frameBytes', { kind: 'fixed' }],
];

for (const [named, options] of INVALID) {
  test(`${JSON.stringify(options)} is refused and ${named} is named`, () => {
    assert.throws(
      () => createCodec(options as CodecOptions),
      (error) =>
        error instanceof ReactorError &&
        error.code === 'REACTOR_OPTION_INVALID' &&
        error.message.startsWith(`codec option ${named} `),
    );
  });
}
