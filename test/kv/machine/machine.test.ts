import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Machine } from '../../../kv/machine/machine.js';
import { ErrorReply, NIL_ARRAY, OK, OUT_OF_MEMORY } from '../../../kv/machine/reply.js';
import { EXPIRIES_PER_ENTRY_MAX, ORIGIN_WINDOW, ORIGINS_MAX } from '../../../kv/machine/limits.js';
import { batchOf, commandBatch, Harness, itemsOf, ORIGIN, replay, snapshotOf } from './machine-harness.js';

// Time.

test('log time never goes back, and a batch without a time does not change it', () => {
  const { machine } = new Harness();
  machine.apply(1, 1, commandBatch(['SET', 'a', '1'], { ...ORIGIN, sequence: 1 }, 5000), false);
  machine.apply(2, 1, commandBatch(['SET', 'a', '2'], { ...ORIGIN, sequence: 2 }, 3000), false);
  assert.equal(machine.timeMs, 5000);
  machine.apply(3, 1, commandBatch(['SET', 'a', '3'], { ...ORIGIN, sequence: 3 }, 0), false);
  assert.equal(machine.timeMs, 5000);
  assert.equal(machine.query(['GET', 'a']), '3');
});

test('a key is there until an entry has its time, and then gone for commands, queries and counts', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1', 'PX', '100');
  harness.pass(99);
  assert.equal(harness.query('GET', 'a'), '1');
  assert.equal(harness.machine.nextDeadlineMs(), harness.nowMs + 1);
  harness.pass(1);
  assert.equal(harness.query('GET', 'a'), null);
  assert.equal(harness.machine.keyspace.size, 0);
  assert.equal(harness.machine.nextDeadlineMs(), null);
  harness.machine.keyspace.checkInvariants();
});

test('a command sees keys expired by the time of its own entry', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1', 'PX', '100');
  harness.nowMs += 100;
  assert.equal(harness.run('SET', 'a', '2', 'XX'), null);
  assert.equal(harness.run('EXISTS', 'a'), 0);
});

test('a deadline taken away, moved later or sooner counts as it is last', () => {
  const harness = new Harness();
  harness.run('SET', 'kept', '1', 'PX', '10');
  harness.run('SET', 'later', '1', 'PX', '10');
  harness.run('SET', 'sooner', '1', 'PX', '1000');
  harness.run('PERSIST', 'kept');
  harness.run('PEXPIRE', 'later', '500');
  harness.run('PEXPIRE', 'sooner', '5');
  harness.pass(10);
  assert.deepEqual(harness.query('KEYS', '*'), ['kept', 'later']);
  harness.pass(490);
  assert.deepEqual(harness.query('KEYS', '*'), ['kept']);
});

test('when more keys expire at once than one entry removes, the rest is hidden until the next ones', () => {
  const harness = new Harness();
  const count = EXPIRIES_PER_ENTRY_MAX + 500;
  harness.entry((items) => {
    for (let number = 0; number < count; number += 1) {
      items.redis(['SET', `k${String(number).padStart(6, '0')}`, 'v', 'PX', '10'], false);
    }
    items.redis(['SET', 'z', 'stays'], false);
  });
  harness.pass(10);
  assert.equal(harness.machine.keyspace.size, 501);
  assert.deepEqual(harness.query('KEYS', '*'), ['z']);
  const { keyspace } = harness.machine;
  assert.equal(keyspace.count(), 1);
  assert.equal(keyspace.rank('z'), 0);
  assert.equal(keyspace.at(0)?.key, 'z');
  assert.equal(keyspace.at(1), undefined);
  assert.equal(keyspace.random(0.99)?.key, 'z');
  assert.deepEqual(keysOf(harness.machine, {}, 1), { keys: ['z'], more: false });
  assert.deepEqual(keysOf(harness.machine, { reverse: true }, 1).keys, ['z']);
  assert.equal(harness.run('SET', 'k010400', 'new', 'XX'), null, 'hidden from commands too');
  harness.pass(0);
  assert.equal(harness.machine.keyspace.size, 1);
  keyspace.checkInvariants();
});

// Revisions.

test('a command that changes something is one revision, a transaction too, and one that changes nothing none', () => {
  const harness = new Harness();
  harness.run('MSET', 'a', '1', 'b', '2');
  assert.equal(harness.machine.revision, 1);
  harness.run('DEL', 'nothing');
  harness.run('GET', 'a');
  harness.run('SADD', 'a', 'x');
  assert.equal(harness.machine.revision, 1);
  harness.exec([
    ['SET', 'a', '3'],
    ['RPUSH', 'l', 'x', 'y'],
    ['DEL', 'b'],
  ]);
  assert.equal(harness.machine.revision, 2);
  const slot = harness.machine.keyspace.find('a')!;
  assert.deepEqual([slot.version, slot.createRevision, slot.writes], [2, 1, 2]);
});

test('a transaction is executed if no watched key was changed, created, deleted or expired since', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1');
  harness.run('SET', 'brief', '1', 'PX', '50');
  const versionOf = (key: string): number => harness.machine.keyspace.find(key)?.version ?? 0;
  const watches = ['a', 'absent', 'brief'].map((key) => ({ key, version: versionOf(key) }));
  assert.deepEqual(harness.exec([['INCR', 'n']], watches), [1]);
  for (const spoil of [
    () => harness.run('SET', 'a', '1'),
    () => harness.run('SET', 'absent', ''),
    () => harness.pass(50),
  ]) {
    const fresh = ['a', 'absent', 'brief'].map((key) => ({ key, version: versionOf(key) }));
    spoil();
    assert.equal(harness.exec([['INCR', 'n']], fresh), NIL_ARRAY);
  }
  assert.equal(harness.query('GET', 'n'), '1');
});

test('a failing command of a transaction stops none of the others', () => {
  const harness = new Harness();
  const replies = harness.exec([
    ['SET', 'a', 'x'],
    ['INCR', 'a'],
    ['nonsense'],
    ['GET'],
    ['APPEND', 'a', 'y'],
  ]);
  assert(Array.isArray(replies));
  assert.deepEqual([replies[0], replies[4]], [OK, 2]);
  assert(replies.slice(1, 4).every((reply) => reply instanceof ErrorReply));
});

// Who executes what.

test('a batch that comes again is skipped, in whatever order the origin`s batches arrive', () => {
  const { machine } = new Harness();
  const batches = [1, 2, 3, 4].map((sequence) => commandBatch(['INCR', 'n'], { ...ORIGIN, sequence }));
  const order = [2, 0, 2, 3, 0, 1, 1, 3, 2, 0];
  const replies = order.map((which, index) => machine.apply(index + 1, 1, batches[which]!, true));
  assert.deepEqual(replies, [[1], [2], null, [3], null, [4], null, null, null, null]);
});

test('origins do not disturb each other', () => {
  const { machine } = new Harness();
  for (const origin of [1, 2, 3])
    machine.apply(origin, 1, commandBatch(['INCR', 'n'], { ...ORIGIN, origin }), true);
  assert.equal(machine.query(['GET', 'n']), '3');
});

test('a new boot retires the one before: what still comes of that one is skipped', () => {
  const { machine } = new Harness();
  const apply = (boot: number, sequence: number): unknown =>
    machine.apply(1, 1, commandBatch(['INCR', 'n'], { origin: 1, boot, sequence }), true);
  assert.deepEqual(apply(100, 1), [1]);
  assert.deepEqual(apply(200, 1), [2]);
  assert.equal(apply(100, 2), null);
  for (let boot = 1; boot <= 7; boot += 1) assert.notEqual(apply(200 + boot, 1), null);
  assert.equal(apply(100, 2), null, 'the last eight are remembered');
  assert.equal(apply(200, 2), null);
});

test('a number too far below the highest counts as executed, so that the memory of gaps is bounded', () => {
  const { machine } = new Harness();
  const apply = (sequence: number): unknown =>
    machine.apply(1, 1, commandBatch(['INCR', 'n'], { ...ORIGIN, sequence }), true);
  assert.deepEqual(apply(1), [1]);
  assert.deepEqual(apply(ORIGIN_WINDOW + 10), [2]);
  assert.deepEqual(apply(11), [3], 'within the window');
  assert.equal(apply(10), null, 'below it');
  const before = snapshotOf(machine).length;
  for (let step = 1; step <= 5000; step += 1) apply(ORIGIN_WINDOW * 3 + 2 * step);
  for (let step = 1; step <= 5000; step += 1) apply(ORIGIN_WINDOW * 3 + 2 * step + 1);
  assert(snapshotOf(machine).length < before + 64, 'gaps that were filled leave nothing behind');
});

test('of too many origins the one that was silent longest is forgotten', () => {
  const { machine } = new Harness();
  const apply = (origin: number): unknown =>
    machine.apply(1, 1, commandBatch(['INCR', 'n'], { ...ORIGIN, origin }), true);
  for (let origin = 1; origin <= ORIGINS_MAX; origin += 1) apply(origin);
  machine.apply(1, 1, commandBatch(['INCR', 'n'], { ...ORIGIN, sequence: 2 }), true);
  apply(ORIGINS_MAX + 1);
  assert.equal(apply(1), null, 'the first one spoke since');
  assert.notEqual(apply(2), null);
});

test('members without a waiter skip what only reads and end in the same state', () => {
  const harness = new Harness();
  harness.entry((items) => {
    items.redis(['SET', 'a', '1'], false);
    items.redis(['GET', 'a'], true);
    items.exec([], [['GET', 'a']], true);
    items.redis(['SPOP', 's'], false);
  });
  assert.equal(replay(harness.log, false).hash(), harness.machine.hash());
});

test('a write that is marked as a read is refused, since others have skipped it', () => {
  const harness = new Harness();
  const replies = harness.entry((items) => {
    items.redis(['SET', 'a', '1'], true);
    items.exec([], [['SET', 'b', '1']], true);
  })!;
  assert(replies[0] instanceof ErrorReply);
  assert(Array.isArray(replies[1]) && replies[1][0] instanceof ErrorReply);
  assert.equal(harness.machine.keyspace.size, 0);
  assert.equal(replay(harness.log, false).hash(), harness.machine.hash());
  assert(harness.query('SET', 'a', '1') instanceof ErrorReply, 'as it is in a query');
});

test('random commands in the log draw the same on every member', () => {
  const harness = new Harness();
  harness.run('SADD', 's', ...Array.from({ length: 50 }, (_, number) => `m${number}`));
  for (let round = 0; round < 10; round += 1) harness.run('SPOP', 's', '2');
  harness.entry((items) => {
    items.redis(['SRANDMEMBER', 's'], true);
    items.redis(['SPOP', 's'], false);
  });
  assert.equal(replay(harness.log, false).hash(), harness.machine.hash());
});

// Quota and settings.

test('above the quota writes that may grow are refused; reads, deletes and the way out are not', () => {
  const harness = new Harness();
  harness.setting('quota-bytes', '2000');
  assert.equal(harness.run('SET', 'a', 'x'.repeat(4000)), OK, 'the one that goes beyond is done');
  assert.equal(harness.machine.alarm, 'quota');
  assert.equal(harness.run('SET', 'b', '1'), OUT_OF_MEMORY);
  assert.deepEqual(
    harness.exec([
      ['LPUSH', 'l', '1'],
      ['STRLEN', 'a'],
      ['DEL', 'a'],
      ['SET', 'c', '1'],
    ]),
    [OUT_OF_MEMORY, 4000, 1, OK],
  );
  assert.equal(harness.machine.alarm, null);
  assert.equal(replay(harness.log, false).hash(), harness.machine.hash());
});

test('the alarm of a full disk does the same until the last such member takes it back', () => {
  const harness = new Harness();
  harness.setting('alarm-disk-2', 'full');
  harness.setting('alarm-disk-3', 'full');
  harness.setting('alarm-disk-2', '');
  assert.equal(harness.machine.alarm, 'disk');
  assert.equal(harness.run('SET', 'a', '1'), OUT_OF_MEMORY);
  harness.setting('alarm-disk-3', '');
  assert.equal(harness.run('SET', 'a', '1'), OK);
});

test('impossible settings are refused and change nothing', () => {
  const harness = new Harness();
  for (const [name, value] of [
    ['', 'x'],
    ['Big', 'x'],
    ['a b', 'x'],
    ['quota-bytes', '-1'],
    ['quota-bytes', '1e9'],
    ['quota-bytes', '9999999999999999'],
  ] as const) {
    assert(harness.setting(name, value) instanceof ErrorReply, `${name}=${value}`);
  }
  assert.deepEqual(harness.machine.settings.entries(), []);
  for (let number = 0; number < 256; number += 1) assert.equal(harness.setting(`s${number}`, 'x'), OK);
  assert(harness.setting('one-more', 'x') instanceof ErrorReply);
  assert.equal(harness.setting('s7', 'y'), OK);
  assert.equal(Machine.restore([snapshotOf(harness.machine)]).settings.get('s7'), 'y');
});

test('what clients get wrong is answered in the words of Redis', () => {
  const harness = new Harness();
  harness.run('SET', 'a', '1');
  const textOf = (...args: string[]): string => (harness.run(...args) as ErrorReply).text;
  assert.equal(textOf('GET'), "ERR wrong number of arguments for 'get' command");
  assert.equal(textOf('foo', 'b\r\nc'), "ERR unknown command 'foo', with args beginning with: 'b  c' ");
  assert.equal(
    textOf('LPUSH', 'a', '1'),
    'WRONGTYPE Operation against a key holding the wrong kind of value',
  );
});

test('two items of one batch are two revisions at one log time', () => {
  const seen: [number, number][] = [];
  const { machine } = new Harness({ onChanges: ({ revision, timeMs }) => seen.push([revision, timeMs]) });
  const items = itemsOf((writer) => {
    writer.redis(['SET', 'a', '1'], false);
    writer.redis(['SET', 'b', '1'], false);
  });
  machine.apply(1, 1, batchOf(items, ORIGIN, 7000), false);
  assert.deepEqual(seen, [
    [1, 7000],
    [2, 7000],
  ]);
});

function keysOf(machine: Machine, range: object, limit: number): { keys: string[]; more: boolean } {
  const keys: string[] = [];
  const more = machine.keyspace.scan(range, limit, (key) => keys.push(key));
  return { keys, more };
}
