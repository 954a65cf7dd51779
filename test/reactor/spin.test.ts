// spinMicros: a thread that looks for more input does not go to sleep between two requests.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TcpServer } from '../../reactor/index.js';
import { TlvClient } from '../support/tlv.js';

const ROUND_TRIPS = 1000;
const HANDLERS = new URL('./fixtures/thread-handlers.js', import.meta.url);

test('a thread that spins does not sleep between the requests of a peer that asks at once', async (t) => {
  const server = new TcpServer({
    host: '127.0.0.1',
    threads: 1,
    transport: 'epoll',
    spinMicros: 1000,
    handlers: HANDLERS,
  });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  const { host, port } = await server.listen();
  const client = await TlvClient.connect(`${host}:${port}`);
  t.after(() => client.socket.destroy());
  const thread = Number((await client.ask(2, '')).body);
  await client.ask(1, 'the code is loaded');
  const before = sleeps(thread);
  for (let count = 0; count < ROUND_TRIPS; count += 1) await client.ask(1, 'again');
  const slept = sleeps(thread) - before;
  t.diagnostic(`slept ${slept} times in ${ROUND_TRIPS} round trips`);
  // Four rounds of a turn at most, of which three spin: without spinning it sleeps before nearly every request.
  assert(slept < ROUND_TRIPS / 2, `slept ${slept} times`);
});

/** How often a thread of this process has gone to sleep by itself. */
function sleeps(thread: number): number {
  const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)![1]);
}
