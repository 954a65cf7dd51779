import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from '../support/command.js';
import { startExample, stopExample } from '../support/example.js';

const CLIENT = fileURLToPath(new URL('../../examples/udp/client.js', import.meta.url));

test('udp: two clients at a time each get back their own words', async (t) => {
  const udp = await startExample(t, 'udp');
  const clients = [
    { words: ['hello', 'world'], command: clientOf(t, udp.port, ['hello', 'world']) },
    { words: ['one', 'two', 'three'], command: clientOf(t, udp.port, ['one', 'two', 'three']) },
  ];
  for (const { words, command } of clients) {
    assert.equal(await command.exitCode, 0, command.stderr);
    assert.deepEqual(command.lines.toSorted(), words.toSorted());
  }
  await stopExample(udp);
});

test('udp: the client says which word nobody answered', async (t) => {
  const udp = await startExample(t, 'udp');
  await stopExample(udp);
  const client = clientOf(t, udp.port, ['hello']);
  assert.equal(await client.exitCode, 1);
  assert.match(client.stderr, /no answer to hello/);
});

function clientOf(t: Parameters<typeof startExample>[0], port: number, words: string[]): Command {
  return new Command(t, words, { PORT: String(port) }, CLIENT);
}
