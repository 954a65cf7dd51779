import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../../kv/index.js';
import type { ChangeSet } from '../../../kv/machine/changes.js';
import { CLEAR_LISTED_MAX } from '../../../kv/machine/limits.js';
import { Machine } from '../../../kv/machine/machine.js';
import { Harness, snapshotOf } from './machine-harness.js';

test('a change tells what became of a key and what it was', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1');
  harness.run('SET', 'a', '2', 'PX', '50');
  harness.run('RPUSH', 'l', 'x');
  harness.run('DEL', 'l');
  harness.pass(50);
  assert.deepEqual(shortOf(harness.machine.history.after(0)), [
    '1 put a=1 was null',
    '2 put a=2 was 1',
    '3 put l=list was null',
    '4 delete l was null',
    '5 expire a was 2',
  ]);
  const [change] = harness.machine.history.after(1)[0]!.changes;
  assert.deepEqual([change!.createRevision, change!.writes, change!.expireAtMs], [1, 2, 1_000_050]);
});

test('all changes of a transaction are one set, in order, and a key put twice in a row is one of them', () => {
  const harness = new Harness();
  harness.exec([
    ['SET', 'a', '1'],
    ['APPEND', 'a', '2'],
    ['SET', 'b', '1'],
    ['DEL', 'a'],
  ]);
  assert.deepEqual(shortOf(harness.machine.history.after(0)), [
    '1 put a=12 was null',
    '1 put b=1 was null',
    '1 delete a was 12',
  ]);
});

test('a listener hears each revision once, in order, and nothing after it was taken away', () => {
  const heard: number[] = [];
  const harness = new Harness({ onChanges: ({ revision }) => heard.push(revision) });
  for (let number = 0; number < 5; number += 1) harness.run('INCR', 'n');
  harness.run('GET', 'n');
  harness.machine.onChanges = null;
  harness.run('INCR', 'n');
  assert.deepEqual(heard, [1, 2, 3, 4, 5]);
});

test('the history keeps the latest changes within its bounds, and says so of what it has dropped', () => {
  for (const history of [{ changesMax: 10 }, { bytesMax: 10 * 103 }]) {
    const harness = new Harness({ history });
    for (let number = 0; number < 300; number += 1)
      harness.run('SET', `k${number % 10}${number % 7}`, 'v'.repeat(100));
    const { machine } = harness;
    const { compactedRevision } = machine.history;
    assert(machine.history.changes <= 10 && machine.history.changes >= 5, String(machine.history.changes));
    assert.deepEqual(
      machine.history.after(compactedRevision).map(({ revision }) => revision),
      Array.from({ length: 300 - compactedRevision }, (_, index) => compactedRevision + 1 + index),
    );
    assert.deepEqual(machine.history.after(300), []);
    assert.throws(
      () => machine.history.after(compactedRevision - 1),
      (error) => error instanceof KvError && error.code === 'KV_COMPACTED',
    );
  }
});

test('a command with more changes than the history keeps is told of whole, and then dropped', () => {
  const heard: number[] = [];
  const harness = new Harness({
    history: { changesMax: 100 },
    onChanges: ({ changes }) => heard.push(changes.length),
  });
  const keys = Array.from({ length: 1000 }, (_, number) => `k${number}`);
  harness.run('MSET', ...keys.flatMap((key) => [key, '1']));
  harness.run('SET', 'a', '1');
  assert.deepEqual(heard, [1000, 1]);
  assert.equal(harness.machine.history.compactedRevision, 1);
  assert.deepEqual(shortOf(harness.machine.history.after(1)), ['2 put a=1 was null']);
});

test('pages of the history join without gap or repetition', () => {
  const harness = new Harness();
  for (let number = 0; number < 50; number += 1) {
    harness.exec([
      ['SET', `a${number}`, '1'],
      ['SET', `b${number}`, '1'],
    ]);
  }
  const revisions: number[] = [];
  for (let at = 0; ; ) {
    const page = harness.machine.history.after(at, 7);
    if (page.length === 0) break;
    for (const { revision, changes } of page) {
      revisions.push(revision);
      assert.equal(changes.length, 2);
    }
    at = revisions.at(-1)!;
  }
  assert.deepEqual(
    revisions,
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
});

test('FLUSHALL lists its keys while there are few, and is one clear beyond', () => {
  const harness = new Harness();
  harness.run('MSET', 'a', '1', 'b', '2');
  harness.run('FLUSHALL');
  assert.deepEqual(shortOf(harness.machine.history.after(1)), ['2 delete a was 1', '2 delete b was 2']);
  const keys = Array.from({ length: CLEAR_LISTED_MAX + 1 }, (_, number) => `k${number}`);
  harness.run('MSET', ...keys.flatMap((key) => [key, '1']));
  harness.exec([['SET', 'x', '1'], ['FLUSHALL'], ['SET', 'y', '1']]);
  assert.deepEqual(shortOf(harness.machine.history.after(3)), ['4 clear  was null', '4 put y=1 was null']);
  harness.machine.keyspace.checkInvariants();
});

test('a restored machine remembers nothing, and says from where on it does', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1');
  harness.run('SET', 'a', '2');
  const restored = Machine.restore([snapshotOf(harness.machine)]);
  assert.equal(restored.history.compactedRevision, 2);
  assert.deepEqual(restored.history.after(2), []);
  assert.throws(() => restored.history.after(1), KvError);
});

function shortOf(sets: readonly ChangeSet[]): string[] {
  return sets.flatMap(({ revision, changes }) =>
    changes.map(({ kind, key, type, value, previous }) => {
      const put = kind === 'put' ? `${key}=${value ?? type}` : key;
      return `${revision} ${kind} ${put} was ${previous}`;
    }),
  );
}
