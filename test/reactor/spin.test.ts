// spinMicros: a thread that looks for more input does not go to sleep between two requests.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TcpServer } from '../../reactor/index.js';
import { TlvClient } from '../support/tlv.js';

const SPIN_MICROS = 1000;
/** Looking has not ended when the next request comes this soon after the one before. */
const PROMPT_MS = 0.8 * (SPIN_MICROS / 1000);
const PROMPT_REQUESTS = 500;
const PATIENCE_MS = 15_000;
const HANDLERS = new URL('./fixtures/thread-handlers.js', import.meta.url);

test('a thread that spins does not sleep between the requests of a peer that asks at once', async (t) => {
  const server = new TcpServer({
    host: '127.0.0.1',
    threads: 1,
    transport: 'epoll',
    spinMicros: SPIN_MICROS,
    handlers: HANDLERS,
  });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  const { host, port } = await server.listen();
  const client = await TlvClient.connect(`${host}:${port}`);
  t.after(() => client.socket.destroy());
  const thread = Number((await client.ask(2, '')).body);
  await client.ask(1, 'the code is loaded');
  // On a machine that is at work either side may wait for a processor, and then the thread is right to sleep: only
  // requests count that came at once.
  const deadline = performance.now() + PATIENCE_MS;
  let slept = 0;
  let prompt = 0;
  let asked = 0;
  let beganMs = performance.now();
  let before = sleeps(thread);
  while (prompt < PROMPT_REQUESTS && beganMs < deadline) {
    await client.ask(1, 'again');
    const now = sleeps(thread);
    const nowMs = performance.now();
    if (nowMs - beganMs < PROMPT_MS) {
      prompt += 1;
      slept += now - before;
    }
    asked += 1;
    before = now;
    beganMs = nowMs;
  }
  t.diagnostic(`slept ${slept} times in ${prompt} of ${asked} round trips, those that were made at once`);
  if (prompt < PROMPT_REQUESTS) {
    t.skip('this machine is too busy for a peer that asks at once');
    return;
  }
  // Four rounds of a turn at most, of which three spin: without spinning it sleeps before nearly every request.
  assert(slept < prompt / 2, `slept ${slept} times`);
});

/** How often a thread of this process has gone to sleep by itself. */
function sleeps(thread: number): number {
  const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)![1]);
}
