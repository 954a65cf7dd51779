// Every connection is released when it ends, however it ends: counted after thousands of them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { forEachTransport } from '../support/transports.js';

const ROUNDS = 2000;
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
    const { before, after, ...left } = JSON.parse(stdout) as { before: Held; after: Held };
    const opened = ROUNDS * 1.5;
    assert.deepEqual(left, { connections: 0, occupied: 0, lentBytes: 0, opened, closed: opened, open: 0 });
    assert.equal(after.fds, before.fds);
    assert.equal(after.timers, before.timers);
    assert.equal(after.ownedBytes, 0);
    const grown = after.heapBytes - before.heapBytes;
    t.diagnostic(`the heap grew by ${grown} bytes over ${ROUNDS} connections`);
    assert(grown < ROUNDS * HEAP_BYTES_PER_ROUND_MAX, `the heap grew by ${grown} bytes`);
  });
});
