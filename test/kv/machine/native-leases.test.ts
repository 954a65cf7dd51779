import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeadlineQueue } from '../../../kv/machine/native/deadline-queue.js';
import { LEASE_KEYS_MAX } from '../../../kv/machine/native/native-limits.js';
import { seededRandom } from '../support/seeded-random.js';
import { bytes, NativeLog, text } from './native-harness.js';

const idsOf = (log: NativeLog) => log.query({ leaseList: {} }).leases.leases.map(({ id }) => Number(id));

test('keys on a lease go with it at its log time, in one revision, and are told as expired', () => {
  const log = new NativeLog();
  const lease = BigInt(log.grant(5000));
  log.put('b', '1', { lease });
  log.put('a', '1', { lease });
  log.put('free', '1');
  assert.equal(log.machine.nextDeadlineMs(), log.nowMs + 5000);
  log.advance(4999);
  assert.deepEqual(log.keys(), ['a', 'b', 'free']);
  const before = log.machine.revision;
  log.advance(1);
  assert.deepEqual(log.keys(), ['free']);
  assert.equal(log.machine.revision, before + 1);
  const { changes } = log.changes.at(-1)!;
  assert.deepEqual(
    changes.map(({ kind, key }) => [kind, key]),
    [
      ['expire', 'a'],
      ['expire', 'b'],
    ],
  );
  assert.deepEqual(idsOf(log), []);
  assert.equal(log.refusal({ put: { key: bytes('a'), lease } }), 'KV_LEASE_NOT_FOUND');
});

test('a keep-alive gives a lease its whole ttl again, and says which leases are gone', () => {
  const log = new NativeLog();
  const lease = log.grant(5000);
  log.put('a', '1', { lease: BigInt(lease) });
  for (let round = 0; round < 5; round += 1) {
    log.advance(4000);
    const { leases } = log.run({ leaseKeepAlive: { ids: [BigInt(lease), 99n] } }).leases;
    assert.deepEqual(
      leases.map(({ id, remainingMs }) => [id, remainingMs ?? 0n]),
      [
        [BigInt(lease), 5000n],
        [99n, 0n],
      ],
    );
  }
  assert.equal(log.get('a'), '1');
});

test('no change of leader takes time from a lease, however far ahead the new leader’s clock is', () => {
  const log = new NativeLog();
  const lease = BigInt(log.grant(5000));
  log.put('a', '1', { lease });
  log.advance(4000);
  log.term += 1;
  log.advance(3_600_000);
  assert.equal(log.query({ leaseTimeToLive: { id: lease } }).lease.remainingMs, 5000n);
  log.restart();
  log.advance(4999);
  assert.equal(log.get('a'), '1');
  log.advance(1);
  assert.equal(log.get('a'), null);
});

test('a key leaves its lease when it is written without, renamed away with it when it is renamed', () => {
  const log = new NativeLog();
  const lease = BigInt(log.grant(5000));
  for (const key of ['a', 'b', 'c', 'd']) log.put(key, '1', { lease });
  log.put('a', '2');
  log.run({ delete: { key: bytes('b') } });
  log.run({ append: { key: bytes('c'), value: bytes('2') } });
  log.machine.keyspace.rename('d', 'e');
  log.machine.keyspace.commit();
  const { keys, keyCount } = log.query({ leaseTimeToLive: { id: lease, wantKeys: true } }).lease;
  assert.deepEqual([keys.map(text), keyCount], [['c', 'e'], 2n]);
  log.restart();
  const after = log.query({ leaseTimeToLive: { id: lease, wantKeys: true } }).lease;
  assert.deepEqual(after.keys.map(text), ['c', 'e']);
  log.advance(5000);
  assert.deepEqual(log.keys(), ['a']);
});

test('a revoked lease takes its keys along at once', () => {
  const log = new NativeLog();
  const lease = BigInt(log.grant(5000));
  log.put('a', '1', { lease });
  log.put('b', '1', { lease });
  assert.equal(log.run({ leaseRevoke: { id: lease } }).leaseRevoke.deleted, 2n);
  assert.deepEqual(log.keys(), []);
  assert.equal(log.refusal({ leaseRevoke: { id: lease } }), 'KV_LEASE_NOT_FOUND');
});

test('a lease may be asked for by id, once, and ids of the store’s choice keep out of its way', () => {
  const log = new NativeLog();
  assert.equal(log.grant(5000, 2), 2);
  assert.equal(log.refusal({ leaseGrant: { id: 2n, ttlMs: 5000n } }), 'KV_LEASE_EXISTS');
  assert.deepEqual([log.grant(5000), log.grant(5000)], [1, 3]);
  log.restart();
  assert.equal(log.grant(5000), 4);
  assert.deepEqual(idsOf(log), [1, 2, 3, 4]);
  assert.equal(log.refusal({ leaseGrant: { ttlMs: 1n } }), 'KV_REQUEST_INVALID');
});

test('no more keys hang on one lease than it may take along at once', () => {
  const log = new NativeLog();
  const lease = BigInt(log.grant(5000));
  const put = (key: string) => ({ put: { key: bytes(key), lease } });
  const keys = Array.from({ length: LEASE_KEYS_MAX }, (_, index) => `k${index}`);
  for (let at = 0; at < keys.length; at += 1000) {
    log.run({ txn: { success: keys.slice(at, at + 1000).map(put) } });
  }
  assert.equal(log.refusal(put('one more')), 'KV_LEASES_FULL');
  assert.equal(log.refusal({ txn: { success: [put('x')] } }), 'KV_LEASES_FULL');
  assert.equal(log.run(put('k0')).error, undefined);
  log.advance(5000);
  assert.deepEqual(log.keys(), []);
});

test('of many leases that end at once all keys go, some of them with the next entries', () => {
  const log = new NativeLog();
  for (let each = 0; each < 3; each += 1) {
    const lease = BigInt(log.grant(5000));
    for (let at = 0; at < 6000; at += 1000) {
      const keys = Array.from({ length: 1000 }, (_, index) => `${each}.${at + index}`);
      log.run({ txn: { success: keys.map((key) => ({ put: { key: bytes(key), lease } })) } });
    }
  }
  log.advance(5000);
  assert.equal(log.machine.keyspace.size, 12_000);
  assert.equal(log.machine.nextDeadlineMs(), log.nowMs, 'the leader is to go on at once');
  log.advance(0);
  log.advance(0);
  assert.equal(log.machine.keyspace.size, 0);
  assert.equal(log.machine.nextDeadlineMs(), null);
});

test('the queue of deadlines gives what a list in order gives, whatever moves and goes', () => {
  const seed = 4711;
  const random = seededRandom(seed);
  const deadlines = new Map<number, number>();
  const queue = new DeadlineQueue((id) => deadlines.get(id));
  let nowMs = 0;
  for (let step = 0; step < 20_000; step += 1) {
    const what = random();
    const known = [...deadlines.keys()];
    const some = known[Math.floor(random() * known.length)];
    if (what < 0.4) {
      deadlines.set(step, nowMs + Math.floor(random() * 1000));
      queue.add(step, deadlines.get(step)!, deadlines.size);
    } else if (what < 0.6 && some !== undefined) deadlines.set(some, deadlines.get(some)! + 50);
    else if (what < 0.8 && some !== undefined) deadlines.delete(some);
    else {
      nowMs += Math.floor(random() * 40);
      const due = [...deadlines]
        .filter(([, at]) => at <= nowMs)
        .toSorted((a, b) => a[1] - b[1] || a[0] - b[0]);
      for (const [id] of due) {
        assert.equal(queue.due(nowMs), id, `seed ${seed}, step ${step}`);
        deadlines.delete(id);
      }
      assert.equal(queue.due(nowMs), null);
    }
    if (step % 50 === 0) {
      const next = Math.min(...deadlines.values());
      assert.equal(queue.nextMs(), Number.isFinite(next) ? next : null, `seed ${seed}, step ${step}`);
    }
  }
});
