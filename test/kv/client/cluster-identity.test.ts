import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { type Clerk, type ClerkOptions, KvError } from '../../../kv/index.js';
import { KvClient } from '../../../kv/proto/kv.js';
import { CLUSTER_METADATA } from '../../../kv/service/cluster-check.js';
import { failureOf } from '../../../kv/service/failures.js';
import { Metadata, RpcClient, RpcError } from '../../../rpc/index.js';
import { LocalBackend } from '../support/local-backend.js';
import { bytes } from '../machine/native-harness.js';
import { runKv } from './cli.js';
import { serveCluster, type ServedCluster, type ServedMember, serveMember } from './support.js';

const OURS = 17;
const THEIRS = 99;

async function failureCode(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (failed: unknown) => failed,
  );
  assert(error instanceof KvError, String(error));
  return error.code;
}

function ourCluster(t: TestContext, count = 2): Promise<ServedCluster> {
  return serveCluster(t, count, new LocalBackend({ clusterId: OURS }));
}

/** A member of another cluster takes the port of `member`, which ends; `clerk` has heard of it. */
async function replaced(
  t: TestContext,
  member: ServedMember,
  clerk: Clerk | null = null,
): Promise<LocalBackend> {
  const foreign = new LocalBackend({ clusterId: THEIRS });
  await member.stop();
  const other = await serveMember(foreign, Number(member.address.split(':')[1]));
  t.after(() => other.stop());
  if (clerk !== null)
    assert.equal(await failureCode(clerk.admin.status(member.address)), 'KV_CLUSTER_FOREIGN');
  return foreign;
}

/** A clerk that has learned the cluster's id from the first member, and to which only that one is known to lead. */
async function knowing(cluster: ServedCluster, options: Partial<ClerkOptions> = {}): Promise<Clerk> {
  const clerk = cluster.clerk(options);
  await clerk.put('k', 'ours');
  assert.equal(clerk.clusterId, String(OURS));
  return clerk;
}

test('a member refuses calls that are meant for another cluster, and serves those that name none', async (t) => {
  const { members, backend } = await ourCluster(t, 1);
  const rpc = new RpcClient({ target: members[0]!.address });
  t.after(() => rpc.close(0));
  const client = new KvClient(rpc);
  const write = (metadata: Metadata) =>
    client.execute({ command: { put: { key: bytes('k'), value: bytes('v') } } }, { metadata });
  const meant = (clusterId: number) => Metadata.from({ [CLUSTER_METADATA]: String(clusterId) });
  const isForeign = (error: unknown): boolean => {
    assert(error instanceof RpcError, String(error));
    assert.equal(failureOf(error)?.code, 'KV_CLUSTER_FOREIGN');
    assert.equal(failureOf(error)?.leader.id, 0);
    assert.equal(error.executed, 'no');
    return true;
  };
  await assert.rejects(write(meant(THEIRS)), isForeign);
  assert.equal(backend.machine.keyspace.size, 0);
  await assert.rejects(client.status({}, { metadata: meant(THEIRS) }), isForeign);
  for (const stream of [
    client.watch([{ create: { watchId: 1n, key: bytes('k') } }], { metadata: meant(THEIRS) }),
    client.backup({}, { metadata: meant(THEIRS) }),
  ])
    await assert.rejects(stream[Symbol.asyncIterator]().next(), isForeign);
  await write(meant(OURS));
  await write(new Metadata());
  assert.equal(backend.machine.revision, 2);
});

test('a clerk whose member was replaced by one of another cluster is answered by its own', async (t) => {
  const cluster = await ourCluster(t);
  const clerk = await knowing(cluster);
  const foreign = await replaced(t, cluster.members[0]!);
  for (let round = 0; round < 10; round += 1) {
    await clerk.put(`k/${round}`, 'mine');
    assert.equal((await clerk.get('k', { level: 'stale' }))?.text, 'ours');
    assert.equal((await clerk.get(`k/${round}`))?.text, 'mine');
  }
  assert.equal(await clerk.count('all'), 11);
  assert.equal(foreign.machine.revision, 0);
});

test('where all members were replaced, reads and writes say so at their deadlines', async (t) => {
  const cluster = await ourCluster(t, 1);
  const clerk = await knowing(cluster);
  const foreign = await replaced(t, cluster.members[0]!, clerk);
  const timeoutMs = 500;
  assert.equal(await failureCode(clerk.get('k', { timeoutMs })), 'KV_CLUSTER_FOREIGN');
  await assert.rejects(clerk.put('k', 'theirs', { timeoutMs }), {
    code: 'KV_CLUSTER_FOREIGN',
    message: new RegExp(`no member of cluster ${OURS} answered.*${cluster.members[0]!.address}.*${THEIRS}`),
  });
  assert.equal(foreign.machine.revision, 0);
});

test('where our members are away and one address is of another cluster, the error names the other cluster', async (t) => {
  const cluster = await ourCluster(t);
  const clerk = await knowing(cluster);
  await replaced(t, cluster.members[0]!, clerk);
  await cluster.members[1]!.stop();
  assert.equal(await failureCode(clerk.get('k', { timeoutMs: 500 })), 'KV_CLUSTER_FOREIGN');
});

test('a clerk that is told its cluster never asks another one, which may be the first to be asked', async (t) => {
  const cluster = await ourCluster(t);
  const foreign = await replaced(t, cluster.members[0]!);
  for (const random of [() => 0, () => 0.9]) {
    const clerk = cluster.clerk({ clusterId: OURS, random });
    await clerk.put('k', 'ours');
    assert.equal((await clerk.get('k'))?.text, 'ours');
  }
  assert.equal(foreign.machine.revision, 0);
  assert.throws(() => cluster.clerk({ clusterId: 0 }), { code: 'KV_OPTION_INVALID' });
});

test('first requests that are made together are all answered by one cluster', async (t) => {
  const cluster = await ourCluster(t);
  const foreign = await replaced(t, cluster.members[0]!);
  const clerk = cluster.clerk({ session: false });
  await Promise.all(Array.from({ length: 20 }, (_, index) => clerk.put(`k/${index}`, 'v')));
  assert.equal(await clerk.count('all'), 20);
  const sizes = [cluster.backend, foreign].map(({ machine }) => machine.keyspace.size);
  assert.deepEqual(
    sizes.toSorted((a, b) => a - b),
    [0, 20],
  );
});

test('a watch goes on at its own cluster, and ends when only another one answers', async (t) => {
  const cluster = await ourCluster(t);
  const clerk = await knowing(cluster);
  const watch = clerk.watch('all', { from: 1 });
  const events = watch[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.pair.text, 'ours');
  const foreign = await replaced(t, cluster.members[0]!);
  const theirs = new RpcClient({ target: cluster.members[0]!.address });
  t.after(() => theirs.close(0));
  await new KvClient(theirs).execute({ command: { put: { key: bytes('a'), value: bytes('theirs') } } });
  await new KvClient(theirs).execute({ command: { put: { key: bytes('b'), value: bytes('theirs') } } });
  assert.equal(foreign.machine.revision, 2);
  await clerk.put('k', 'again');
  const { value } = await events.next();
  assert.deepEqual([value?.revision, value?.pair.text], [2, 'again']);
  await replaced(t, cluster.members[1]!);
  assert.equal(await failureCode(events.next()), 'KV_CLUSTER_FOREIGN');
  assert.equal(await failureCode(clerk.watch('all').ready()), 'KV_CLUSTER_FOREIGN');
});

test('two that wait for one watch to begin open it once', async (t) => {
  const cluster = await ourCluster(t, 1);
  const clerk = cluster.clerk();
  const watch = clerk.watch('all');
  const events = watch[Symbol.asyncIterator]();
  const [, first] = await Promise.all([watch.ready().then(() => clerk.put('k', '1')), events.next()]);
  assert.equal(first.value?.pair.text, '1');
  watch.close();
});

test('a backup is of the own cluster, or is none', async (t) => {
  const cluster = await ourCluster(t);
  const clerk = await knowing(cluster);
  const { address } = cluster.members[0]!;
  await replaced(t, cluster.members[0]!, clerk);
  for (let round = 0; round < 2; round += 1) {
    const heads: string[] = [];
    for await (const { head } of clerk.admin.backup()) if (head !== undefined) heads.push(head.clusterId);
    assert.deepEqual(heads, [String(OURS)]);
  }
  assert.equal(await failureCode(clerk.admin.backup(address).next()), 'KV_CLUSTER_FOREIGN');
});

test('a lease is lost although another cluster, now at the address, has one with the same id', async (t) => {
  const cluster = await ourCluster(t, 1);
  const clerk = await knowing(cluster);
  const lease = await clerk.lease({ ttlMs: 2_000 });
  await replaced(t, cluster.members[0]!);
  const theirs = cluster.clerk();
  await theirs.put('k', 'theirs');
  assert.equal((await theirs.lease({ ttlMs: 60_000 })).id, lease.id);
  if (!lease.signal.aborted) await once(lease.signal, 'abort');
  assert.equal(lease.isAlive, false);
});

test('a command that is told its cluster asks no other one', async (t) => {
  const [member] = (await ourCluster(t)).members;
  const run = (...args: string[]) => runKv([...args, '--endpoints', member!.address]);
  assert.equal((await run('put', 'a', 'x', '--cluster-id', String(OURS))).code, 0);
  const lost = await run('put', 'a', 'lost', '--cluster-id', String(THEIRS));
  assert.equal(lost.code, 1);
  assert.match(lost.err, /^reactor-net: KV_CLUSTER_FOREIGN: /);
  assert.equal((await run('get', 'a')).out, 'x\n');
  assert.equal((await run('get', 'a', '--cluster-id', 'none')).code, 2);
});
