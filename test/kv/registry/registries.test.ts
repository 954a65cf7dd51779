import assert from 'node:assert/strict';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Clerk, KvRegistryStore } from '../../../kv/index.js';
import { connectRegistry } from '../../../rpc/index.js';
import { registration, told } from '../../rpc/registry/support.js';
import { Command } from '../../support/command.js';
import { FakeClock } from '../../support/fake-clock.js';
import { serveCluster, type ServedCluster } from '../client/support.js';
import { ProcessCluster } from '../node/support/process-cluster.js';

interface Opened {
  readonly store: KvRegistryStore;
  readonly clerk: Clerk;
  readonly clock: FakeClock;
}

let ids = 0;

async function open(t: TestContext, cluster: ServedCluster): Promise<Opened> {
  const clerk = cluster.clerk({ sessionTtlMs: 86_400_000 });
  const clock = new FakeClock();
  const store = await KvRegistryStore.open({
    clerk,
    clock,
    newId: () => `id-${(ids += 1)}`,
    probe: null,
    onHold: () => {},
    options: {},
  });
  t.after(() => store.close());
  return { store, clerk, clock };
}

async function passTime({ backend }: ServedCluster, all: readonly Opened[], ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    for (const { clerk } of all) await clerk.keepLeasesAlive();
    backend.advance(1000);
    for (const { clock } of all) await clock.advance(1000);
    for (const { store } of all) await store.settled();
  }
}

const portsOf = async (store: KvRegistryStore): Promise<number[]> =>
  (await store.list('demo.Greeter')).instances.map(({ port }) => port).toSorted((a, b) => a - b);

test('registries on one store have one list, and renew, end and replace what was registered with another', async (t) => {
  const cluster = await serveCluster(t);
  const [one, two] = [await open(t, cluster), await open(t, cluster)] as const;
  const first = await one.store.register(registration(1, { epoch: 1 }));
  await two.store.register(registration(2));
  for (const { store } of [one, two]) {
    await store.settled();
    assert.deepEqual(await portsOf(store), [1, 2]);
  }
  assert.equal(one.store.generation, two.store.generation);
  assert.equal((await two.store.heartbeat(first.lease.id, null)).state, 'alive');
  const later = await two.store.register(registration(1, { epoch: 2 }));
  assert.equal((await one.store.heartbeat(first.lease.id, null)).state, 'superseded');
  await assert.rejects(one.store.register(registration(1, { epoch: 1 })), { code: 'RPC_SUPERSEDED' });
  assert.equal((await one.store.deregister(later.lease.id, [], null)).removed, 1);
  await two.store.settled();
  assert.deepEqual(await portsOf(two.store), [2]);
});

test('a watch goes on at another registry behind what it was told', async (t) => {
  const cluster = await serveCluster(t);
  const [one, two] = [await open(t, cluster), await open(t, cluster)] as const;
  const stop = new AbortController();
  t.after(() => stop.abort());
  const options = { from: null, progressMs: 60_000, signal: stop.signal };
  await one.store.register(registration(1));
  const { value: list } = await one.store.watch('demo.Greeter', options).next();
  assert.equal(told(list), 'snapshot 1');
  await one.store.register(registration(2));
  await two.store.settled();
  const from = { revision: list!.revision, generation: list!.generation };
  const { value: missed } = await two.store.watch('demo.Greeter', { ...options, from }).next();
  assert.equal(told(missed), 'put 2');
});

test('registrations of one address at two registries at once leave one, under one lease', async (t) => {
  const cluster = await serveCluster(t);
  const all = [await open(t, cluster), await open(t, cluster)];
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(all.map(({ store }) => store.register(registration(1, { epoch: 1 }))));
    await all[0]!.store.settled();
    assert.deepEqual(await portsOf(all[0]!.store), [1]);
    assert.equal(all[0]!.store.figures().leases, 1);
  }
});

test('one registry takes away what ran out; when it goes, the next one does', async (t) => {
  const cluster = await serveCluster(t);
  const [one, two] = [await open(t, cluster), await open(t, cluster)] as const;
  while (!one.store.isSweeping && !two.store.isSweeping) await nextTurn();
  const [sweeping, other] = one.store.isSweeping ? [one, two] : [two, one];
  await other.store.register(registration(1));
  await passTime(cluster, [one, two], 32_000);
  await other.store.settled();
  assert.deepEqual(await portsOf(other.store), []);
  assert.deepEqual([sweeping.store.figures().expired, other.store.figures().expired], [1, 0]);
  await sweeping.store.close();
  while (!other.store.isSweeping) await nextTurn();
  await other.store.register(registration(2));
  await passTime(cluster, [other], 32_000);
  assert.deepEqual(await portsOf(other.store), []);
});

test('when all registries were away, those that are registered have a whole lease to speak', async (t) => {
  const cluster = await serveCluster(t);
  const before = await open(t, cluster);
  const { lease } = await before.store.register(registration(1));
  await before.store.register(registration(2));
  await before.store.close();
  cluster.backend.advance(600_000);
  const after = await open(t, cluster);
  while (!after.store.isSweeping) await nextTurn();
  assert.deepEqual(await portsOf(after.store), [1, 2]);
  assert.equal(after.store.figures().held, 2);
  await passTime(cluster, [after], 20_000);
  assert.equal((await after.store.heartbeat(lease.id, null)).state, 'alive');
  await passTime(cluster, [after], 20_000);
  assert.deepEqual(await portsOf(after.store), [1]);
});

test('registries as processes on a KV cluster: a server stays listed when its registry is killed', async (t) => {
  const cluster = new ProcessCluster(t);
  await cluster.startAll([1]);
  const serve = async (): Promise<{ command: Command; rpc: string }> => {
    const command = new Command(t, [
      'registry',
      'serve',
      '--listen=127.0.0.1:0',
      `--kv=${cluster.ports.get(1)!.rpc}`,
      '--json',
    ]);
    return { command, rpc: (await command.ready()).listen['rpc']! };
  };
  const [one, two] = await Promise.all([serve(), serve()]);
  const client = connectRegistry([one.rpc, two.rpc].join(','), { registries: 'replicated' });
  t.after(() => client.close());
  const registered = client.register({
    host: '10.0.0.1',
    port: 4711,
    services: [{ service: 'demo.Greeter' }],
  });
  await registered.registered();
  const listed = async (rpc: string): Promise<number> => {
    const single = connectRegistry(rpc);
    try {
      return (await single.discover('demo.Greeter')).length;
    } finally {
      await single.close();
    }
  };
  while ((await listed(two.rpc)) === 0) await pause(20);
  one.command.child.kill('SIGKILL');
  await one.command.exitCode;
  assert.equal(await listed(two.rpc), 1);
  while (Object.values(registered.states).every((state) => state !== 'registered')) await pause(20);
  assert.equal(await registered.deregister(), true);
  assert.equal(await listed(two.rpc), 0);
  assert.equal(await two.command.stop(), 0);
});
