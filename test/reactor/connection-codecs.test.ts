// Every codec through a real connection: whole, byte by byte, and with what it must refuse.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodecOptions, createCodec, type Handlers, type ReactorErrorCode } from '../../reactor/index.js';
import { CODEC_SAMPLES, encode } from '../support/frame-wire.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const ECHO: Handlers = { onFrame: (connection, frame) => connection.send(frame.msgId, frame.body) };

interface BadWire {
  readonly codec: CodecOptions;
  /** Hexadecimal: one frame as it should be, and what no frame can begin with. */
  readonly good: string;
  readonly bad: string;
  readonly code: ReactorErrorCode;
}

const LARGE = 'REACTOR_FRAME_TOO_LARGE';
const MALFORMED = 'REACTOR_FRAME_MALFORMED';
const BAD_WIRES: readonly BadWire[] = [
  {
    codec: { kind: 'tlv', frameBytesMax: 10 },
    good: '01000000020000006162',
    bad: '010000000b000000',
    code: LARGE,
  },
  { codec: { kind: 'length-field', frameBytesMax: 10 }, good: '020000006162', bad: '0b000000', code: LARGE },
  {
    codec: { kind: 'length-field', lengthAdjustment: -4 },
    good: '060000006162',
    bad: '03000000',
    code: MALFORMED,
  },
  { codec: { kind: 'varint' }, good: '026162', bad: 'ffffffffff7f', code: MALFORMED },
  {
    codec: { kind: 'delimiter', delimiter: ';', frameBytesMax: 10 },
    good: '61623b',
    bad: '61'.repeat(12),
    code: LARGE,
  },
  { codec: { kind: 'line', frameBytesMax: 10 }, good: '61620a', bad: '61'.repeat(13), code: LARGE },
];

forEachTransport((transport) => {
  for (const { title, options, frames } of CODEC_SAMPLES) {
    test(`${transport}: ${title} frames come back as they were sent, whole and byte by byte`, async (t) => {
      const watched = await serve(t, transport, ECHO, { codec: options });
      const wire = encode(createCodec(options), frames);
      const client = await RawClient.connect(t, watched.port);
      client.write(wire);
      assert.deepEqual(await client.receive(wire.length), wire);
      for (const byte of wire) {
        const readBefore = watched.counters.get('bytes_read');
        client.write(Buffer.of(byte));
        await until(() => watched.counters.get('bytes_read') === readBefore + 1);
      }
      assert.deepEqual((await client.receive(2 * wire.length)).subarray(wire.length), wire);
      assert.equal(watched.counters.get('frames_received'), 2 * frames.length);
      client.end();
      await client.closed();
      assert.deepEqual(await watched.closed(), ['peer-ended']);
    });
  }

  for (const { codec, good, bad, code } of BAD_WIRES) {
    test(`${transport}: a ${codec.kind} wire that cannot be right ends with ${code} after the good frame's answer`, async (t) => {
      const watched = await serve(
        t,
        transport,
        { onFrame: (connection) => connection.write('ok') },
        { codec },
      );
      const client = await RawClient.connect(t, watched.port);
      client.write(Buffer.from(good + bad, 'hex'));
      assert.equal((await client.receiveUntilEnd()).toString(), 'ok');
      client.end();
      assert.deepEqual(await watched.closed(), ['frame-error']);
      assert.deepEqual(watched.codes, [code]);
    });
  }
});
