import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError, type KvEvent, op, type ClerkWatch } from '../../../kv/index.js';
import { LocalBackend } from '../support/local-backend.js';
import { serveCluster, serveMember } from './support.js';

const shown = ({ kind, revision, pair }: KvEvent): string =>
  `${revision} ${kind} ${pair.keyText}=${pair.text}`;

async function take(watch: ClerkWatch, count: number): Promise<string[]> {
  const events: string[] = [];
  for await (const event of watch) {
    events.push(shown(event));
    if (events.length === count) break;
  }
  return events;
}

test('a watch tells what happens to a prefix from the revision that was read on', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  await clerk.put('a/1', 'x');
  const { revision } = await clerk.range({ prefix: 'a/' });
  await clerk.put('a/2', 'y');
  await clerk.put('b/1', 'no');
  await clerk.delete('a/1');
  assert.deepEqual(await take(clerk.watch({ prefix: 'a/' }, { from: revision + 1 }), 2), [
    '2 put a/2=y',
    '4 delete a/1=',
  ]);
});

test('without a revision it tells what comes after it is ready', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  await clerk.put('a', '1');
  const watch = await clerk.watch({ key: 'a' }).ready();
  await clerk.put('a', '2');
  assert.deepEqual(await take(watch, 1), ['2 put a=2']);
  assert.equal(watch.revision, 2);
});

test('what one command changed comes in one batch', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  await clerk.txn().do(op.put('a', '1'), op.put('b', '1'), op.put('c', '1')).commit();
  for await (const { revision, events } of clerk.watch('all', { from: 1 }).batches()) {
    assert.deepEqual([revision, events.length], [1, 3]);
    break;
  }
});

test('a watch goes on at another member behind the last revision it told, each event once', async (t) => {
  const cluster = await serveCluster(t, 3);
  const clerk = cluster.clerk();
  const watch = await clerk.watch('all', { from: 1 }).ready();
  const events: string[] = [];
  const reading = (async () => {
    for await (const { pair } of watch) {
      events.push(pair.text);
      if (pair.text === '59') break;
    }
  })();
  for (let index = 0; index < 60; index += 1) {
    await clerk.put(`k${index % 7}`, String(index));
    // The last one stays.
    if (index % 20 === 10 && index < 40) await cluster.members[Math.floor(index / 20)]!.stop();
  }
  await reading;
  assert.deepEqual(
    events,
    Array.from({ length: 60 }, (_, index) => String(index)),
  );
});

test('what is not remembered any more ends a watch with KV_COMPACTED and the least revision there is', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const value = Buffer.alloc(1_000_000);
  for (let index = 0; index < 40; index += 1) await clerk.put('a', value);
  await assert.rejects(take(clerk.watch({ key: 'a' }, { from: 1 }), 1), (error) => {
    assert(error instanceof KvError);
    assert.equal(error.code, 'KV_COMPACTED');
    return /revision \d+ is the least/.test(error.message);
  });
});

test('a watch whose member forgot goes on at one that remembers', async (t) => {
  const cluster = await serveCluster(t);
  const forgetful = await serveMember(new LocalBackend());
  t.after(() => forgetful.stop());
  // As a member that was just restarted from a snapshot: it refuses everything that was before.
  const clerk = cluster.clerk();
  await clerk.put('a', '1');
  await clerk.put('a', '2');
  const both = cluster.clerk({
    endpoints: [forgetful.address, cluster.members[0]!.address],
    followsUnlisted: false,
  });
  forgetful.onWatch = async function* () {
    yield { watchId: 1n, kind: 4, revision: 9n, error: { code: 'KV_COMPACTED', message: 'forgotten' } };
  };
  for (let round = 0; round < 4; round += 1)
    assert.deepEqual(await take(both.watch({ key: 'a' }, { from: 1 }), 2), ['1 put a=1', '2 put a=2']);
});

test('a watch ends without an error when it is closed, its signal aborts or the clerk closes', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const abort = new AbortController();
  const watches = await Promise.all([
    clerk.watch('all').ready(),
    clerk.watch('all', { signal: abort.signal }).ready(),
    clerk.watch('all').ready(),
  ]);
  const ends = watches.map((watch) => take(watch, 1));
  watches[0].close();
  assert.deepEqual(await ends[0], []);
  abort.abort();
  assert.deepEqual(await ends[1], []);
  await clerk.close();
  assert.deepEqual(await ends[2], []);
});

test('a member that says nothing is left', async (t) => {
  const cluster = await serveCluster(t, 2);
  const clerk = cluster.clerk();
  await clerk.put('a', '1');
  let silent = 0;
  const ended = new Promise<void>((resolve) => t.after(() => resolve()));
  for (const member of cluster.members) {
    member.onWatch = async function* (next) {
      for await (const message of next()) {
        yield message;
        silent += 1;
        if (silent === 1) await ended;
      }
    };
  }
  const watch = await clerk.watch({ key: 'a' }, { progressMs: 100 }).ready();
  await clerk.put('a', '2');
  assert.deepEqual(await take(watch, 1), ['2 put a=2']);
});
