// Multiplexed mode: many calls share the connections of a host. In virtual time, on a host without sockets.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ConnectionPool } from '../../rpc/pool/connection-pool.js';
import type { HostPool } from '../../rpc/pool/host-pool.js';
import type { PoolOptions } from '../../rpc/pool/pool-options.js';
import { type FakeConnection, FakeHost, fakeInstance } from '../support/fake-host.js';
import { seededRandom } from '../support/seeded-random.js';
import { VirtualTime } from '../support/virtual-time.js';

interface Bench {
  readonly time: VirtualTime;
  readonly host: FakeHost;
  readonly pool: ConnectionPool<FakeConnection>;
  readonly hostPool: HostPool<FakeConnection>;
}

function bench(context: TestContext, options: PoolOptions = {}): Bench {
  const time = new VirtualTime();
  const host = new FakeHost(time);
  const pool = new ConnectionPool(host.dial, time, seededRandom(1), options);
  context.after(async () => {
    const closed = pool.close(10);
    await time.pass(20);
    await closed;
    assert.equal(pool.connections, 0);
    assert.equal(host.alive.size, 0, 'no connection is left');
  });
  return { time, host, pool, hostPool: pool.host(fakeInstance()) };
}

test('the first acquire dials, the next ones take the connection at once', async (context) => {
  const { time, host, hostPool } = bench(context);
  assert.equal(hostPool.tryAcquire(), null);
  assert.equal(hostPool.state, 'idle');
  const acquired = hostPool.acquire();
  assert.equal(hostPool.state, 'connecting');
  await time.pass(10);
  const connection = await acquired;
  connection.beginCall();
  assert.equal(hostPool.state, 'ready');
  assert.equal(hostPool.isConnected, true);
  assert.equal(hostPool.tryAcquire(), connection);
  await time.pass(10);
  assert.equal(host.alive.size, 2, 'the minimum is kept while the host is in use');
});

test('a call goes to the connection with the fewest calls', async (context) => {
  const { time, hostPool } = bench(context);
  const acquired = hostPool.acquire();
  await time.pass(30);
  await acquired;
  const carried = new Map<FakeConnection, number>();
  for (let call = 0; call < 20; call += 1) {
    const connection = hostPool.tryAcquire();
    assert(connection !== null);
    connection.beginCall();
    carried.set(connection, (carried.get(connection) ?? 0) + 1);
  }
  assert.deepEqual([...carried.values()], [10, 10]);
});
