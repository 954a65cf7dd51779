// Exclusive mode: a connection is lent to one borrower until it is released.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpcError } from '../../rpc/errors.js';
import { connectedBench, connectionsOf, poolBench } from '../support/pool-bench.js';

test('a connection that is lent goes to nobody else, and the one that came back last is lent first', async (context) => {
  const { hostPool } = await connectedBench(context, 3, { mode: 'exclusive' });
  const [one, two, three] = [hostPool.tryAcquire()!, hostPool.tryAcquire()!, hostPool.tryAcquire()!];
  assert.equal(new Set([one, two, three]).size, 3);
  assert.equal(hostPool.tryAcquire(), null);
  hostPool.release(two);
  hostPool.release(one);
  assert.equal(hostPool.tryAcquire(), one);
  assert.equal(hostPool.tryAcquire(), two);
});

test('the pool itself takes back what was lent, also of an instance that is not listed any more', async (context) => {
  const { host, pool, hostPool } = await connectedBench(context, 2, { mode: 'exclusive' });
  const [one, two] = [hostPool.tryAcquire()!, hostPool.tryAcquire()!];
  pool.release(one);
  assert.equal(hostPool.tryAcquire(), one);
  pool.setInstances([]);
  pool.release(one);
  assert.equal(host.alive.size, 1);
  assert.equal(hostPool.state, 'leaving', 'the release did not bring it back');
  pool.release(two);
  assert.equal(host.alive.size, 0);
  assert.deepEqual(pool.stats(), []);
});

test('what was released twice or never lent is refused', async (context) => {
  const { hostPool } = await connectedBench(context, 1, { mode: 'exclusive' });
  const connection = hostPool.tryAcquire()!;
  hostPool.release(connection);
  assert.throws(() => hostPool.release(connection), /what returns was lent/);
});

test('a thousand acquires with a slow connect share the maximum, first come first served', async (context) => {
  const { time, host, hostPool } = poolBench(context, { mode: 'exclusive', acquireTimeoutMs: 60_000 });
  host.dialMs = 300;
  const served: number[] = [];
  const all = Array.from({ length: 1000 }, async (_, number) => {
    const connection = await hostPool.acquire();
    served.push(number);
    time.runAfter(5, () => hostPool.release(connection));
  });
  await time.pass(2000);
  await Promise.all(all);
  assert.equal(host.peak, 10);
  assert.deepEqual(
    served,
    Array.from({ length: 1000 }, (_, number) => number),
  );
});

test('returning a broken connection serves the one who waits with a new one', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { mode: 'exclusive', connectionsMax: 1 });
  const broken = hostPool.tryAcquire()!;
  const acquired = hostPool.acquire();
  hostPool.discard(broken, new RpcError('RPC_PROTOCOL', 'nonsense'));
  assert.equal(broken.state, 'ended', 'destroyed, not closed gracefully');
  await time.pass(2000);
  assert.notEqual(await acquired, broken);
  assert.equal(host.peak, 1);
});

test('a borrowed connection that the other side gives notice of is closed when it comes back', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { mode: 'exclusive' });
  const lent = hostPool.tryAcquire()!;
  lent.beginCall();
  lent.goAway();
  assert.equal(hostPool.stats().draining, 1);
  lent.endCall();
  hostPool.release(lent);
  await time.pass(20);
  assert.equal(lent.state, 'ended');
  assert.equal(connectionsOf(host).includes(lent), false);
});
