// Channels by name: both nodes of a file in one process, opened, kept, listed, rolled back, closed in order.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';

import { ChannelManager, inspectKey, pairKey, parseChannelConfig } from '../../addon/jbus/index.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { jbusError } from './support/rings.js';

/** Tests of several files run at once: each process takes keys of its own. */
const NAMESPACE = process.pid % 8_000_000;

function configOf(backing: string): string {
  return `
namespace: ${NAMESPACE}
defaults: { backing: ${backing}, capacityOut: 4096, capacityIn: 4096 }
nodes: { worker: 1, blender: 2, monitor: 3 }
channels:
  - { name: frames, owner: worker, peer: blender }
  - { name: status, owner: worker, peer: monitor }
  - { name: orders, owner: monitor, peer: blender }
`;
}

/** Managers of all three nodes, closed after the test. */
function managersOf(
  t: TestContext,
  backing: string,
): Record<'worker' | 'blender' | 'monitor', ChannelManager> {
  const config = parseChannelConfig(configOf(backing), 'test.yaml');
  const [worker, blender, monitor] = ['worker', 'blender', 'monitor'].map(
    (node) => new ChannelManager(config, node),
  );
  t.after(async () => {
    for (const manager of [worker, blender, monitor]) await manager!.closeAll();
  });
  return { worker: worker!, blender: blender!, monitor: monitor! };
}

for (const backing of ['sysv', 'memfd', 'socket', 'auto']) {
  test(`${backing}: two nodes of a file find each other by the channel's name`, async (t) => {
    const { worker, blender } = managersOf(t, backing);
    const owner = await worker.open('frames');
    const peer = await blender.open('frames');
    await owner.join({ timeoutMs: 5000 });
    await owner.writeAsync(Buffer.from('frame'));
    assert.equal((await peer.readAsync({ timeoutMs: 5000 })).data.toString(), 'frame');
    await peer.writeAsync(Buffer.from('thanks'));
    assert.equal((await owner.readAsync({ timeoutMs: 5000 })).data.toString(), 'thanks');
    assert.equal(await worker.open('frames'), owner);
    assert.equal(await worker.get('frames'), owner);
  });

  test(`${backing}: a peer may come first, and waits as long as it said`, async (t) => {
    const { worker, blender } = managersOf(t, backing);
    await assert.rejects(blender.open('frames'), jbusError('JBUS_NO_SEGMENT'));
    const [peer, owner] = await Promise.all([
      blender.open('frames', { waitMs: 5000 }),
      worker.open('frames'),
    ]);
    await owner.join({ timeoutMs: 5000 });
    assert.equal(peer.name, 'frames');
  });
}

test('several callers of open get one channel', async (t) => {
  const { worker } = managersOf(t, 'auto');
  const [one, two] = await Promise.all([worker.open('frames'), worker.open('frames')]);
  assert.equal(one, two);
});

test('a channel that has ended is opened anew', async (t) => {
  const { worker, blender } = managersOf(t, 'sysv');
  const owner = await worker.open('frames');
  const peer = await blender.open('frames');
  await owner.join();
  peer.close();
  await assert.rejects(owner.readAsync(), jbusError('JBUS_CLOSED'));
  const next = await worker.open('frames');
  assert.notEqual(next, owner);
  assert.equal((await blender.open('frames')).ended, undefined);
});

test('openAll opens what a node has a side of, or nothing at all', async (t) => {
  const { worker, monitor } = managersOf(t, 'sysv');
  await assert.rejects(monitor.openAll(), jbusError('JBUS_NO_SEGMENT')); // nobody has made status yet
  assert.equal(await monitor.get('orders'), undefined);
  assert.equal(inspectKey(pairKey(3, 2, NAMESPACE)), undefined);
  assert.equal((await worker.openAll()).length, 2);
  assert.equal((await monitor.openAll()).length, 2);
  assert.deepEqual(
    worker.list('worker').map(({ name }) => name),
    ['frames', 'status'],
  );
  assert.deepEqual(
    monitor.list().map(({ name }) => name),
    ['status', 'orders'],
  );
});

test('closeAll closes the last opened first, and leaves no segment', async (t) => {
  const { worker, blender, monitor } = managersOf(t, 'sysv');
  const order: string[] = [];
  await worker.openAll();
  for (const [manager, name] of [
    [blender, 'frames'],
    [monitor, 'status'],
  ] as const) {
    (await manager.open(name)).onPeerDown(() => order.push(name));
  }
  await worker.closeAll();
  for (const manager of [blender, monitor]) {
    const settings = manager.list('worker').find(({ peer }) => peer === manager.node);
    await assert.rejects((await manager.get(settings!.name))!.readAsync(), jbusError('JBUS_CLOSED'));
  }
  assert.deepEqual(order.toSorted(), ['frames', 'status']);
  await assert.rejects(worker.open('frames'), jbusError('JBUS_CLOSED'));
  for (const [a, b] of [
    [1, 2],
    [1, 3],
  ] as const) {
    assert.equal(inspectKey(pairKey(a, b, NAMESPACE)), undefined);
  }
});

test('a key that a living owner has is not taken from it', async (t) => {
  const config = parseChannelConfig(configOf('sysv'), 'test.yaml');
  const [one, two] = [new ChannelManager(config, 'worker'), new ChannelManager(config, 'worker')];
  t.after(() => Promise.all([one.closeAll(), two.closeAll()]));
  await one.open('status');
  await assert.rejects(two.open('status'), jbusError('JBUS_KEY_IN_USE'));
  await one.close('status');
  await two.open('status');
});

test('a file is loaded by name, and what is wrong with it is told', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'jbus.yaml');
  writeFileSync(file, configOf('auto'));
  assert.equal(ChannelManager.load(file, 'worker').list().length, 2);
  assert.throws(() => ChannelManager.load(file, 'nobody'), jbusError('JBUS_INVALID_ARGUMENT'));
  assert.throws(() => ChannelManager.load(`${file}.not`, 'worker'), jbusError('JBUS_CONFIG_INVALID'));
  writeFileSync(file, 'channels: []');
  assert.throws(() => ChannelManager.load(file, 'worker'), jbusError('JBUS_CONFIG_INVALID'));
  const manager = new ChannelManager(parseChannelConfig(configOf('auto'), 'test.yaml'), 'worker');
  await assert.rejects(manager.open('orders'), jbusError('JBUS_INVALID_ARGUMENT'));
});
