import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeCluster } from './support/node-cluster.js';

test('a leader tells how far each member is, a snapshot its place and size, and the log where it begins', async (t) => {
  const cluster = new NodeCluster(t, 5, [1, 2, 3], { trailingEntries: 2 });
  await cluster.startAll();
  for (let at = 0; at < 10; at += 1) await cluster.run(cluster.node(1), 'SET', `k${at}`, 'v'.repeat(100));
  const leader = cluster.leader()!;
  await cluster.until('all to have all', () =>
    leader.status().matches.every(({ index }) => index === leader.status().lastIndex),
  );
  const ids = leader.status().matches.map(({ id }) => id);
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    [1, 2, 3],
  );
  for (const follower of cluster.followers()) assert.deepEqual(follower.status().matches, []);
  assert.equal(leader.status().firstIndex, 1);
  const taking = leader.snapshotNow();
  let taken: Awaited<typeof taking> | null = null;
  void taking.then((snapshot) => {
    taken = snapshot;
  });
  await cluster.until('a snapshot', () => taken !== null);
  const { appliedIndex, term, snapshotIndex, firstIndex } = leader.status();
  const { index, bytes, ...rest } = await taking;
  assert.deepEqual(rest, { term });
  assert.equal(index, appliedIndex);
  assert.equal(index, snapshotIndex);
  assert(bytes > 1000, `${bytes} bytes`);
  assert.equal(firstIndex, index - 2 + 1);
});
