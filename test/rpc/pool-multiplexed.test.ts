// Multiplexed mode: many calls share the connections of a host. In virtual time, on a host without sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FakeConnection } from '../support/fake-host.js';
import { connectedBench, connectionsOf, poolBench } from '../support/pool-bench.js';

test('the first acquire dials, the next ones take the connection at once', async (context) => {
  const { time, host, hostPool } = poolBench(context);
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
  const { hostPool } = await connectedBench(context, 2);
  const carried = new Map<FakeConnection, number>();
  for (let call = 0; call < 20; call += 1) {
    const connection = hostPool.tryAcquire();
    assert(connection !== null);
    connection.beginCall();
    carried.set(connection, (carried.get(connection) ?? 0) + 1);
  }
  assert.deepEqual([...carried.values()], [10, 10]);
});

test('a thousand acquires at once never make more connections than the maximum, and all are served', async (context) => {
  const { time, host, hostPool } = poolBench(context);
  host.dialMs = 500;
  let served = 0;
  const all = Array.from({ length: 1000 }, async () => {
    const connection = await hostPool.acquire();
    connection.beginCall();
    served += 1;
  });
  await time.pass(1500);
  await Promise.all(all);
  assert.equal(served, 1000);
  assert.equal(host.peak, 10);
  assert.deepEqual(
    connectionsOf(host).map((connection) => connection.callsInFlight),
    Array.from({ length: 10 }, () => 100),
  );
});

test('another connection is dialled when all are at their stream limit, and the call that waited gets it', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1);
  const [first] = connectionsOf(host);
  while (first!.callsInFlight < first!.callsMax) hostPool.tryAcquire()!.beginCall();
  assert.equal(hostPool.isConnected, false);
  assert.equal(hostPool.tryAcquire(), null);
  const acquired = hostPool.acquire();
  await time.pass(10);
  assert.notEqual(await acquired, first);
  assert.equal(host.alive.size, 2);
});

test('above the soft limit one more connection is dialled while calls go on, and no more than one for that', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { callsPerConnectionSoftMax: 4 });
  for (let call = 0; call < 8; call += 1) hostPool.tryAcquire()!.beginCall();
  assert.equal(host.dialling, 1);
  await time.pass(10);
  assert.equal(host.alive.size, 2);
  const next = hostPool.tryAcquire();
  assert.equal(next, connectionsOf(host)[1]);
});

test('when every connection is full, those who wait are served in the order in which they came', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { connectionsMax: 1 });
  const [connection] = connectionsOf(host);
  while (connection!.callsInFlight < connection!.callsMax) hostPool.tryAcquire()!.beginCall();
  const served: number[] = [];
  for (const number of [1, 2, 3]) {
    void hostPool.acquire().then((given) => {
      given.beginCall();
      served.push(number);
    });
  }
  for (const expected of [[1], [1, 2], [1, 2, 3]]) {
    connection!.endCall();
    assert.equal(hostPool.tryAcquire(), null, 'nobody overtakes, though there is room for a moment');
    await time.pass(1);
    assert.deepEqual(served, expected);
  }
});

test('a place that was promised is not given away before the call begins', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1, { connectionsMax: 1 });
  const [connection] = connectionsOf(host);
  connection!.callsMax = 1;
  const acquired = hostPool.acquire();
  assert.equal(hostPool.tryAcquire(), null);
  (await acquired).beginCall();
  await time.pass(1);
  assert.equal(hostPool.tryAcquire(), null);
  connection!.endCall();
  assert.equal(hostPool.tryAcquire(), connection);
});

test('a waiter that is told by callback may begin its call there and then, and so may every other', async (context) => {
  const { time, host, hostPool } = poolBench(context, { connectionsMin: 1 });
  host.callsMax = 3;
  let begun = 0;
  for (let call = 0; call < 7; call += 1) {
    hostPool.wait({
      onConnection: (connection) => {
        connection.beginCall();
        begun += 1;
      },
      onAcquireFailed: assert.ifError,
    });
  }
  await time.pass(10);
  assert.equal(begun, 3);
  await time.pass(10);
  assert.equal(begun, 7);
  assert.equal(host.alive.size, 3, 'seven calls need three connections of three');
});
