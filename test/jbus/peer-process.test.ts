// Two processes: spawning, joining, talking, dying, restarting, and what is left behind.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';

import {
  type BackingName,
  type Channel,
  type JbusError,
  PeerProcess,
  type PeerProcessOptions,
} from '../../addon/jbus/index.js';
import { BACKINGS } from '../support/backings.js';
import { until } from '../support/until.js';
import { converse, NODE_ECHO, PYTHON_ECHO } from './support/echo.js';
import { jbusError } from './support/rings.js';

/** Told by the doorbell, which is the end of a stream: nothing is waited for but the kernel. */
const DEATH_TOLD_MS = 20_000;

const shared = BACKINGS.filter((name): name is Exclude<BackingName, 'memory'> => name !== 'memory');

async function start(
  t: TestContext,
  options: PeerProcessOptions,
  onChannel?: (channel: Channel) => void,
): Promise<PeerProcess> {
  const peer = await PeerProcess.start({ capacityOut: 65_536, capacityIn: 65_536, ...options }, onChannel);
  t.after(() => peer.close());
  return peer;
}

for (const backing of shared) {
  test(`${backing}: a Node child echoes what it is sent, and ends when the channel is closed`, async (t) => {
    const peer = await start(t, { ...NODE_ECHO, backing });
    await converse(peer.channel, 300);
    assert.equal(peer.channel.peerState(), 'alive');
    await peer.close();
    assert.throws(() => peer.channel, jbusError('JBUS_CLOSED'));
  });

  test(`${backing}: the death of a child is told by its doorbell, once`, async (t) => {
    const peer = await start(t, { ...NODE_ECHO, backing, heartbeatMs: 60_000 });
    const { channel } = peer;
    const told: string[] = [];
    channel.onPeerDown(({ code }: JbusError) => told.push(code));
    const read = assert.rejects(channel.readAsync(), jbusError('JBUS_PEER_DEAD'));
    process.kill(peer.pid!, 'SIGKILL');
    const killedMs = performance.now();
    await read;
    const tookMs = performance.now() - killedMs;
    assert(tookMs < DEATH_TOLD_MS, `told after ${tookMs} ms`);
    await assert.rejects(channel.writeAsync(Buffer.from('x')), jbusError('JBUS_PEER_DEAD'));
    assert.equal(channel.checkAlive(), false);
    assert.deepEqual(told, ['JBUS_PEER_DEAD']);
    await until(() => peer.pid === undefined);
    await peer.close();
    assert.equal(channel.isClosed, true, 'also the channel of a child that was dead already is closed');
  });
}

test('a Python child echoes what it is sent, and ends when the channel is closed', async (t) => {
  const peer = await start(t, { ...PYTHON_ECHO, backing: 'sysv' });
  await converse(peer.channel, 300);
  process.kill(peer.pid!, 'SIGKILL');
  await assert.rejects(peer.channel.readAsync(), jbusError('JBUS_PEER_DEAD'));
});

test('a child that died is replaced by one with new rings, as often as allowed', async (t) => {
  const channels: Channel[] = [];
  const peer = await start(t, { ...NODE_ECHO, restartsMax: 2, restartDelayMs: 1 }, (channel) =>
    channels.push(channel),
  );
  for (let incarnation = 1; incarnation <= 3; incarnation += 1) {
    await until(() => channels.length === incarnation);
    await converse(peer.channel, 5);
    assert.equal(peer.channel, channels.at(-1));
    process.kill(peer.pid!, 'SIGKILL');
    await until(() => channels.at(-1)!.ended !== undefined);
  }
  assert.equal(peer.restarts, 2);
  await until(() => peer.pid === undefined);
});

test('a program that is not there, one that ends and one that does not join are told apart', async () => {
  const missing = { command: '/nowhere/at/all' };
  await assert.rejects(PeerProcess.start(missing), /JbusError: \/nowhere\/at\/all did not start/);
  const ending = { command: process.execPath, args: ['-e', 'process.exit(3)', '--'] };
  await assert.rejects(PeerProcess.start(ending), /ended with 3 before it joined/);
  const idle = {
    command: process.execPath,
    args: ['-e', 'setInterval(() => {}, 1000)', '--'],
    joinTimeoutMs: 300,
  };
  await assert.rejects(PeerProcess.start(idle), jbusError('JBUS_TIMEOUT'));
});
