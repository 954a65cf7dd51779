// Threads that accept from one socket: a connection wakes the one that takes it, and no other.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { serveSteered } from '../support/steered-server.js';
import { until } from '../support/until.js';

const THREADS = 4;
const CONNECTIONS = 100;
const TASKS = '/proc/self/task';

/** How often the kernel put the sub-reactors to sleep, and so how often something woke them. */
function sleepsOfSubReactors(): number {
  const statuses = readdirSync(TASKS).map((id) => readFileSync(`${TASKS}/${id}/status`, 'latin1'));
  const own = statuses.filter((status) => /^Name:\s+reactor-\d/m.test(status));
  assert.equal(own.length, THREADS);
  return own.reduce((sum, status) => sum + sleepsIn(status), 0);
}

function sleepsIn(status: string): number {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]);
}

test('a connection to a shared socket wakes one thread (epoll)', async (t) => {
  const steered = await serveSteered(t, { transport: 'epoll', accept: 'shared', threads: THREADS });
  const { occupancy } = steered.server.reactor;
  const before = sleepsOfSubReactors();
  for (let count = 1; count <= CONNECTIONS; count += 1) {
    const client = await steered.connect();
    t.after(() => client.socket.destroy());
    await until(() => occupancy.open() === count);
  }
  const wakeUps = sleepsOfSubReactors() - before;
  t.diagnostic(`${wakeUps} wake-ups for ${CONNECTIONS} connections`);
  // All of them would be four for each; a thread also sleeps now and then for reasons of its own.
  assert(wakeUps < 2 * CONNECTIONS, `${wakeUps} wake-ups`);
});
