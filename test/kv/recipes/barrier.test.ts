import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Barrier, DoubleBarrier } from '../../../kv/index.js';
import { serveCluster } from '../client/support.js';

test('all wait at a barrier until it is down, or comes down with whoever put it up', async (t) => {
  const { clerk: make, backend } = await serveCluster(t);
  const clerk = make();
  const barrier = new Barrier(clerk, 'barrier');
  await barrier.wait();
  await barrier.hold();
  await assert.rejects(barrier.wait({ timeoutMs: 20 }), { code: 'KV_TIMEOUT' });
  const waiting = Promise.all([barrier.wait(), new Barrier(make(), 'barrier').wait()]);
  await barrier.release();
  await waiting;
  const lease = await clerk.lease({ ttlMs: 60_000 });
  await barrier.hold({ lease: lease.id });
  const again = barrier.wait();
  backend.advance(60_000);
  await again;
});

test('participants enter a double barrier together and leave it together', async (t) => {
  const { clerk: make } = await serveCluster(t);
  const inside = new Set<number>();
  await Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const barrier = new DoubleBarrier(make(), 'double', 4);
      for (let turn = 0; turn < index * 5; turn += 1) await new Promise(setImmediate);
      inside.add(index);
      await barrier.enter();
      assert.equal(inside.size, 4, 'all have come');
      await new Promise(setImmediate);
      inside.delete(index);
      await barrier.leave();
      assert.equal(inside.size, 0, 'all have left');
    }),
  );
  assert.equal(await make().count({ prefix: 'double/' }), 0);
});

test('a participant that waits in vain leaves', async (t) => {
  const { clerk: make } = await serveCluster(t);
  await assert.rejects(new DoubleBarrier(make(), 'double', 2).enter({ timeoutMs: 20 }), {
    code: 'KV_TIMEOUT',
  });
  assert.equal(await make().count({ prefix: 'double/' }), 0);
});
