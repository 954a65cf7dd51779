import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { complaintsOf, runClient, startExample, stopExample } from '../support/example.js';

test('udp: two clients at a time each get back their own words', async (t) => {
  const udp = await startExample(t, 'udp');
  const wordsOfEach = [
    ['hello', 'world'],
    ['one', 'two', 'three'],
  ];
  const clients = await Promise.all(wordsOfEach.map((words) => runClient(t, 'udp', udp.port, words)));
  for (const [index, client] of clients.entries()) {
    assert.equal(complaintsOf(client), '');
    assert.deepEqual(client.lines.toSorted(), wordsOfEach[index]!.toSorted());
    assert.equal(await client.exitCode, 0);
  }
  await stopExample(udp);
});

test('udp: the client says which word nobody answered', async (t) => {
  const silent = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const client = await runClient(t, 'udp', silent.address().port, ['hello']);
  assert.equal(await client.exitCode, 1);
  assert.equal(complaintsOf(client), 'no answer to hello\n');
});
