import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectTo, runClient, startExample, stopExample } from '../support/example.js';

test('greeting: a welcome at connect, then a numbered reply to each name', async (t) => {
  const greeting = await startExample(t, 'greeting');
  const peer = await connectTo(t, greeting.port);
  peer.end(Buffer.from('\0\x03Ann\0\x03Bob', 'latin1'));
  const chunks: Buffer[] = [];
  for await (const chunk of peer) chunks.push(chunk as Buffer);
  const [welcome, ...replies] = textsOf(Buffer.concat(chunks));
  assert.match(welcome!, /^Welcome to thread (\d+|main)\. Who is there\?$/);
  assert.deepEqual(replies, ['Hello Ann, you are number 1 here.', 'Hello Bob, you are number 2 here.']);
  await stopExample(greeting);
});

test('greeting: its client prints the welcome and the replies, and ends', async (t) => {
  const greeting = await startExample(t, 'greeting');
  const client = await runClient(t, 'greeting', greeting.port, ['Ann']);
  assert.match(client.lines.join('\n'), /^Welcome to .*\nHello Ann, you are number 1 here\.$/);
  assert.equal(await client.exitCode, 0);
  await stopExample(greeting);
});

/** Decoded by hand, so that the server's codec is not its own judge. */
function textsOf(wire: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < wire.length; ) {
    const end = at + 2 + wire.readUInt16BE(at);
    texts.push(wire.toString('utf8', at + 2, end));
    at = end;
  }
  return texts;
}
