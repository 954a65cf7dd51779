import assert from 'node:assert/strict';
import { test } from 'node:test';
import { halfSipHash } from '../../../kv/machine/half-sip-hash.js';
import { keyHash } from '../../../kv/machine/key-hash.js';
import { Machine } from '../../../kv/machine/machine.js';
import { ErrorReply, NIL_ARRAY } from '../../../kv/machine/reply.js';
import { Harness, replay, snapshotOf } from './machine-harness.js';

const SEED = '0123456789abcdef';

function upgraded(): Harness {
  const harness = new Harness();
  harness.run('MSET', 'a', '1', 'b', '2');
  harness.run('DEL', 'a');
  harness.setting('protocol-version', '2');
  harness.setting('scan-seed', SEED);
  return harness;
}

test('where keys vanished is remembered from version 2 on, on every member and in snapshots', () => {
  const harness = upgraded();
  const { revision } = harness.machine;
  const watches = [{ key: 'x', version: 0, revision }];
  assert.notEqual(harness.exec([['GET', 'b']], watches), NIL_ARRAY);
  harness.run('SET', 'x', '1');
  harness.run('DEL', 'x');
  const restored = Machine.restore([snapshotOf(harness.machine)]);
  assert.equal(restored.hash(), harness.machine.hash());
  assert.equal(replay(harness.log, false).hash(), harness.machine.hash());
  assert.equal(restored.keyspace.vanished!.mayHaveVanished('x', revision), true);
  assert.equal(restored.keyspace.vanished!.mayHaveVanished('x', restored.revision), false);
  assert.equal(harness.exec([['GET', 'b']], watches), NIL_ARRAY);
  // What came before anybody remembered may have vanished then.
  assert.equal(harness.exec([['GET', 'b']], [{ key: 'a', version: 0, revision: revision - 1 }]), NIL_ARRAY);
  harness.run('FLUSHALL');
  const late = [{ key: 'never', version: 0, revision }];
  assert.equal(harness.exec([['GET', 'b']], late), NIL_ARRAY);
  assert.equal(replay(harness.log, true).hash(), harness.machine.hash());
});

test('a key that expires has vanished', () => {
  const harness = upgraded();
  const watches = [{ key: 'x', version: 0, revision: harness.machine.revision }];
  harness.run('SET', 'x', '1', 'PX', '10');
  harness.pass(20);
  assert.equal(harness.exec([['SET', 'y', '1']], watches), NIL_ARRAY);
});

test('a program that knows an older version stops where the newer one begins, in the log and in a snapshot', () => {
  const harness = upgraded();
  assert.throws(() => replay(harness.log, false, new Machine({ protocolVersion: 1 })), {
    code: 'KV_BATCH_FOREIGN',
    message: /gone on to protocol version 2, this program knows 1/,
  });
  const bytes = snapshotOf(harness.machine);
  assert.throws(() => Machine.restore([bytes], { protocolVersion: 1 }), { code: 'KV_BATCH_FOREIGN' });
});

test('the version never goes back, and a seed is a seed', () => {
  const harness = upgraded();
  for (const [name, value] of [
    ['protocol-version', '1'],
    ['protocol-version', ''],
    ['protocol-version', 'x'],
    ['scan-seed', '1'],
    ['scan-seed', SEED.toUpperCase()],
  ] as const)
    assert(harness.setting(name, value) instanceof ErrorReply, `${name} ${value}`);
  assert.equal(harness.machine.settings.protocolVersion, 2);
});

test('SCAN goes through all keys in an order that the seed draws, the same on every member', () => {
  const orders = ['', SEED, 'fedcba9876543210'].map((seed) => {
    const harness = new Harness();
    for (let at = 0; at < 500; at += 1) harness.run('SET', `k${at}`, '1');
    if (seed !== '') harness.setting('scan-seed', seed);
    const restored = Machine.restore([snapshotOf(harness.machine)]);
    const keys: string[] = [];
    let cursor = '0';
    do {
      const [next, found] = harness.query('SCAN', cursor, 'COUNT', '10') as [string, string[]];
      const [nextThere, foundThere] = restored.query(['SCAN', cursor, 'COUNT', '10']) as [string, string[]];
      assert.deepEqual([nextThere, foundThere.toSorted()], [next, found.toSorted()]);
      keys.push(...found);
      cursor = next;
    } while (cursor !== '0');
    assert.equal(new Set(keys).size, 500);
    assert.equal(keys.length, 500);
    return keys.join();
  });
  assert.equal(new Set(orders).size, 3);
});

test('keys that were made to collide do so under no seed', () => {
  const byHash = new Map<number, string>();
  const collisions: [string, string][] = [];
  for (let at = 0; collisions.length < 20; at += 1) {
    const key = `key:${at}`;
    const hash = keyHash(key);
    const other = byHash.get(hash);
    if (other !== undefined) collisions.push([other, key]);
    byHash.set(hash, key);
  }
  for (const key of [
    { low: 1, high: 2 },
    { low: -7, high: 123_456_789 },
  ]) {
    const agreeing = collisions.filter(([a, b]) => halfSipHash(a, key) === halfSipHash(b, key));
    assert.deepEqual(agreeing, []);
  }
});

test('the hash under a key spreads over all its bits', () => {
  const key = { low: 0x0302_0100, high: 0x0706_0504 };
  const ones = Array.from({ length: 32 }, () => 0);
  const count = 20_000;
  for (let at = 0; at < count; at += 1) {
    const hash = halfSipHash(`k${at}`, key);
    for (let bit = 0; bit < 32; bit += 1) ones[bit]! += (hash >>> bit) & 1;
  }
  for (const [bit, each] of ones.entries())
    assert(Math.abs(each / count - 0.5) < 0.03, `bit ${bit} is set in ${each} of ${count}`);
  assert.notEqual(halfSipHash('ab', key), halfSipHash('ab\0', key));
  assert.equal(halfSipHash('', key), halfSipHash('', key));
});
