// How connections come to an end: idleness, age, silence, the other side, an instance that is gone, close().
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpcError } from '../../rpc/errors.js';
import { fakeInstance } from '../support/fake-host.js';
import { ConnectionPool } from '../../rpc/pool/connection-pool.js';
import type { PoolOptions } from '../../rpc/pool/pool-options.js';
import { VirtualTime } from '../support/virtual-time.js';
import { connectedBench, connectionsOf, poolBench } from '../support/pool-bench.js';

test('idle connections are closed down to the minimum while the host is in use, all of them when it is not', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 2, { callsPerConnectionSoftMax: 1 });
  for (let round = 0; round < 6; round += 1) {
    hostPool.tryAcquire()!.beginCall();
    await time.pass(20);
  }
  assert.equal(host.alive.size, 4);
  for (const connection of connectionsOf(host)) while (connection.callsInFlight > 0) connection.endCall();
  for (let minute = 0; minute < 6; minute += 1) {
    await time.pass(60_000);
    const acquired = hostPool.acquire(); // one connection at a time is enough now
    await time.pass(10);
    await acquired;
  }
  assert.equal(host.alive.size, 2);
  assert.equal(hostPool.stats().totals.idled, 2);
  await time.pass(400_000);
  assert.equal(host.alive.size, 0);
  assert.equal(hostPool.state, 'idle');
});

test('a connection with a call that lasts longer than the idle timeout is not idle', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1);
  hostPool.tryAcquire()!.beginCall();
  await time.pass(900_000);
  assert.equal(host.alive.size, 1);
});

test('an old connection is replaced before it is closed, and its calls finish first', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { lifetimeMs: 60_000 });
  const [old] = connectionsOf(host);
  old!.beginCall();
  while (old!.isUsable) {
    await time.pass(1000);
    hostPool.tryAcquire();
  }
  assert.equal(host.alive.size, 2, 'the new one was there when the old one was closed');
  assert.equal(hostPool.isConnected, true);
  assert.equal(old!.state, 'closing');
  old!.endCall();
  assert.equal(old!.state, 'ended');
  assert.equal(hostPool.stats().totals.lost, 0);
  assert.equal(host.peak, 2);
});

test('lifetimes differ by up to a tenth both ways, so that connections do not end together', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 10, { lifetimeMs: 1_000_000 });
  const started = time.nowMs();
  const all = connectionsOf(host);
  const ages = new Map<number, number>();
  for (let second = 0; second < 1200; second += 1) {
    await time.pass(1000);
    hostPool.tryAcquire();
    for (const { number, state } of all) {
      if (state !== 'open' && !ages.has(number)) ages.set(number, time.nowMs() - started);
    }
    assert(host.alive.size <= 10);
  }
  assert.equal(ages.size, 10);
  const sorted = [...ages.values()].toSorted((one, other) => one - other);
  assert(sorted[0]! >= 890_000 && sorted.at(-1)! <= 1_200_000 && sorted.at(-1)! - sorted[0]! > 50_000);
});

test('a connection that was silent for long is pinged before it is used again', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1);
  const [connection] = connectionsOf(host);
  assert.equal(hostPool.tryAcquire(), connection, 'not after a short silence');
  await time.pass(10_001);
  assert.equal(hostPool.tryAcquire(), null);
  const acquired = hostPool.acquire();
  await time.pass(1);
  assert.equal(await acquired, connection);
  assert.equal(connection!.pings, 1);
  assert.equal(host.dialTimes.length, 1, 'no dial was needed');
});

test('silent connections that do not answer are destroyed, not closed, and a new one serves within the deadline', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 10);
  const old = connectionsOf(host);
  await time.pass(20_000);
  host.isSilent = true;
  const started = time.nowMs();
  const acquired = hostPool.acquire();
  await time.pass(4100);
  assert.equal(old.includes(await acquired), false);
  assert(time.nowMs() - started < 5000);
  assert(old.every((connection) => connection.state === 'ended'));
  assert(old.every((connection) => connection.destroyedWith?.code === 'RPC_KEEPALIVE_TIMEOUT'));
  host.isSilent = false;
});

test('after GOAWAY a connection gets no more calls, and its calls finish', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 2);
  const [one, two] = connectionsOf(host);
  one!.beginCall();
  one!.goAway();
  for (let call = 0; call < 10; call += 1) assert.equal(hostPool.tryAcquire(), two);
  assert.equal(hostPool.stats().draining, 1);
  one!.endCall();
  await time.pass(20);
  assert.equal(one!.state, 'ended');
  assert.equal(host.alive.size, 2, 'the minimum is there again');
});

test('draining connections count: the maximum holds while they finish', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 2, { connectionsMax: 3 });
  for (const connection of connectionsOf(host)) {
    connection.beginCall();
    connection.goAway();
  }
  const acquired = hostPool.acquire();
  await time.pass(1000);
  assert.equal((await acquired).state, 'open');
  assert.equal(host.peak, 3);
});

test('an instance that is not listed any more finishes its calls and refuses new ones', async (context) => {
  const { time, host, pool, hostPool } = await connectedBench(context, 1);
  const connection = hostPool.tryAcquire()!;
  connection.beginCall();
  pool.setInstances([fakeInstance('other:1')]);
  assert.equal(hostPool.tryAcquire(), null);
  await assert.rejects(hostPool.acquire(), { code: 'RPC_NO_INSTANCE', executed: 'no' });
  assert.equal(host.alive.size, 1);
  connection.endCall();
  await time.pass(0);
  assert.equal(host.alive.size, 0);
  assert.deepEqual(pool.stats(), []);
});

test('an instance that comes back while it finishes its calls is used again, within its maximum', async (context) => {
  const { time, host, pool, hostPool } = await connectedBench(context, 2, { connectionsMax: 2 });
  for (const connection of connectionsOf(host)) connection.beginCall();
  pool.setInstances([]);
  pool.setInstances([fakeInstance()]);
  assert.equal(pool.host(fakeInstance()), hostPool);
  const acquired = hostPool.acquire();
  await time.pass(100);
  assert.equal(hostPool.stats().dialling, 0, 'both places are taken by those that drain');
  connectionsOf(host)[0]!.endCall();
  await time.pass(20);
  assert.equal((await acquired).state, 'open');
  assert.equal(host.peak, 2);
});

test('close lets calls finish, and destroys what is left at its deadline', async (context) => {
  const { time, host, pool, hostPool } = await connectedBench(context, 2);
  const one = hostPool.tryAcquire()!;
  one.beginCall();
  const second = connectionsOf(host).find((connection) => connection !== one)!;
  second.beginCall();
  let isClosed = false;
  const closed = pool.close(1000).then(() => {
    isClosed = true;
  });
  assert.throws(() => pool.host(fakeInstance('other:1')), { code: 'RPC_CLOSED' });
  await assert.rejects(hostPool.acquire(), { code: 'RPC_CLOSED' });
  one.endCall();
  assert.equal(one.destroyedWith, null);
  await time.pass(999);
  assert.equal(isClosed, false);
  await time.pass(1);
  await closed;
  assert.equal(second.destroyedWith?.code, 'RPC_CLOSED');
  assert.equal(time.timersWaiting, 0, 'nothing is left to happen');
});

test('close calls dials off, and a connection that comes up all the same is destroyed', async (context) => {
  const { time, host, pool, hostPool } = poolBench(context);
  const waiting = assert.rejects(hostPool.acquire(), { code: 'RPC_CLOSED' });
  assert.equal(host.dialling, 1);
  await pool.close();
  await waiting;
  assert.equal(host.dialling, 0);
  await time.pass(1000);
  assert.equal(host.alive.size, 0);
});

test('hosts share the global maximum: who waits gets the place of a connection that is idle elsewhere', async (context) => {
  const { time, host, pool, hostPool } = await connectedBench(context, 3, { connectionsTotalMax: 3 });
  const other = pool.host(fakeInstance('other:1'));
  const acquired = other.acquire();
  await time.pass(20);
  (await acquired).beginCall();
  assert.equal(host.alive.size, 3);
  assert.equal(pool.connections, 3);
  assert.equal(hostPool.stats().connections, 2, 'one was closed, not all of them');
});

test('without an idle connection anywhere a host waits until a place is free', async (context) => {
  const { time, pool, hostPool } = await connectedBench(context, 1, { connectionsTotalMax: 1 });
  const busy = hostPool.tryAcquire()!;
  busy.beginCall();
  const acquired = pool.host(fakeInstance('other:1')).acquire();
  await time.pass(1000);
  busy.die();
  await time.pass(20);
  assert.equal((await acquired).state, 'open');
});

test('options that make no sense are refused by name', () => {
  const wrong: [PoolOptions, RegExp][] = [
    [{ connectionsMax: 0 }, /connectionsMax must be a whole number, 1 or more, not 0/],
    [{ connectionsMin: 11 }, /connectionsMin must be at most connectionsMax \(10\), not 11/],
    [{ acquireTimeoutMs: -1 }, /acquireTimeoutMs must be a finite number of ms above 0, not -1/],
    [{ mode: 'shared' as 'exclusive' }, /mode must be 'multiplexed' or 'exclusive', not shared/],
    [{ backoffMaxMs: 10 }, /backoffMaxMs must be at least backoffFirstMs \(1000\), not 10/],
    [{ lifetimeMs: Number.NaN }, /lifetimeMs/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(
      () => new ConnectionPool(() => assert.fail(), new VirtualTime(), Math.random, options),
      (error: unknown) =>
        error instanceof RpcError && error.code === 'RPC_OPTION_INVALID' && message.test(error.message),
    );
  }
});
