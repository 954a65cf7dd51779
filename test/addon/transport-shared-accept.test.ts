// Several threads accept from one queue: every connection is taken once, and need not wake all of them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { constants } from 'node:os';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { EVENT_ACCEPTED, requireAddon } from '../../addon/index.js';
import { openDescriptorCount } from './support/loopback.js';
import { TinyTransport } from './support/tiny-transport.js';

const THREADS = 4;
const CONNECTIONS = 200;

const addon = requireAddon();

/** How often the kernel has put the thread to sleep, and so how often something woke it. */
function sleepsOf(threadId: number): number {
  const status = readFileSync(`/proc/self/task/${threadId}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]);
}

/** Times the threads woke while connections came one after another. */
async function countWakeUps(exclusive: 0 | 1): Promise<number> {
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: CONNECTIONS });
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from(
    { length: THREADS },
    () =>
      new Worker(new URL('support/sharing-listener.worker.js', import.meta.url), {
        workerData: { fd, exclusive, counter },
      }),
  );
  const threadIds = await Promise.all(
    workers.map(async (worker) => (await once(worker, 'message'))[0] as number),
  );
  const sleeps = (): number => threadIds.reduce((sum, id) => sum + sleepsOf(id), 0);
  const before = sleeps();
  for (let i = 0; i < CONNECTIONS; i++) await once(net.connect(port, '127.0.0.1').resume(), 'close');
  const after = sleeps();
  assert.equal(counter[0], CONNECTIONS);
  await Promise.all(workers.map((worker) => worker.terminate()));
  addon.closeFd(fd);
  return after - before;
}

test('a connection wakes one of the threads that share the queue exclusively, and all of them otherwise', async () => {
  const descriptors = openDescriptorCount();
  const exclusive = await countWakeUps(1);
  const shared = await countWakeUps(0);
  // Threads sleep now and then for reasons of their own; with four of them the two are some 200 and 800.
  assert(exclusive < CONNECTIONS * 2, `${exclusive} wake-ups`);
  assert(exclusive < shared / 1.5, `${exclusive} and ${shared} wake-ups`);
  assert.equal(openDescriptorCount(), descriptors);
});

test('an exclusive listener pauses, resumes and closes', async () => {
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 8 });
  let accepted = 0;
  const tiny = new TinyTransport({}, (event) => {
    assert.equal(event.type, EVENT_ACCEPTED);
    accepted++;
    tiny.transport.closeSlot(event.a);
  });
  const listener = tiny.transport.listen(fd, 1, 0);
  const visit = (): Promise<unknown> => once(net.connect(port, '127.0.0.1').resume(), 'close');
  await visit();
  tiny.transport.pause(listener);
  const waiting = visit();
  await new Promise(setImmediate);
  assert.equal(accepted, 1);
  tiny.transport.resume(listener);
  await waiting;
  assert.equal(accepted, 2);
  tiny.transport.closeSlot(listener);
  await assert.rejects(visit(), { code: 'ECONNREFUSED' });
  tiny.transport.close();
});

// ThreadSanitizer's library cannot start a process that has so few descriptors.
const skip = process.env['LD_PRELOAD']?.includes('libtsan') ?? false;

test('a listener without descriptors pauses with EMFILE and accepts when resumed', { skip }, async () => {
  const script = fileURLToPath(new URL('support/short-of-descriptors.js', import.meta.url));
  const child = spawn('sh', ['-c', 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(output), {
    errno: constants.errno.EMFILE,
    acceptedBefore: 0,
    acceptedAfter: 1,
  });
});
