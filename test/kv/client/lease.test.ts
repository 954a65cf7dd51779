import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { KvError } from '../../../kv/index.js';
import { RpcError } from '../../../rpc/index.js';
import { serveCluster } from './support.js';

test('a lease is kept alive, and its keys go when it is revoked', async (t) => {
  const { clerk: make, backend } = await serveCluster(t);
  const clerk = make();
  const lease = await clerk.lease({ ttlMs: 60_000 });
  await clerk.put('a', '1', { lease: lease.id });
  for (let round = 0; round < 5; round += 1) {
    backend.advance(40_000);
    await lease.keepAlive();
  }
  assert.equal((await clerk.get('a'))!.lease, lease.id);
  await lease.revoke();
  assert.equal(await clerk.get('a'), null);
  assert.deepEqual([lease.isAlive, lease.signal.aborted, lease.remainingMs], [false, true, 0]);
});

test('the holder hears of it when the store has ended its lease', async (t) => {
  const { clerk: make, backend } = await serveCluster(t);
  const clerk = make();
  const lease = await clerk.lease({ ttlMs: 60_000 });
  backend.advance(60_000);
  const lost = once(lease.signal, 'abort');
  await assert.rejects(lease.keepAlive(), { code: 'KV_LEASE_NOT_FOUND' });
  await lost;
  assert.equal((lease.signal.reason as KvError).code, 'KV_LEASE_NOT_FOUND');
});

test('a lease that cannot be kept alive is lost by its own clock, without the store', async (t) => {
  const { clerk: make, members, backend } = await serveCluster(t);
  const clerk = make();
  const begunMs = performance.now();
  const lease = await clerk.lease({ ttlMs: 1000 });
  members[0]!.onExecute = () =>
    Promise.reject(new RpcError('RPC_UNAVAILABLE', 'cut off', { executed: 'no' }));
  await once(lease.signal, 'abort');
  assert(performance.now() - begunMs >= 990, 'no earlier than its time');
  assert.equal(lease.isAlive, false);
  assert.equal((backend.machine.native as { leaseCount?: number }).leaseCount, 1);
});

test('a closed clerk gives up its leases', async (t) => {
  const clerk = (await serveCluster(t)).clerk();
  const lease = await clerk.lease({ ttlMs: 60_000 });
  await clerk.close();
  assert.equal((lease.signal.reason as KvError).code, 'KV_CLOSED');
});

test('the tree has parents, children, numbered and ephemeral nodes', async (t) => {
  const { tree, ...clerk } = await withTree(t);
  await assert.rejects(tree.create('/a/b', 'x'), { code: 'KV_NO_PARENT' });
  await tree.create('/a/b', 'x', { makeParents: true });
  const numbered = await tree.create('/a/n-', 'y', { sequential: true });
  assert.equal(numbered.key.toString(), '/a/n-0000000001');
  const lease = await clerk.lease();
  await tree.create('/a/e', 'z', { lease: lease.id });
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name, pair } of tree.children('/a')) found.push(`${name}=${pair?.text}`);
    return found;
  };
  assert.deepEqual(await names(), ['b=x', 'e=z', 'n-0000000001=y']);
  await lease.revoke();
  assert.deepEqual(await names(), ['b=x', 'n-0000000001=y']);
  await assert.rejects(tree.delete('/a'), { code: 'KV_NOT_EMPTY' });
  assert.equal(await tree.delete('/a', { recursive: true }), 3);
});

async function withTree(t: Parameters<typeof serveCluster>[0]) {
  const clerk = (await serveCluster(t)).clerk();
  return { tree: clerk.tree, lease: () => clerk.lease({ ttlMs: 60_000 }) };
}
