import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorReply, OK } from '../../../kv/machine/reply.js';
import type { Answer } from './support/node-cluster.js';
import { NodeCluster } from './support/node-cluster.js';

const THREE = [1, 2, 3];

test('what any member is asked to write is applied by all of them, and read back from any', async (t) => {
  const cluster = new NodeCluster(t, 1, THREE);
  await cluster.startAll();
  for (const id of THREE) await cluster.run(cluster.node(id), 'SET', `key-${id}`, `value-${id}`);
  await cluster.agree();
  for (const id of THREE) {
    const read = { error: undefined as unknown };
    cluster.node(id).read((error) => (read.error = error));
    await cluster.until('the read', () => read.error !== undefined);
    assert.equal(read.error, null);
    for (const other of THREE)
      assert.equal(cluster.node(id).machine.query(['GET', `key-${other}`]), `value-${other}`);
  }
});

test('requests of one turn are one entry of the log', async (t) => {
  const cluster = new NodeCluster(t, 2, THREE);
  await cluster.startAll();
  await cluster.agree();
  const leader = cluster.leader()!;
  const before = leader.status().lastIndex;
  const results = Array.from({ length: 50 }, (_, at) => cluster.submit(leader, [['SET', `k${at}`, 'v']]));
  await cluster.until('all answers', () => results.every(({ answer }) => answer !== null));
  assert.equal(leader.status().lastIndex, before + 1);
  assert.ok(results.every(({ answer }) => answer!.error === null && answer!.replies!.length === 1));
});

test('requests that come while an entry is on its way are one entry, which does not wait for long', async (t) => {
  const cluster = new NodeCluster(t, 3, THREE);
  await cluster.startAll();
  await cluster.agree();
  const leader = cluster.leader()!;
  // Nobody answers the leader, so that what it proposes stays under way.
  cluster.network.isolate(
    [leader.id],
    THREE.filter((id) => id !== leader.id),
  );
  const before = leader.status().lastIndex;
  cluster.submit(leader, [['SET', 'first', 'v']]);
  await cluster.clock.advance(0);
  assert.equal(leader.status().lastIndex, before + 1, 'nothing is under way: it goes at once');
  for (let at = 0; at < 4; at += 1) {
    cluster.submit(leader, [['SET', `k${at}`, 'v']]);
    await cluster.clock.advance(1);
  }
  assert.equal(leader.status().lastIndex, before + 1, 'they collect');
  await cluster.clock.advance(1);
  assert.equal(leader.status().lastIndex, before + 2, 'and go together, although the first is not back');
  cluster.submit(leader, [['SET', 'big', 'v'.repeat(70_000)]]);
  await cluster.clock.advance(0);
  assert.equal(leader.status().lastIndex, before + 3, 'what is worth its own way waits for nothing');
});

for (const seed of [11, 12, 13, 14]) {
  test(`the leader dies under load: every request of the others is executed exactly once (seed ${seed})`, async (t) => {
    const cluster = new NodeCluster(t, seed, THREE, { leaderWaitMs: 10_000 });
    await cluster.startAll();
    await cluster.agree();
    const dying = cluster.leader()!;
    const results: { answer: Answer | null }[] = [];
    const askAll = (): void => {
      for (const node of cluster.followers())
        results.push(cluster.submit(node, [['SET', `k${results.length}`, 'v']]));
    };
    const before = cluster.followers()[0]!.machine.revision;
    for (let round = 0; round < 20; round += 1) {
      askAll();
      await cluster.clock.advance(1);
    }
    await cluster.crash(dying.id);
    for (let round = 0; round < 20; round += 1) {
      askAll();
      await cluster.clock.advance(7);
    }
    await cluster.until('all answers', () => results.every(({ answer }) => answer !== null));
    assert.deepEqual(
      results.filter(({ answer }) => answer!.error !== null).map(({ answer }) => answer!.error!.code),
      [],
    );
    await cluster.start(dying.id);
    await cluster.agree();
    assert.equal(cluster.leader()!.machine.revision - before, results.length, 'each changed the state once');
  });
}

test('messages get lost, one in five: requests are answered all the same, each executed once', async (t) => {
  const cluster = new NodeCluster(t, 21, THREE);
  await cluster.startAll();
  await cluster.agree();
  const before = cluster.leader()!.machine.revision;
  cluster.network.lossShare = 0.2;
  const results: { answer: Answer | null }[] = [];
  for (let round = 0; round < 100; round += 1) {
    for (const id of THREE)
      results.push(cluster.submit(cluster.node(id), [['SET', `k${results.length}`, 'v']], 60_000));
    await cluster.clock.advance(10);
  }
  await cluster.until('all answers', () => results.every(({ answer }) => answer !== null), 60_000);
  cluster.network.lossShare = 0;
  assert.ok(results.every(({ answer }) => answer!.error === null));
  await cluster.agree();
  assert.equal(cluster.leader()!.machine.revision - before, results.length);
});

test('without a majority a request ends with no leader, or with an outcome that nobody knows, and never with an answer', async (t) => {
  const cluster = new NodeCluster(t, 31, THREE);
  await cluster.startAll();
  await cluster.agree();
  const leader = cluster.leader()!;
  cluster.network.isolate(
    [leader.id],
    THREE.filter((id) => id !== leader.id),
  );
  const proposed = cluster.submit(leader, [['SET', 'lost', 'v']], 5000);
  await cluster.until('it to step down', () => !leader.isLeader);
  const later = cluster.submit(leader, [['SET', 'later', 'v']], 5000);
  await cluster.until('both ends', () => proposed.answer !== null && later.answer !== null);
  assert.equal(proposed.answer!.error!.code, 'KV_OUTCOME_UNKNOWN');
  assert.equal(later.answer!.error!.code, 'KV_NO_LEADER');
  const other = cluster.node(THREE.find((id) => id !== leader.id)!);
  await cluster.run(other, 'SET', 'there', 'v');
  cluster.network.heal();
  await cluster.agree();
  assert.equal(leader.machine.query(['GET', 'later']), null);
  assert.equal(leader.machine.query(['GET', 'there']), 'v');
});

test('a member that was away gets a snapshot when the log behind it is gone, and goes on from it after a crash', async (t) => {
  const cluster = new NodeCluster(t, 41, THREE, { snapshotEntries: 20, trailingEntries: 5 });
  await cluster.startAll();
  await cluster.agree();
  const [away] = cluster.followers();
  await cluster.crash(away!.id);
  for (let at = 0; at < 100; at += 1) await cluster.run(cluster.leader()!, 'SET', `k${at % 30}`, `v${at}`);
  const back = await cluster.start(away!.id);
  await cluster.agree();
  assert.equal(back.figures().snapshotsInstalled, 1);
  assert.equal(back.machine.query(['GET', 'k9']), 'v99');
  await cluster.crash(back.id);
  const again = await cluster.start(back.id);
  await cluster.agree();
  assert.equal(again.figures().snapshotsInstalled, 0, 'it had it on its disk');
});

test('all members lose power at once, again and again: what was answered is there afterwards', async (t) => {
  const cluster = new NodeCluster(t, 51, THREE, { snapshotEntries: 15, trailingEntries: 3 });
  await cluster.startAll();
  const written = new Map<string, string>();
  for (let round = 0; round < 6; round += 1) {
    for (let at = 0; at < 12; at += 1) {
      const [key, value] = [`k${at}`, `v${round}-${at}`];
      await cluster.run(cluster.node(1 + (at % 3)), 'SET', key, value);
      written.set(key, value);
    }
    for (const id of THREE) await cluster.crash(id);
    await cluster.startAll();
    await cluster.agree();
    for (const [key, value] of written) assert.equal(cluster.node(1).machine.query(['GET', key]), value);
  }
});

test('a member joins as a learner and votes once it has caught up; a removed one is told and never comes back', async (t) => {
  const cluster = new NodeCluster(t, 61, THREE);
  await cluster.startAll();
  for (let at = 0; at < 30; at += 1) await cluster.run(cluster.node(1), 'SET', `k${at}`, 'v');
  const fourth = await cluster.start(4);
  const added = { error: undefined as unknown };
  cluster
    .leader()!
    .addMember({ id: 4, rpc: 'member-4:1', resp: '' }, false, (error) => (added.error = error));
  await cluster.until('it to be taken in', () => added.error !== undefined);
  assert.equal(added.error, null);
  await cluster.until('its vote', () => cluster.leader()?.status().voters.includes(4) === true);
  await cluster.run(fourth, 'SET', 'from-4', 'v');
  await cluster.agree();

  const gone = cluster.leader()!;
  const removed = { error: undefined as unknown };
  gone.removeMember(gone.id, (error) => (removed.error = error));
  await cluster.until('the removal', () => removed.error !== undefined);
  assert.equal(removed.error, null);
  await cluster.until('the event', () => cluster.events.get(gone.id)!.some(({ kind }) => kind === 'removed'));
  cluster.network.detach(gone.id);
  cluster.nodes.delete(gone.id);
  await gone.close();
  await cluster.until('another leader', () => cluster.leader() !== null);
  await cluster.run(fourth, 'SET', 'after', 'v');
  await cluster.agree();
  assert.ok(!fourth.status().voters.includes(gone.id));
});

test('a member that was away while the others left, one after another, answers a leader it never heard of', async (t) => {
  const cluster = new NodeCluster(t, 67, THREE);
  await cluster.startAll();
  const away = cluster.followers()[0]!;
  const left = THREE.filter((id) => id !== away.id);
  const joining = [4, 5];
  cluster.network.isolate([away.id], [...left, ...joining]);
  for (const [at, id] of left.entries()) {
    const next = joining[at]!;
    await cluster.start(next);
    await cluster.change((leader, done) =>
      leader.addMember({ id: next, rpc: `member-${next}:1`, resp: '' }, false, done),
    );
    await cluster.until('its vote', () => cluster.leader()!.status().voters.includes(next));
    await cluster.change((leader, done) => leader.removeMember(id, done));
    await cluster.leave(id);
  }
  cluster.network.heal();
  await cluster.until('all that it missed', () => away.status().voters.join() === [away.id, 4, 5].join());
  await cluster.run(away, 'SET', 'back', 'v');
  await cluster.agree();
});

test('a leader hands over within a few rounds, and nobody gets an error', async (t) => {
  const cluster = new NodeCluster(t, 71, THREE);
  await cluster.startAll();
  await cluster.agree();
  const results: { answer: Answer | null }[] = [];
  for (let round = 0; round < 10; round += 1) {
    const leader = cluster.leader()!;
    const ended = { error: undefined as unknown };
    cluster.node(THREE.find((id) => id !== leader.id)!).transfer(null, (error) => {
      assert.equal(error?.code, 'KV_NOT_LEADER');
    });
    leader.transfer(null, (error) => (ended.error = error));
    for (const id of THREE)
      results.push(cluster.submit(cluster.node(id), [['SET', `k${results.length}`, 'v']]));
    await cluster.until('the transfer', () => ended.error !== undefined && cluster.leader() !== null);
    assert.equal(ended.error, null);
    assert.notEqual(cluster.leader()!.id, leader.id);
  }
  await cluster.until('all answers', () => results.every(({ answer }) => answer !== null));
  assert.ok(results.every(({ answer }) => answer!.error === null));
});

test('a failed fdatasync is the end of a member; the others go on', async (t) => {
  const cluster = new NodeCluster(t, 81, THREE);
  await cluster.startAll();
  await cluster.agree();
  const leader = cluster.leader()!;
  cluster.disks.get(leader.id)!.fault = (kind) =>
    kind === 'dataSync' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null;
  const asked = cluster.submit(leader, [['SET', 'k', 'v']]);
  await cluster.until('its end', () => cluster.events.get(leader.id)!.length > 0);
  assert.equal(cluster.events.get(leader.id)![0]!.kind, 'failed');
  assert.equal(asked.answer!.error!.code, 'KV_OUTCOME_UNKNOWN');
  cluster.network.detach(leader.id);
  cluster.nodes.delete(leader.id);
  await leader.close();
  await cluster.until('another leader', () => cluster.leader() !== null);
  await cluster.run(cluster.leader()!, 'SET', 'k', 'w');
});

test('a full disk holds a member back until there is space again, and loses nothing', async (t) => {
  const cluster = new NodeCluster(t, 91, THREE);
  await cluster.startAll();
  await cluster.agree();
  const [follower] = cluster.followers();
  const disk = cluster.disks.get(follower!.id)!;
  disk.capacityBytes = 4 * 65_536;
  for (let at = 0; at < 60; at += 1) await cluster.run(cluster.leader()!, 'SET', `k${at}`, 'x'.repeat(4000));
  assert.equal(follower!.notReady, 'its disk is full');
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await cluster.agree();
  assert.equal(follower!.notReady, null);
});

test('when disks run out of space what grows is refused and deletions go on, until there is space again', async (t) => {
  const cluster = new NodeCluster(t, 95, THREE);
  await cluster.startAll();
  await cluster.run(cluster.leader()!, 'SET', 'old', 'x'.repeat(1000));
  for (const disk of cluster.disks.values()) disk.capacityBytes = 2 * 65_536;
  const outcomes: unknown[] = [];
  for (let at = 0; at < 25 && !(outcomes.at(-1) instanceof ErrorReply); at += 1) {
    outcomes.push(await cluster.run(cluster.leader()!, 'SET', `k${at}`, 'x'.repeat(4000)));
    await cluster.clock.advance(200);
  }
  assert.match((outcomes.at(-1) as ErrorReply).text, /^OOM/);
  assert.equal(await cluster.run(cluster.leader()!, 'DEL', 'old'), 1);
  assert.equal(cluster.leader()!.machine.alarm, 'disk');
  for (const disk of cluster.disks.values()) disk.capacityBytes = Number.POSITIVE_INFINITY;
  await cluster.until('the end of the alarm', () => cluster.leader()?.machine.alarm === null);
  assert.equal(await cluster.run(cluster.leader()!, 'SET', 'new', 'v'), OK);
  await cluster.agree();
});
