import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProbeVerdict } from '../../../rpc/registry/probe.js';
import { registration, facts } from './support.js';
import { STORES } from './stores.js';

for (const { name, open } of STORES) {
  test(`${name}: when everybody falls silent at once, half of a service stays listed`, async (t) => {
    const { store, clock, held } = await open(t);
    for (let port = 1; port <= 10; port += 1) await store.register(registration(port));
    await clock.advance(40_000);
    assert.equal((await store.list('demo.Greeter')).instances.length, 5);
    await clock.advance(600_000);
    const { instances } = await store.list('demo.Greeter');
    assert.equal(instances.length, 5, 'and goes on doing so');
    assert(instances.every(({ isHeld }) => isHeld));
    assert.equal(held.length, 5);
  });

  test(`${name}: a held instance that speaks again is as any other`, async (t) => {
    const { store, clock, held } = await open(t);
    for (let port = 1; port <= 4; port += 1) await store.register(registration(port));
    await clock.advance(40_000);
    for (const leaseId of held) assert.equal((await store.heartbeat(leaseId, null)).state, 'alive');
    assert.equal(store.figures().held, 0);
    await clock.advance(20_000);
    assert.equal((await store.list('demo.Greeter')).instances.length, held.length);
  });

  test(`${name}: the only instance of a service may expire, and one of two; the second within a minute may not`, async (t) => {
    const { store, clock } = await open(t);
    await store.register(registration(1, { instances: [facts(1, { service: 'alone' })] }));
    await store.register(registration(2));
    await store.register(registration(3));
    await clock.advance(40_000);
    assert.equal((await store.list('alone')).instances.length, 0);
    assert.equal((await store.list('demo.Greeter')).instances.length, 1);
  });

  test(`${name}: instances that go one by one, a window apart, all go`, async (t) => {
    const { store, clock } = await open(t);
    for (let port = 1; port <= 4; port += 1) {
      await store.register(registration(port, { ttlMs: port * 70_000 }));
    }
    await clock.advance(4 * 70_000 + 2000);
    assert.equal((await store.list('demo.Greeter')).instances.length, 0);
  });

  test(`${name}: many services of one instance each are not all lost either`, async (t) => {
    const { store, clock } = await open(t);
    for (let port = 1; port <= 40; port += 1) {
      await store.register(registration(port, { instances: [facts(port, { service: `s${port}` })] }));
    }
    await clock.advance(40_000);
    assert.equal(store.figures().instances, 20);
  });

  test(`${name}: an operator confirms that a service is gone`, async (t) => {
    const { store, clock } = await open(t);
    for (let port = 1; port <= 4; port += 1) await store.register(registration(port));
    await clock.advance(40_000);
    assert.equal((await store.confirmExpiry('demo.Other')).expired, 0);
    assert.equal((await store.confirmExpiry('demo.Greeter')).expired, 2);
    assert.equal(store.figures().instances, 0);
  });

  test(`${name}: a machine that refuses its port confirms it too; one that answers or says nothing does not`, async (t) => {
    const verdicts = new Map<number, ProbeVerdict>([
      [1, 'refused'],
      [2, 'refused'],
      [3, 'refused'],
      [4, 'listening'],
      [5, 'unknown'],
      [6, 'refused'],
    ]);
    const asked: number[] = [];
    const probe = async ({ port }: { port: number }): Promise<ProbeVerdict> => {
      asked.push(port);
      return verdicts.get(port)!;
    };
    const { store, clock } = await open(t, {}, { probe });
    for (let port = 1; port <= 6; port += 1) await store.register(registration(port));
    await clock.advance(35_000);
    const { instances } = await store.list('demo.Greeter');
    assert.deepEqual(
      instances.map(({ port }) => port),
      [4, 5],
    );
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      [4, 5, 6],
      'only those that were held',
    );
    await clock.advance(20_000);
    assert.equal(asked.length, 7, 'and those that are still held again every 10 s');
  });

  test(`${name}: what is held does not stay for ever`, async (t) => {
    const { store, clock } = await open(t, { heldMsMax: 600_000 });
    for (let port = 1; port <= 4; port += 1) await store.register(registration(port));
    await clock.advance(640_000);
    assert.equal(store.figures().instances, 0);
  });
}
