import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runClient, startExample, stopExample } from '../support/example.js';

test('rpc: the client is greeted by a unary call and by a stream, and the server drains', async (t) => {
  const greeter = await startExample(t, 'rpc');
  const client = await runClient(t, 'rpc', greeter.port, ['ada', 'grace']);
  assert.equal(await client.exitCode, 0);
  assert.deepEqual(client.lines, ['hello ada', 'hello ada', 'hello grace']);
  await stopExample(greeter);
});
