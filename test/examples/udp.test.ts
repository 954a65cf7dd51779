import assert from 'node:assert/strict';
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
  const udp = await startExample(t, 'udp');
  await stopExample(udp);
  const client = await runClient(t, 'udp', udp.port, ['hello']);
  assert.equal(await client.exitCode, 1);
  assert.match(client.stderr, /no answer to hello/);
});
