import assert from 'node:assert/strict';
import { test } from 'node:test';
import { facts, openStore, registration, told, WatchReader } from './support.js';
import { STORES } from './stores.js';

for (const { name, open } of STORES) {
  test(`${name}: a watch that comes back is told what it missed, in the order of revisions`, async (t) => {
    const { store } = await open(t);
    const first = await store.register(registration(1));
    const watch = new WatchReader(t, store);
    const { revision, generation } = await watch.next();
    await watch.stop();
    await store.register(registration(2));
    await store.deregister(first.lease.id, [], null);
    await store.register(registration(3, { instances: [facts(3, { service: 'demo.Other' })] }));
    const back = new WatchReader(t, store, { from: { revision, generation } });
    const update = await back.next();
    assert.equal(told(update), 'put 2, deregistered 1');
    assert(update.revision > revision);
  });

  test(`${name}: a watch that comes back after nothing has changed is told that`, async (t) => {
    const { store } = await open(t);
    await store.register(registration(1));
    const { revision, generation } = await new WatchReader(t, store).next();
    assert.equal(
      told(await new WatchReader(t, store, { from: { revision, generation } }).next()),
      'progress',
    );
  });

  test(`${name}: revisions that are not kept, of the future or of another generation are answered with the whole list`, async (t) => {
    const { store } = await open(t, { historyBatchesMax: 4 });
    await store.register(registration(1));
    const { revision, generation } = await new WatchReader(t, store).next();
    for (let weight = 2; weight < 10; weight += 1)
      await store.register(registration(1, { instances: [facts(1, { weight })] }));
    for (const from of [
      { revision, generation },
      { revision: 1_000_000, generation },
      { revision: store.figures().revision, generation: 'another' },
    ]) {
      assert.equal(
        told(await new WatchReader(t, store, { from }).next()),
        'snapshot 1',
        JSON.stringify(from),
      );
    }
  });

  test(`${name}: a watch that is not read costs nothing and is told the whole list when it is read again`, async (t) => {
    const { store } = await open(t, { historyBatchesMax: 4 });
    await store.register(registration(1));
    const watch = new WatchReader(t, store);
    assert.equal(told(await watch.next()), 'snapshot 1');
    for (let weight = 2; weight < 100; weight += 1)
      await store.register(registration(1, { instances: [facts(1, { weight })] }));
    const update = await watch.next();
    assert(update.kind === 'snapshot');
    assert.equal(update.instances[0]!.weight, 99);
    assert.equal(store.figures().resyncs, 1);
  });

  test(`${name}: a change of another service is not told`, async (t) => {
    const { store, clock } = await open(t);
    const watch = new WatchReader(t, store);
    await watch.next();
    await store.register(registration(1, { instances: [facts(1, { service: 'demo.Other' })] }));
    const next = watch.next();
    await clock.advance(5000);
    assert.equal(told(await next), 'progress');
  });

  test(`${name}: a service that was forgotten and comes back is told as any other`, async (t) => {
    const { store, clock } = await open(t);
    const { lease } = await store.register(registration(1));
    const watch = new WatchReader(t, store, { progressMs: 600_000 });
    assert.equal(told(await watch.next()), 'snapshot 1');
    await store.deregister(lease.id, [], null);
    assert.equal(told(await watch.next()), 'deregistered 1');
    await clock.advance(100_000);
    await store.register(registration(9, { instances: [facts(9, { service: 'demo.Other' })] }));
    await store.register(registration(2));
    assert.equal(told(await watch.next()), 'snapshot 2');
  });

  test(`${name}: watches are bounded, and one that ended makes room`, async (t) => {
    const { store } = await open(t, { limits: { watchersMax: 1 } });
    const watch = new WatchReader(t, store);
    await watch.next();
    await assert.rejects(new WatchReader(t, store).next(), { code: 'RPC_REGISTRY_FULL' });
    await watch.stop();
    await new WatchReader(t, store).next();
    assert.equal(store.figures().watchers, 1);
  });

  test(`${name}: the end of the store ends its watches, and nothing waits for the clock any more`, async (t) => {
    const { store, clock } = await open(t);
    const watch = new WatchReader(t, store);
    await watch.next();
    const ended = assert.rejects(watch.next(), /ended/);
    await store.close();
    await ended;
    assert.equal(clock.waiting, 0);
    assert.equal(store.figures().watchers, 0);
  });
}

test('without changes a watch is told so at its interval, and how long the registry still settles', async (t) => {
  const { store, clock } = openStore(t);
  const watch = new WatchReader(t, store, { progressMs: 20_000 });
  assert.equal((await watch.next()).settlingMs, 30_000);
  for (const settlingMs of [10_000, 0, 0]) {
    const next = watch.next();
    await clock.advance(20_000);
    assert.equal((await next).settlingMs, settlingMs);
  }
});
