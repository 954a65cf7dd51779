// Heartbeats: in the header and in the ring, what is taken for alive, and a death that only they tell of.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';

import { loadAddon } from '../../addon/index.js';
import {
  attachChannel,
  CHANNEL_METRICS,
  createChannel,
  type JbusError,
  peerArguments,
  ShmSegment,
} from '../../addon/jbus/index.js';
import { forEachBacking, openPair } from '../support/backings.js';
import { until } from '../support/until.js';
import { ECHO_PEER } from './support/echo.js';

const SMALL = { capacityOut: 4096, capacityIn: 4096 };

forEachBacking((backing) => {
  test(`${backing}: both sides beat, and one heartbeat at a time waits for a reader`, async (t) => {
    const [owner, peer] = await openPair(t, backing, { ...SMALL, heartbeatMs: 5 });
    await until(() => owner.stats().heartbeatsWritten >= 1);
    assert.notEqual(owner.peerState(), 'gone');
    assert.equal(owner.checkAlive(), true);
    const read = peer.readAsync({ timeoutMs: 5000 });
    await until(() => owner.stats().heartbeatsWritten >= 5);
    await owner.writeAsync(Buffer.from('between heartbeats'));
    assert.equal((await read).data.toString(), 'between heartbeats');
    if (backing !== 'socket') assert(peer.stats().heartbeatsRead >= 4);
  });
});

test('without a doorbell the death of the peer is told within two heartbeats', {
  skip: loadAddon() === null,
}, async (t) => {
  const heartbeatMs = 300;
  const { channel, address } = await createChannel({ ...SMALL, backing: 'sysv', heartbeatMs });
  t.after(() => channel.close());
  // The child gets a doorbell that rings nowhere.
  const [near, far] = loadAddon()!.socketPair();
  const child = spawn(process.execPath, [ECHO_PEER, ...peerArguments(address, 3)], {
    stdio: ['ignore', 'inherit', 'inherit', far],
  });
  loadAddon()!.closeFd(far);
  t.after(() => {
    child.kill('SIGKILL');
    loadAddon()!.closeFd(near);
  });
  await channel.join({ timeoutMs: 10_000 });
  const down = new Promise<JbusError>((resolve) => channel.onPeerDown(resolve));
  child.kill('SIGKILL');
  await once(child, 'exit');
  // Beats are counted by a timer of the same period in the same loop: what makes the one late makes the other late.
  let beats = 0;
  const beating = setInterval(() => (beats += 1), heartbeatMs);
  t.after(() => clearInterval(beating));
  assert.equal((await down).code, 'JBUS_PEER_DEAD');
  assert(beats <= 2, `told after ${beats} heartbeats`);
  assert.equal(channel.peerState(), 'gone');
});

test('a process that took over the pid of the peer is not taken for it', {
  skip: loadAddon() === null,
}, async (t) => {
  const { channel, address } = await createChannel({ ...SMALL, backing: 'sysv', heartbeatMs: 20 });
  t.after(() => channel.close());
  const peer = await attachChannel(address, { heartbeatMs: 0 });
  t.after(() => peer.close());
  await channel.join();
  assert.equal(channel.peerState(), 'alive');
  assert('sendId' in address);
  // As if our own pid, which lives, had belonged to a process that was started earlier.
  const segments = [ShmSegment.attach(address.sendId), ShmSegment.attach(address.receiveId)];
  t.after(() => {
    for (const segment of segments) segment.close();
  });
  const down = new Promise<JbusError>((resolve) => channel.onPeerDown(resolve));
  const [written, read] = segments.map(({ buffer }) => new BigUint64Array(buffer, 0, 512));
  written![0x090 / 8] = written![0x090 / 8]! - 1n;
  read![0x110 / 8] = read![0x110 / 8]! - 1n;
  assert.equal((await down).code, 'JBUS_PEER_DEAD');
});

test('every number of the statistics has one metric, and each name is one', async (t) => {
  const [owner] = await openPair(t, 'memory');
  assert.deepEqual(
    CHANNEL_METRICS.map(({ field }) => field).toSorted(),
    Object.keys(owner.stats()).toSorted(),
  );
  assert.equal(new Set(CHANNEL_METRICS.map(({ name }) => name)).size, CHANNEL_METRICS.length);
  for (const { name, kind } of CHANNEL_METRICS) {
    assert.match(name, /^reactor_net_jbus_[a-z_]+$/);
    assert.equal(name.endsWith('_total') || name.endsWith('_bytes_total'), kind === 'counter', name);
  }
});
