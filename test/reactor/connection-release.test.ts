// Every connection is released when it ends, however it ends: counted after thousands of them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { forEachTransport } from '../support/transports.js';

const ROUNDS = 1200;
/** Far below the smallest connection, about 2 KB: noise of the collector and of compiled code. */
const HEAP_BYTES_PER_ROUND_MAX = 300;

interface Held {
  readonly heapBytes: number;
  readonly fds: number;
  readonly timers: number;
  readonly ownedBytes: number;
}

forEachTransport((transport) => {
  test(`${transport}: after ${ROUNDS} connections with every kind of ending nothing is left of them`, async (t) => {
    const rounds = fileURLToPath(new URL('./fixtures/connection-rounds.js', import.meta.url));
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--expose-gc', rounds, transport, String(ROUNDS)]);
    const { looks, ...left } = JSON.parse(stdout) as { looks: [Held, Held, Held] };
    const opened = ROUNDS * 2.5;
    assert.deepEqual(left, { connections: 0, occupied: 0, lentBytes: 0, opened, closed: opened, open: 0 });
    const [before, between, after] = looks;
    assert.equal(after.fds, before.fds);
    assert(after.timers <= before.timers, `${after.timers - before.timers} timers are left`);
    assert.equal(after.ownedBytes, 0);
    // What connections leave behind, each of the two times leaves; what the engine compiles and caches does not.
    const grown = Math.min(between.heapBytes - before.heapBytes, after.heapBytes - between.heapBytes);
    t.diagnostic(`the heap grew by ${grown} bytes over ${ROUNDS} connections`);
    assert(grown < ROUNDS * HEAP_BYTES_PER_ROUND_MAX, `the heap grew by ${grown} bytes`);
  });
});
