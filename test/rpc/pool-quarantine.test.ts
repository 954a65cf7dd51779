// Quarantine: what a host pool does when many connections fail at once, and how it comes out of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialGate } from '../../rpc/pool/dial-gate.js';
import { FailureWindow } from '../../rpc/pool/failure-window.js';
import { completePoolOptions } from '../../rpc/pool/pool-options.js';
import { connectedBench, connectionsOf } from '../support/pool-bench.js';
import { seededRandom } from '../support/seeded-random.js';

test('five failures within a second are too many, four or five spread out are not', () => {
  const window = new FailureWindow(5, 1000);
  const recorded = [0, 100, 200, 300].map((ms) => window.record(ms));
  assert.deepEqual(recorded, [false, false, false, false]);
  assert.equal(window.record(1001), false, 'the first one is too long ago');
  assert.equal(window.record(1100), true);
  window.clear();
  assert.equal(window.record(1101), false);
});

test('when five connections die at once the idle ones are pinged at once, and the healthy ones are kept', async (context) => {
  const { time, host, hostPool, events } = await connectedBench(context, 10);
  const all = connectionsOf(host);
  for (const connection of all.slice(0, 4)) connection.die();
  assert.equal(hostPool.state, 'ready');
  all[4]!.die();
  assert.equal(hostPool.state, 'quarantine');
  assert.equal(hostPool.isConnected, false);
  assert.equal(hostPool.tryAcquire(), null, 'the idle list is not looked at');
  assert.deepEqual(
    all.slice(5).map((connection) => connection.pings),
    [1, 1, 1, 1, 1],
  );
  const acquired = hostPool.acquire();
  await time.pass(60);
  assert.equal(hostPool.state, 'ready');
  assert(all.slice(5).includes(await acquired));
  assert.deepEqual(
    events.map(({ kind }) => kind).filter((kind) => kind.startsWith('quarantine')),
    ['quarantine-began', 'quarantine-ended'],
  );
});

test('idle connections that do not answer the clean-up are destroyed, and those with calls are left alone', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 8, { connectionsMax: 8 });
  const all = connectionsOf(host);
  const busy = all[7]!;
  busy.beginCall();
  host.isSilent = true;
  for (const connection of all.slice(0, 5)) connection.die();
  await time.pass(1999);
  assert.equal(hostPool.state, 'quarantine');
  await time.pass(60);
  assert.notEqual(hostPool.state, 'quarantine');
  assert.deepEqual(
    all.slice(5).map(({ state }) => state),
    ['ended', 'ended', 'open'],
  );
  assert.equal(busy.pings, 0);
});

test('a quarantine that begins while nothing is idle still pauses for a random moment', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 5);
  const dials = host.dialTimes.length;
  const began = time.nowMs();
  for (const connection of connectionsOf(host)) connection.die();
  assert.equal(hostPool.state, 'quarantine');
  assert(host.dialTimes.length <= dials + 1, 'one dial at most in the same instant');
  await time.pass(70);
  assert(host.dialTimes.length > dials + 1);
  assert(host.dialTimes[dials + 1]! > began);
});

test('after an avalanche a thousand waiters are served by few dials, in order, more with each turn', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 10);
  host.callsMax = 1000;
  const served: number[] = [];
  let overtakers = 0;
  for (const connection of connectionsOf(host)) connection.die();
  for (let number = 0; number < 1000; number += 1) {
    hostPool.wait({
      onConnection: (connection) => {
        connection.beginCall();
        served.push(number);
        if (number < 999 && hostPool.tryAcquire() !== null) overtakers += 1;
      },
      onAcquireFailed: assert.ifError,
    });
  }
  const dialsBefore = host.dialTimes.length;
  for (let turn = 0; turn < 200 && served.length < 1000; turn += 1) await time.pass(1);
  assert.deepEqual(
    served,
    Array.from({ length: 1000 }, (_, number) => number),
  );
  assert.equal(overtakers, 0, 'nobody overtakes those who wait');
  assert(host.dialTimes.length - dialsBefore <= 10);
  assert(host.peak <= 10);
});

test('the relay goes on past waiters that have timed out, were aborted, or fail their call', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 10);
  for (const connection of connectionsOf(host)) connection.die();
  host.answer = 'refuse';
  const ends = { served: 0, timedOut: 0, aborted: 0 };
  const aborts = Array.from({ length: 1000 }, () => new AbortController());
  const all = aborts.map(async ({ signal }, number) => {
    const options = number % 3 === 0 ? { timeoutMs: 100 } : number % 3 === 1 ? { signal } : {};
    try {
      const connection = await hostPool.acquire(options);
      ends.served += 1;
      connection.beginCall();
      connection.endCall(); // fails at once, as far as the pool can tell
    } catch (error) {
      if ((error as { code: string }).code === 'RPC_CANCELLED') ends.aborted += 1;
      else ends.timedOut += 1;
    }
  });
  await time.pass(200);
  for (const abort of aborts) abort.abort();
  host.answer = 'accept';
  await time.pass(2500);
  await Promise.all(all);
  assert.deepEqual(ends, { served: 333, timedOut: 334, aborted: 333 });
});

test('connections that die in the middle of the relay begin a new quarantine, and nobody is forgotten', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 10, { acquireTimeoutMs: 30_000 });
  for (const connection of connectionsOf(host)) connection.die();
  let served = 0;
  const all = Array.from({ length: 200 }, async () => {
    const connection = await hostPool.acquire();
    connection.beginCall();
    served += 1;
  });
  for (let round = 0; round < 40; round += 1) {
    await time.pass(15);
    if (round < 20) for (const connection of connectionsOf(host)) connection.die();
  }
  await time.pass(29_000);
  await Promise.all(all);
  assert.equal(served, 200);
  assert(hostPool.stats().totals.quarantines >= 1);
});

test('a host that accepts and dies at once is dialled less and less often', async (context) => {
  const { time, host, hostPool } = await connectedBench(context, 1);
  connectionsOf(host)[0]!.die();
  const before = host.dialTimes.length;
  for (let second = 0; second < 600; second += 1) {
    for (const connection of connectionsOf(host)) connection.die();
    for (let part = 0; part < 10; part += 1) {
      await time.pass(100);
      for (const connection of connectionsOf(host)) connection.die();
    }
    hostPool.tryAcquire();
  }
  const dials = host.dialTimes.length - before;
  assert(dials >= 8 && dials <= 16, `${dials} dials in ten minutes`);
});

test('delays after failed connects grow by 1.6 from one second to two minutes, less up to a fifth', () => {
  const gate = new DialGate(seededRandom(5), completePoolOptions({}));
  let nowMs = 0;
  let plainMs = 1000;
  for (let failure = 0; failure < 20; failure += 1) {
    gate.failed(nowMs);
    const waitMs = gate.waitMs(nowMs);
    assert(waitMs <= plainMs + 1 && waitMs >= plainMs * 0.8 - 1, `${waitMs} of ${plainMs}`);
    plainMs = Math.min(plainMs * 1.6, 120_000);
    nowMs += waitMs;
  }
  gate.succeeded(nowMs);
  assert.equal(gate.waitMs(nowMs), 0);
  gate.failed(nowMs + 1000);
  assert(gate.waitMs(nowMs + 1000) <= 1000, 'a connection that was stable starts the delays anew');
});

test('no path dials a host more often than the rate allows', () => {
  const gate = new DialGate(seededRandom(5), completePoolOptions({}));
  let dials = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs += 1) {
    if (gate.waitMs(nowMs) > 0) continue;
    gate.started(nowMs);
    gate.succeeded(nowMs);
    dials += 1;
  }
  assert(dials >= 105 && dials <= 111, `${dials} dials in ten seconds`);
});
