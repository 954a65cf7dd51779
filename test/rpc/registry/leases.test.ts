import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegistryStore } from '../../../rpc/registry/store.js';
import type { RpcError } from '../../../rpc/errors.js';
import { facts, openStore, registration, told, WatchReader } from './support.js';
import { STORES } from './stores.js';

async function portsOf(store: RegistryStore, service = 'demo.Greeter'): Promise<number[]> {
  return (await store.list(service)).instances.map(({ port }) => port).toSorted((a, b) => a - b);
}

for (const { name, open } of STORES) {
  test(`${name}: a lease whose instance stays silent ends after 30 s, and its watch is told so`, async (t) => {
    const { store, clock } = await open(t);
    const watch = new WatchReader(t, store, { progressMs: 600_000 });
    assert.equal(told(await watch.next()), 'snapshot');
    await store.register(registration(1));
    assert.equal(told(await watch.next()), 'put 1');
    await clock.advance(29_000);
    assert.deepEqual(await portsOf(store), [1]);
    await clock.advance(2_000);
    assert.equal(told(await watch.next()), 'expired 1');
    assert.deepEqual(await portsOf(store), []);
  });

  test(`${name}: a heartbeat every 5 s keeps it, and says when the lease is gone`, async (t) => {
    const { store, clock } = await open(t);
    const { lease } = await store.register(registration(1));
    for (let beat = 0; beat < 20; beat += 1) {
      await clock.advance(5000);
      assert.equal((await store.heartbeat(lease.id, null)).state, 'alive');
    }
    await clock.advance(32_000);
    assert.equal((await store.heartbeat(lease.id, null)).state, 'unknown');
  });

  test(`${name}: the end of the session shortens the lease where the registry is set to that, and a heartbeat restores it`, async (t) => {
    const { store, clock } = await open(t, { lostSessionMs: 10_000 });
    const { lease } = await store.register(registration(1));
    await store.openSession(lease.id);
    await store.openSession(lease.id); // the client reconnects before the old session's end is noticed
    await store.closeSession(lease.id);
    await clock.advance(12_000);
    assert.deepEqual(await portsOf(store), [1], 'one session is left');
    await store.closeSession(lease.id);
    await clock.advance(8_000);
    await store.heartbeat(lease.id, null);
    await clock.advance(20_000);
    assert.deepEqual(await portsOf(store), [1]);
    await store.openSession(lease.id);
    await store.closeSession(lease.id);
    await clock.advance(11_000);
    assert.deepEqual(await portsOf(store), []);
  });

  test(`${name}: where sessions count, a process that dies between registering and its session is gone as soon`, async (t) => {
    const { store, clock } = await open(t, { lostSessionMs: 3000 });
    const { lease } = await store.register(registration(1));
    await clock.advance(5000);
    assert.deepEqual(await portsOf(store), []);
    const second = await store.register(registration(1, { epoch: 2 }));
    await store.heartbeat(second.lease.id, null);
    await store.openSession(second.lease.id);
    await store.register(registration(1, { epoch: 2, leaseId: second.lease.id }));
    await clock.advance(25_000);
    assert.deepEqual(await portsOf(store), [1]);
    assert.notEqual(lease.id, second.lease.id);
  });

  test(`${name}: registering twice refreshes: the same changes nothing, what is not mentioned any more goes`, async (t) => {
    const { store } = await open(t);
    const both = [facts(1), facts(1, { service: 'demo.Other' })];
    const first = await store.register(registration(1, { instances: both }));
    const again = await store.register(registration(1, { instances: both, leaseId: first.lease.id }));
    assert.equal(again.lease.id, first.lease.id);
    assert.equal(again.revision, first.revision);
    await store.register(registration(1, { instances: [facts(1, { weight: 5 })], leaseId: first.lease.id }));
    assert.deepEqual(await portsOf(store, 'demo.Other'), []);
    assert.equal((await store.list('demo.Greeter')).instances[0]!.weight, 5);
  });

  test(`${name}: a registration whose answer was lost is not doubled: the same life takes its address over`, async (t) => {
    const { store, clock } = await open(t);
    const watch = new WatchReader(t, store, { progressMs: 600_000 });
    const lost = await store.register(registration(1));
    const second = await store.register(registration(1));
    assert.equal(told(await watch.next()), 'snapshot 1');
    assert.deepEqual(await portsOf(store), [1]);
    assert.equal((await store.heartbeat(lost.lease.id, null)).state, 'unknown');
    await clock.advance(20_000);
    await store.heartbeat(second.lease.id, null);
    await clock.advance(20_000);
    assert.deepEqual(await portsOf(store), [1]);
    assert.equal(store.figures().leases, 1);
  });

  test(`${name}: a restarted instance replaces its earlier life, whose heartbeats and registrations are refused`, async (t) => {
    const { store } = await open(t);
    const watch = new WatchReader(t, store);
    const old = await store.register(registration(1, { epoch: 5 }));
    assert.equal(told(await watch.next()), 'snapshot 1');
    await store.register(registration(1, { epoch: 6 }));
    assert.equal(told(await watch.next()), 'deregistered 1, put 1');
    assert.equal((await store.heartbeat(old.lease.id, null)).state, 'superseded');
    await assert.rejects(store.register(registration(1, { epoch: 5 })), (error: RpcError) => {
      assert.equal(error.code, 'RPC_SUPERSEDED');
      assert.equal(error.trailers?.text('registry-epoch'), '6');
      return true;
    });
    await store.deregister(old.lease.id, [], null);
    assert.deepEqual(await portsOf(store), [1], 'the earlier life cannot take the later one away');
  });

  test(`${name}: two lives of an address have different ids`, async (t) => {
    const { store } = await open(t);
    await store.register(registration(1, { epoch: 5 }));
    const [first] = (await store.list('demo.Greeter')).instances;
    await store.register(registration(1, { epoch: 6 }));
    const [second] = (await store.list('demo.Greeter')).instances;
    assert.equal(first!.id, '10.0.0.1:1@5');
    assert.notEqual(first!.id, second!.id);
  });

  test(`${name}: deregistering takes one service or the whole lease, and twice is no error`, async (t) => {
    const { store } = await open(t);
    const instances = [facts(1), facts(1, { service: 'demo.Other' })];
    const { lease } = await store.register(registration(1, { instances }));
    assert.equal((await store.deregister(lease.id, ['demo.Other'], null)).removed, 1);
    assert.deepEqual(await portsOf(store), [1]);
    assert.equal((await store.deregister(lease.id, [], null)).removed, 1);
    assert.equal((await store.deregister(lease.id, [], null)).removed, 0);
    assert.equal((await store.heartbeat(lease.id, null)).state, 'unknown');
  });

  test(`${name}: a service without instances is forgotten a minute later, not at once`, async (t) => {
    const { store, clock } = await open(t);
    const { lease } = await store.register(registration(1));
    await store.deregister(lease.id, [], null);
    await clock.advance(50_000);
    assert.deepEqual((await store.services()).services, [{ name: 'demo.Greeter', instances: 0, held: 0 }]);
    await clock.advance(15_000);
    assert.deepEqual((await store.services()).services, []);
  });

  test(`${name}: another token's lease can be neither renewed nor ended nor refreshed`, async (t) => {
    const { store } = await open(t);
    const { lease } = await store.register(registration(1, { owner: 'render' }));
    const denied = { code: 'RPC_PERMISSION_DENIED' };
    await assert.rejects(store.heartbeat(lease.id, 'other'), denied);
    await assert.rejects(store.deregister(lease.id, [], null), denied);
    await assert.rejects(store.register(registration(1, { leaseId: lease.id, owner: 'other' })), denied);
  });

  test(`${name}: every limit refuses with a code and leaves things as they are`, async (t) => {
    const limits = { servicesMax: 2, instancesPerServiceMax: 2, instancesMax: 3 };
    const { store } = await open(t, { limits });
    await store.register(registration(1));
    await store.register(registration(2));
    const full = { code: 'RPC_REGISTRY_FULL' };
    await assert.rejects(store.register(registration(3)), { ...full, message: /may have 2/ });
    const services = ['a', 'b'].map((service) => facts(9, { service }));
    await assert.rejects(store.register(registration(9, { instances: services })), full);
    await store.register(registration(9, { instances: [facts(9, { service: 'a' })] }));
    await assert.rejects(store.register(registration(8, { instances: [facts(8, { service: 'a' })] })), {
      ...full,
      message: /takes 3 at most/,
    });
    assert.equal(store.figures().instances, 3);
    await store.register(registration(1, { epoch: 2 })); // replaces, needs no room
  });
}

test('a registry that was stopped for a while lets nobody expire for what it could not hear', async (t) => {
  const { store, clock } = openStore(t);
  for (let port = 1; port <= 10; port += 1) await store.register(registration(port));
  await clock.jump(3_600_000);
  await clock.advance(25_000);
  assert.equal(store.figures().instances, 10);
  await clock.advance(10_000);
  assert(store.figures().expired > 0);
});
