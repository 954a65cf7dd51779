import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VALUE_BYTES_MAX } from '../../../kv/machine/native/native-limits.js';
import { PutCondition } from '../../../kv/proto/kv.js';
import { bytes, NativeLog, text } from './native-harness.js';

test('what was put is read, with its revisions, by native and by Redis commands', () => {
  const log = new NativeLog();
  const first = log.put('a', '1');
  assert.deepEqual([first.revision, first.put.version, first.put.isNew], [1n, 1n, true]);
  log.put('b', 'x');
  const second = log.put('a', '2', { wantPrevious: true });
  assert.deepEqual([second.revision, second.put.version, second.put.isNew], [3n, 2n, false]);
  assert.equal(text(second.put.previous!.value), '1');
  const { kv } = log.query({ get: { key: bytes('a') } }).get;
  assert.deepEqual(
    [text(kv!.value), kv!.createRevision, kv!.modRevision, kv!.version, kv!.lease, kv!.ttlMs],
    ['2', 1n, 3n, 2n, 0n, 0n],
  );
  assert.equal(log.machine.keyspace.size, 2);
  assert.equal(log.get('c'), null);
});

test('every byte goes into a value and comes out of it', () => {
  const log = new NativeLog();
  const all = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  log.run({ put: { key: all, value: all } });
  const { kv } = log.query({ get: { key: all } }).get;
  assert.deepEqual([Buffer.from(kv!.key), Buffer.from(kv!.value)], [all, all]);
});

test('conditions of a put are looked at where it is executed', () => {
  const log = new NativeLog();
  assert.equal(log.refusal({ put: { key: bytes('a'), condition: PutCondition.IF_PRESENT } }), 'KV_NOT_FOUND');
  log.put('a', '1', { condition: PutCondition.IF_ABSENT });
  assert.equal(log.refusal({ put: { key: bytes('a'), condition: PutCondition.IF_ABSENT } }), 'KV_EXISTS');
  log.put('a', '2', { condition: PutCondition.IF_PRESENT });
  assert.equal(log.get('a'), '2');
  assert.equal(log.refusal({ put: { key: bytes('b'), keepValue: true } }), 'KV_NOT_FOUND');
});

test('a put keeps value, lease and ttl only when told so', () => {
  const log = new NativeLog();
  const lease = log.grant(10_000);
  log.put('a', '1', { lease: BigInt(lease), ttlMs: 5000n });
  log.advance(1000);
  log.put('a', '', { keepValue: true, keepLease: true, keepTtl: true });
  const kept = log.query({ get: { key: bytes('a') } }).get.kv!;
  assert.deepEqual([text(kept.value), kept.lease, kept.ttlMs, kept.version], ['1', BigInt(lease), 4000n, 2n]);
  log.put('a', '2');
  const replaced = log.query({ get: { key: bytes('a') } }).get.kv!;
  assert.deepEqual([text(replaced.value), replaced.lease, replaced.ttlMs], ['2', 0n, 0n]);
  assert.equal(log.refusal({ put: { key: bytes('a'), keepTtl: true, ttlMs: 5n } }), 'KV_REQUEST_INVALID');
});

test('a key with a ttl goes at its log time, and a touch moves that', () => {
  const log = new NativeLog();
  log.put('a', '1', { ttlMs: 1000n });
  log.put('b', '1', { ttlMs: 1000n });
  log.put('c', '1', { ttlMs: 1000n });
  assert.equal(log.run({ touch: { key: bytes('b'), ttlMs: 5000n } }).touch.found, true);
  assert.equal(log.run({ touch: { key: bytes('c') } }).touch.found, true);
  assert.equal(log.run({ touch: { key: bytes('none') } }).touch.found, false);
  assert.equal(log.machine.nextDeadlineMs(), log.nowMs + 1000);
  log.advance(999);
  assert.deepEqual(log.keys(), ['a', 'b', 'c']);
  log.advance(1);
  assert.deepEqual(log.keys(), ['b', 'c']);
  log.advance(1_000_000);
  assert.deepEqual(log.keys(), ['c']);
});

test('append makes or lengthens a value and keeps its ttl; beyond the limit it changes nothing', () => {
  const log = new NativeLog();
  assert.equal(log.run({ append: { key: bytes('a'), value: bytes('xy') } }).append.length, 2n);
  log.run({ touch: { key: bytes('a'), ttlMs: 1000n } });
  assert.equal(log.run({ append: { key: bytes('a'), value: bytes('z') } }).append.length, 3n);
  assert.equal(log.get('a'), 'xyz');
  assert.equal(log.query({ get: { key: bytes('a') } }).get.kv!.ttlMs, 1000n);
  log.put('a', 'v'.repeat(VALUE_BYTES_MAX));
  assert.equal(log.refusal({ append: { key: bytes('a'), value: bytes('v') } }), 'KV_VALUE_TOO_LARGE');
});

test('delete tells what was there', () => {
  const log = new NativeLog();
  log.put('a', '1');
  const { delete: gone, revision } = log.run({ delete: { key: bytes('a'), wantPrevious: true } });
  assert.deepEqual([gone.deleted, text(gone.previous[0]!.value), revision], [1n, '1', 2n]);
  const again = log.run({ delete: { key: bytes('a') } });
  assert.deepEqual([again.delete.deleted, again.revision], [0n, 2n]);
});

test('compare-and-set compares by value, version, revision and absence, and shows what is there', () => {
  const log = new NativeLog();
  const cas = (expected: object, newValue: string) =>
    log.run({ compareAndSet: { key: bytes('a'), newValue: bytes(newValue), ...expected } }).compareAndSet;
  assert.equal(cas({ value: bytes('') }, 'x').succeeded, false);
  assert.equal(cas({ absent: true }, '1').succeeded, true);
  assert.equal(cas({ absent: true }, '2').succeeded, false);
  const failed = cas({ value: bytes('0') }, '2');
  assert.deepEqual([failed.succeeded, text(failed.current!.value)], [false, '1']);
  assert.equal(cas({ value: bytes('1') }, '2').succeeded, true);
  assert.equal(cas({ version: 1n }, '3').succeeded, false);
  const done = cas({ version: 2n }, '3');
  assert.deepEqual([done.succeeded, done.current!.version, done.current!.modRevision], [true, 3n, 3n]);
  assert.equal(cas({ modRevision: 3n, delete: true }, '').succeeded, true);
  assert.equal(log.get('a'), null);
  assert.equal(cas({ version: 0n }, 'new').succeeded, true);
  assert.equal(log.refusal({ compareAndSet: { key: bytes('a') } }), 'KV_REQUEST_INVALID');
});

test('native commands read and write strings only, but delete anything', () => {
  const log = new NativeLog();
  log.redis('HSET', 'h', 'f', 'v');
  if (log.machine.keyspace.typeOf('h') !== 'hash') return; // hashes are not there yet
  const key = bytes('h');
  assert.equal(log.refusal({ get: { key } }), 'KV_WRONG_TYPE');
  assert.equal(log.refusal({ put: { key, value: bytes('v') } }), 'KV_WRONG_TYPE');
  assert.equal(log.refusal({ append: { key, value: bytes('v') } }), 'KV_WRONG_TYPE');
  const { kvs } = log.query({ range: {} }).range;
  assert.deepEqual(
    kvs.map((kv) => [text(kv.key), kv.type, kv.value.length]),
    [['h', 'hash', 0]],
  );
  assert.equal(log.run({ delete: { key } }).delete.deleted, 1n);
});

test('keys without a byte, keys too long and numbers too large are refused', () => {
  const log = new NativeLog();
  assert.equal(log.refusal({ put: { value: bytes('v') } }), 'KV_REQUEST_INVALID');
  assert.equal(log.refusal({ put: { key: new Uint8Array(65_537) } }), 'KV_REQUEST_INVALID');
  assert.equal(log.refusal({ put: { key: bytes('a'), ttlMs: 1n << 41n } }), 'KV_REQUEST_INVALID');
  assert.equal(log.refusal({ put: { key: bytes('a'), lease: 1n << 60n } }), 'KV_REQUEST_INVALID');
  assert.equal(log.refusal({}), 'KV_REQUEST_INVALID');
  assert.equal(log.query({ put: { key: bytes('a') } }).error.code, 'KV_REQUEST_INVALID');
});

test('a range goes from start to before end, both ways, and page by page without gap or double', () => {
  const log = new NativeLog();
  const all = Array.from({ length: 25 }, (_, index) => `k${String(index).padStart(2, '0')}`);
  for (const key of all) log.put(key, `v${key}`);
  const part = log.query({ range: { range: { start: bytes('k05'), end: bytes('k08') } } }).range;
  assert.deepEqual(
    part.kvs.map(({ key }) => text(key)),
    ['k05', 'k06', 'k07'],
  );
  assert.equal(part.more, false);
  for (const reverse of [false, true]) {
    const seen: string[] = [];
    for (let after = new Uint8Array(0), more = true; more; ) {
      const page = log.query({ range: { range: { prefix: bytes('k') }, limit: 4, reverse, after } }).range;
      seen.push(...page.kvs.map(({ key }) => text(key)));
      ({ more } = page);
      after = new Uint8Array(page.lastKey);
    }
    assert.deepEqual(seen, reverse ? all.toReversed() : all);
  }
  assert.equal(log.query({ range: { countOnly: true, range: { start: bytes('k20') } } }).range.count, 5n);
  const filtered = log.query({ range: { minModRevision: 3n, maxModRevision: 4n } }).range;
  assert.deepEqual(
    filtered.kvs.map(({ key }) => text(key)),
    ['k02', 'k03'],
  );
  assert.equal(log.query({ range: { countOnly: true, minModRevision: 24n } }).range.count, 2n);
  assert.equal(
    log.query({ range: { range: { prefix: bytes('k'), start: bytes('a') } } }).error.code,
    'KV_REQUEST_INVALID',
  );
});

test('an answer ends at a mebibyte, and never before the first key', () => {
  const log = new NativeLog();
  for (const key of ['a', 'b', 'c', 'd']) log.put(key, key.repeat(400_000));
  const page = log.query({ range: {} }).range;
  assert.deepEqual([page.kvs.length, page.more, text(page.lastKey)], [2, true, 'b']);
  const rest = log.query({ range: { after: page.lastKey } }).range;
  assert.deepEqual([rest.kvs.length, rest.more], [2, false]);
  log.put('a', 'a'.repeat(1_500_000));
  assert.equal(log.query({ range: {} }).range.kvs.length, 1);
});

test('delete_range deletes up to its limit and says whether there is more', () => {
  const log = new NativeLog();
  for (let index = 0; index < 10; index += 1) log.put(`a${index}`, 'v');
  log.put('b', 'v');
  const prefix = bytes('a');
  const some = log.run({ deleteRange: { range: { prefix }, limit: 3, wantPrevious: true } });
  assert.deepEqual([some.delete.deleted, some.delete.more, some.delete.previous.length], [3n, true, 3]);
  assert.equal(some.revision, 12n);
  const rest = log.run({ deleteRange: { range: { prefix } } });
  assert.deepEqual([rest.delete.deleted, rest.delete.more], [7n, false]);
  assert.deepEqual(log.keys(), ['b']);
});

test('numbers of sequential keys go up by one for each prefix and never back', () => {
  const log = new NativeLog();
  const next = (prefix: string) => text(log.run({ putSequential: { prefix: bytes(prefix) } }).key.key);
  assert.equal(next('q/'), 'q/0000000001');
  assert.equal(next('q/'), 'q/0000000002');
  assert.equal(next('p/'), 'p/0000000001');
  log.run({ deleteRange: { range: { prefix: bytes('q/') } } });
  log.redis('FLUSHALL');
  log.restart();
  assert.equal(next('q/'), 'q/0000000003');
  log.put('q/0000000004', 'by hand');
  assert.equal(next('q/'), 'q/0000000005');
});

test('a prefix that was forgotten never gets a number twice', () => {
  const log = new NativeLog();
  const next = (prefix: string) => log.run({ putSequential: { prefix: bytes(prefix) } }).key.number;
  for (let round = 0; round < 3; round += 1) next('old/');
  for (let other = 0; other < 10_000; other += 1) next(`${other}/`);
  assert.equal(next('old/'), 4n);
  log.restart();
  for (let other = 0; other < 10_000; other += 1) next(`x${other}/`);
  const again = next('old/');
  assert(again > 4n, `${again} was given before`);
});
