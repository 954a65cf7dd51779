// A pool in virtual time on hosts without sockets; after the test it is closed and must have left nothing.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { ConnectionPool } from '../../rpc/pool/connection-pool.js';
import type { HostPool } from '../../rpc/pool/host-pool.js';
import type { PoolEvent, PoolOptions } from '../../rpc/pool/pool-options.js';
import { type FakeConnection, FakeHost, fakeInstance } from './fake-host.js';
import { seededRandom } from './seeded-random.js';
import { VirtualTime } from './virtual-time.js';

export interface PoolBench {
  readonly time: VirtualTime;
  readonly host: FakeHost;
  readonly pool: ConnectionPool<FakeConnection>;
  readonly hostPool: HostPool<FakeConnection>;
  readonly events: PoolEvent[];
}

export function poolBench(context: TestContext, options: PoolOptions = {}): PoolBench {
  const time = new VirtualTime();
  const host = new FakeHost(time);
  const events: PoolEvent[] = [];
  const onEvent = (event: PoolEvent): void => void events.push(event);
  const pool = new ConnectionPool(host.dial, time, seededRandom(1), { onEvent, ...options });
  context.after(async () => {
    const closed = pool.close(10);
    await time.pass(20);
    await closed;
    assert.equal(pool.connections, 0);
    assert.equal(host.alive.size + host.dialling, 0, 'no connection is left');
  });
  return { time, host, pool, hostPool: pool.host(fakeInstance()), events };
}

/** The connections of a host, oldest first. */
export function connectionsOf(host: FakeHost): FakeConnection[] {
  return [...host.alive];
}

/** A bench whose host has `count` open connections without calls, a few seconds old. */
export async function connectedBench(
  context: TestContext,
  count: number,
  options: PoolOptions = {},
): Promise<PoolBench> {
  const bench = poolBench(context, { connectionsMin: count, ...options });
  bench.hostPool.warm();
  await bench.time.pass(2000);
  assert.equal(bench.host.alive.size, count);
  return bench;
}
