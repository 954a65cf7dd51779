// The records of a main node in the KV: in order, whole, and only those of whoever leads.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Clerk, Election, KvError } from '../../../kv/index.js';
import { type Fence, KvJobStore, type KvJobStoreOptions, type RenderError } from '../../../render/index.js';
import type { StoreRecord } from '../../../render/main/job-store.js';
import { serveCluster, type ServedCluster } from '../../kv/client/support.js';

const FARM = 'farms/attic';
const TTL_MS = 60_000;

interface Leading {
  readonly store: KvJobStore;
  readonly fence: Fence & { release(): Promise<void> };
  readonly failures: RenderError[];
}

/** A main node takes the seat: its store has not loaded yet. */
async function leading(clerk: Clerk, options: KvJobStoreOptions = {}): Promise<Leading> {
  const fence = await new Election(clerk, `${FARM}/main`, { ttlMs: TTL_MS }).campaign('me');
  const failures: RenderError[] = [];
  const store = new KvJobStore(clerk, fence, FARM, (error) => failures.push(error), {
    retryMs: 5,
    ...options,
  });
  return { store, fence, failures };
}

/** As the next one finds it. */
async function loaded(cluster: ServedCluster): Promise<readonly StoreRecord[]> {
  const next = await leading(cluster.clerk());
  const records = await next.store.load();
  await next.store.close();
  await next.fence.release();
  return records;
}

function driver(key: number, name = 'somebody'): StoreRecord {
  return { kind: 'driver', key, serial: key, epoch: 2n ** 60n + BigInt(key), name };
}

async function keysOf(clerk: Clerk): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of clerk.scan({ prefix: `${FARM}/log/` })) keys.push(key.toString());
  return keys;
}

/** So that a member does what the test says with every transaction from now on. */
function onTransactions(cluster: ServedCluster, act: (count: number) => Promise<void>): void {
  let count = 0;
  for (const member of cluster.members)
    member.onExecute = async (next, { command }) => {
      if (command?.txn !== undefined && command.txn.success.some(({ put }) => put !== undefined)) {
        count += 1;
        await act(count);
      }
      return next();
    };
}

async function emptyStore(t: TestContext, options: KvJobStoreOptions = {}) {
  const cluster = await serveCluster(t);
  const clerk = cluster.clerk();
  const main = await leading(clerk, options);
  assert.deepEqual(await main.store.load(), []);
  return { cluster, clerk, ...main };
}

test('records come back in their order, those of several main nodes after each other', async (t) => {
  const { cluster, clerk, store, fence } = await emptyStore(t);
  const first = Array.from({ length: 300 }, (_, key) => driver(key));
  for (const record of first) store.append(record);
  await store.flush();
  assert((await keysOf(clerk)).length < 10, 'many records go in one value');
  await store.close();
  await fence.release();
  const second = await leading(clerk);
  assert.deepEqual(await second.store.load(), first);
  const end: StoreRecord = { kind: 'driver-gone', key: 7 };
  second.store.append(end);
  await second.store.close();
  await second.fence.release();
  assert.deepEqual(await loaded(cluster), [...first, end]);
});

test('a record longer than a value comes back whole, and one that was not written to its end not at all', async (t) => {
  const { cluster, clerk, store, fence, failures } = await emptyStore(t, { valueBytesMax: 100 });
  const long = driver(1, 'ä'.repeat(500));
  store.append(driver(0));
  store.append(long);
  await store.flush();
  assert((await keysOf(clerk)).length > 5);
  // The next long one breaks off: its main node loses the seat between two of its values.
  onTransactions(cluster, async (count) => {
    if (count === 4) await cluster.clerk().delete(fence.key);
  });
  store.append(driver(2, 'b'.repeat(2000)));
  await assert.rejects(store.flush(), { code: 'RENDER_STATE' });
  assert.equal(failures.length, 1);
  await store.close();
  for (const member of cluster.members) member.onExecute = null;
  const next = await leading(clerk);
  assert.deepEqual(await next.store.load(), [driver(0), long]);
  next.store.append(driver(3));
  await next.store.close();
  await next.fence.release();
  assert.deepEqual(await loaded(cluster), [driver(0), long, driver(3)]);
});

test('who has lost the seat writes nothing any more, whatever it thinks', async (t) => {
  const { cluster, clerk, store, fence, failures } = await emptyStore(t);
  store.append(driver(1));
  await store.flush();
  // As if it had been stopped for so long that its lease ran out and another one leads.
  await cluster.clerk().delete(fence.key);
  const next = await leading(cluster.clerk());
  assert.deepEqual(await next.store.load(), [driver(1)]);
  store.append(driver(2));
  await assert.rejects(store.flush(), { code: 'RENDER_STATE', message: /another main node leads/ });
  store.compact([driver(3)]);
  await assert.rejects(store.flush(), { code: 'RENDER_STATE' });
  assert.equal(failures.length, 2);
  await store.close();
  next.store.append(driver(4));
  await next.store.close();
  await next.fence.release();
  assert.deepEqual(await loaded(cluster), [driver(1), driver(4)]);
  assert.equal((await keysOf(clerk)).length, 2);
});

test('a compaction leaves one whole truth, wherever it breaks off', async (t) => {
  const old = [driver(1), driver(2)];
  const anew = Array.from({ length: 8 }, (_, key) => driver(10 + key));
  const truths = new Set<string>();
  for (let breaks = 1; ; breaks += 1) {
    const { cluster, clerk, store, fence, failures } = await emptyStore(t, { valueBytesMax: 200 });
    for (const record of old) store.append(record);
    await store.flush();
    let made = 0;
    onTransactions(cluster, async (count) => {
      made = count;
      if (count === breaks) await cluster.clerk().delete(fence.key);
    });
    store.compact(anew);
    await store.close();
    await fence.release();
    for (const member of cluster.members) member.onExecute = null;
    const records = await loaded(cluster);
    assert.deepEqual(records, records.length === old.length ? old : anew, `after ${breaks} writes`);
    if (failures.length === 0) assert.deepEqual(records, anew, `after ${breaks} of ${made} writes`);
    truths.add(JSON.stringify(records.map((record) => (record.kind === 'driver' ? record.key : -1))));
    const generations = new Set((await keysOf(clerk)).map((key) => key.split('/').at(-2)));
    assert(generations.size <= 1, 'nothing is left of the other generation');
    if (made < breaks) break; // it was done before it could break off
  }
  assert.equal(truths.size, 2);
});

test('what cannot be written now is written later, once', async (t) => {
  const { cluster, clerk, store } = await emptyStore(t);
  let refusals = 0;
  for (const member of cluster.members)
    member.onExecute = async (next) => {
      refusals += 1;
      if (refusals < 4) throw new KvError('KV_NO_LEADER', 'there is no leader');
      const done = await next();
      if (refusals < 6) throw new Error('the answer is lost');
      return done;
    };
  store.append(driver(1));
  await store.flush();
  assert(refusals >= 6);
  assert.equal((await keysOf(clerk)).length, 1);
  for (const member of cluster.members) member.onExecute = null;
  await store.close();
});

test('when more waits than may wait it fails, and goes on by a compaction', async (t) => {
  const { cluster, store, fence, failures } = await emptyStore(t, { pendingBytesMax: 2000 });
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  onTransactions(cluster, () => gate);
  const all = Array.from({ length: 50 }, (_, key) => driver(key));
  for (const record of all) store.append(record);
  await assert.rejects(store.flush(), { code: 'RENDER_IO', message: /is behind/ });
  assert.equal(failures.length, 1);
  assert(store.wantsCompaction);
  open();
  store.compact(all);
  await store.flush();
  assert(!store.wantsCompaction);
  await store.close();
  await fence.release();
  assert.deepEqual(await loaded(cluster), all);
});

test('records of a version that is not known are refused', async (t) => {
  const { cluster, clerk, store, fence } = await emptyStore(t);
  store.append(driver(1));
  await store.flush();
  const [key] = await keysOf(clerk);
  await clerk.put(key!, Buffer.from([99, 0, 123]));
  await store.close();
  await fence.release();
  const next = await leading(cluster.clerk());
  await assert.rejects(next.store.load(), { code: 'RENDER_STATE', message: /of version 99/ });
  await next.store.close();
});
