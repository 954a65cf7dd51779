import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../support/frame-wire.js';
import { tlvCodec } from '../../reactor/codecs/tlv-codec.js';
import { connectTo, runClient, startExample, stopExample } from '../support/example.js';

test('echo: frames of any message id come back as they were sent', async (t) => {
  const echo = await startExample(t, 'echo');
  const wire = encode(tlvCodec(), [
    { msgId: 1, body: 'hello' },
    { msgId: 70_000, body: '' },
    { msgId: 1, body: 'x'.repeat(200_000) },
  ]);
  const peer = await connectTo(t, echo.port);
  peer.end(wire);
  const chunks: Buffer[] = [];
  for await (const chunk of peer) chunks.push(chunk as Buffer);
  assert(Buffer.concat(chunks).equals(wire));
  await stopExample(echo);
});

test('echo: its client prints what came back and ends', async (t) => {
  const echo = await startExample(t, 'echo');
  const client = await runClient(t, 'echo', echo.port, ['hello', 'world']);
  assert.deepEqual(client.lines, ['1 hello', '1 world']);
  assert.equal(await client.exitCode, 0);
  await stopExample(echo);
});
