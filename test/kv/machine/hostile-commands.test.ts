// Commands made to stop every member at once: what is in the log is carried out by all of them, and again after a restart.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDouble } from '../../../kv/machine/commands/numbers.js';
import { Machine } from '../../../kv/machine/machine.js';
import { ErrorReply } from '../../../kv/machine/reply.js';
import { ValueWriter } from '../../../kv/machine/value.js';
import { crc32c } from '../../../kv/wal/crc32c.js';
import { Harness, snapshotOf } from './machine-harness.js';

/** Far more than linear work takes, far less than quadratic work does. */
const PROMPT_MS = 5000;

function isRefused(reply: unknown, text: RegExp): void {
  assert(reply instanceof ErrorReply, String(reply));
  assert.match(reply.text, text);
}

/** More arguments than a call can have. */
function runAll(harness: Harness, args: readonly string[]): unknown {
  return harness.entry((items) => items.redis(args, false))![0];
}

test('a number of a million digits is judged at once, whether it is one or not', () => {
  const startMs = performance.now();
  assert.equal(parseDouble(`${'1'.repeat(1_000_000)}x`), null);
  assert.equal(parseDouble(`${'1'.repeat(500_000)}.${'1'.repeat(500_000)}e`), null);
  assert.equal(parseDouble(`0.${'1'.repeat(1_000_000)}`), Number(`0.${'1'.repeat(30)}`));
  assert(performance.now() - startMs < PROMPT_MS);
});

test('hundreds of thousands of keys in one BITOP are no more than that', () => {
  const harness = new Harness();
  harness.run('SET', 'k', 'v');
  assert.equal(runAll(harness, ['BITOP', 'OR', 'd', ...Array.from({ length: 300_000 }, () => 'k')]), 1);
});

test('work that would take minutes on every member is refused', () => {
  const harness = new Harness();
  harness.run('SETRANGE', 'long', '1000000', 'x');
  const often = (key: string, count: number): string[] => Array.from({ length: count }, () => key);
  isRefused(harness.run('BITOP', 'OR', 'd', ...often('long', 1000)), /too long together/);
  harness.run('SADD', 's', ...Array.from({ length: 10_000 }, (_, at) => String(at)));
  harness.run('RPUSH', 'l', ...Array.from({ length: 10_000 }, (_, at) => String(at)));
  for (const command of ['SUNIONSTORE', 'SINTERSTORE', 'SDIFFSTORE'])
    isRefused(harness.run(command, 'd', ...often('s', 7000)), /would go through more than/);
  for (const command of ['ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE'])
    isRefused(harness.run(command, 'd', '7000', ...often('s', 7000)), /would go through more than/);
  isRefused(harness.run('SORT', 'l', ...often('GET', 2000).flatMap((word) => [word, '#'])), /more than/);
  assert.equal(harness.machine.keyspace.has('d'), false);
});

test('a short command makes no value beyond the limit, which is the same on every member', () => {
  const harness = new Harness();
  const most = 64 * 2 ** 20;
  const tooLong = /^ERR string exceeds maximum allowed size \(proto-max-bulk-len\)$/;
  const outOfRange = /^ERR bit offset is not an integer or out of range$/;
  isRefused(harness.run('SETRANGE', 'k', String(most), 'x'), tooLong);
  isRefused(harness.run('SETBIT', 'k', String(most * 8), '1'), outOfRange);
  isRefused(harness.run('BITFIELD', 'k', 'SET', 'u8', String(most * 8 - 7), '1'), outOfRange);
  assert.equal(harness.machine.keyspace.has('k'), false);
  assert.equal(harness.query('GETBIT', 'k', String(most * 8)), 0);

  harness.setting('value-bytes-max', String(4 * 2 ** 20));
  isRefused(harness.run('SETRANGE', 'k', String(4 * 2 ** 20), 'x'), tooLong);
  assert.equal(harness.run('SETBIT', 'k', String(4 * 2 ** 23 - 1), '1'), 0);
  isRefused(harness.run('APPEND', 'k', 'x'), tooLong);
  assert.equal(harness.query('STRLEN', 'k'), 4 * 2 ** 20);
  const restored = Machine.restore([snapshotOf(harness.machine)]);
  assert.equal(restored.settings.stringBytesMax, 4 * 2 ** 20);
  harness.setting('value-bytes-max', '');
  assert.equal(harness.run('APPEND', 'k', 'x'), 4 * 2 ** 20 + 1);
  for (const value of ['1', '-1', 'x', '4194303', '536870912', '99999999999'])
    isRefused(harness.setting('value-bytes-max', value), /value-bytes-max is a whole number/);
});

test('a long string that grows bit by bit, or is appended to, stays where it is', () => {
  const harness = new Harness();
  const bytes = 2 ** 20;
  harness.run('SETBIT', 'b', String(bytes * 8), '1');
  harness.run('SETBIT', 'b', String((bytes + 1) * 8), '1');
  const place = (): unknown => (harness.machine.keyspace.string('b') as Buffer).buffer;
  const before = place();
  for (let at = 2; at <= 200; at += 1) {
    assert.equal(harness.run('SETBIT', 'b', String((bytes + at) * 8), '1'), 0);
    harness.run('APPEND', 'b', 'yy');
    harness.run('SETBIT', 'b', '7', '1');
  }
  assert.equal(place(), before);
  assert.equal(harness.query('GETRANGE', 'b', '-2', '-1'), 'yy');
  harness.machine.keyspace.checkInvariants();
});

test('a string that has grown with a snapshot open is the same again when that is restored', () => {
  const harness = new Harness();
  harness.run('SET', 'k', 'a'.repeat(5000));
  harness.run('SETRANGE', 'k', '5000', 'bb');
  const snapshot = harness.machine.snapshot();
  harness.run('SETRANGE', 'k', '5002', 'cc');
  harness.run('APPEND', 'k', 'dd');
  harness.run('SETRANGE', 'k', '5010', 'ee');
  const restored = Machine.restore(snapshot.chunks());
  snapshot.close();
  assert.equal(restored.query(['GETRANGE', 'k', '4999', '-1']), 'abb');
  assert.equal(harness.query('GETRANGE', 'k', '4999', '-1'), 'abbccdd\0\0\0\0ee');
  assert.equal(Machine.restore(harness.machine.snapshot().chunks()).hash(), harness.machine.hash());
  harness.machine.keyspace.checkInvariants();
});

/** What RESTORE takes, from anybody who can compute a checksum. */
function payload(type: number, fill: (writer: ValueWriter) => void): string {
  const writer = new ValueWriter();
  writer.byte(1);
  writer.byte(type);
  fill(writer);
  writer.u32(crc32c(writer.view()));
  return writer.view().toString('latin1');
}

const [HASH, LIST, SET, ZSET, STREAM] = [1, 2, 3, 4, 5];
const texts =
  (...items: string[]) =>
  (writer: ValueWriter): void => {
    writer.uint(items.length);
    for (const item of items) writer.bytes(item);
  };
const scored =
  (form: number, ...items: [number, string][]) =>
  (writer: ValueWriter): void => {
    writer.byte(form);
    writer.uint(items.length);
    for (const [score, member] of items) {
      writer.double(score);
      writer.bytes(member);
    }
  };
const stream =
  (last: string, ...entries: [string, string[]][]) =>
  (writer: ValueWriter): void => {
    writer.bytes(last);
    writer.uint(entries.length);
    for (const [id, flat] of entries) {
      writer.bytes(id);
      texts(...flat)(writer);
    }
  };
const id = (at: number): string => `${'\0'.repeat(15)}${String.fromCharCode(at)}`;

test('RESTORE takes no value that commands cannot have made', () => {
  const harness = new Harness();
  const refused: [string, string][] = [
    ['an empty list', payload(LIST, texts())],
    ['an empty set', payload(SET, texts())],
    ['an empty hash', payload(HASH, (writer) => writer.uint(0))],
    ['an empty sorted set', payload(ZSET, scored(0))],
    ['an empty large sorted set', payload(ZSET, scored(1))],
    ['a member twice', payload(SET, texts('a', 'b', 'a'))],
    [
      'a field twice',
      payload(HASH, (writer) => {
        writer.uint(2);
        for (const text of ['f', '1', 'f', '2']) writer.bytes(text);
      }),
    ],
    ['a scored member twice', payload(ZSET, scored(1, [1, 'a'], [2, 'a']))],
    ['no score', payload(ZSET, scored(0, [Number.NaN, 'a']))],
    ['minus zero', payload(ZSET, scored(0, [-0, 'a']))],
    ['members out of order', payload(ZSET, scored(0, [2, 'a'], [1, 'b']))],
    [
      'too many for a small one',
      payload(ZSET, scored(0, ...Array.from({ length: 65 }, (_, at) => [at, `m${at}`] as [number, string]))),
    ],
    ['a short last id', payload(STREAM, stream('x'))],
    ['a short id', payload(STREAM, stream(id(9), ['x', ['f', 'v']]))],
    ['an id twice', payload(STREAM, stream(id(9), [id(1), ['f', 'v']], [id(1), ['f', 'v']]))],
    ['ids out of order', payload(STREAM, stream(id(9), [id(2), ['f', 'v']], [id(1), ['f', 'v']]))],
    ['an id above the last', payload(STREAM, stream(id(1), [id(2), ['f', 'v']]))],
    ['a field without a value', payload(STREAM, stream(id(2), [id(1), ['f']]))],
  ];
  for (const [what, bytes] of refused) {
    const reply = harness.run('RESTORE', 'k', '0', bytes);
    assert(reply instanceof ErrorReply, what);
    assert.equal(reply.text, 'ERR Bad data format', what);
  }
  const taken: [string, string][] = [
    ['list', payload(LIST, texts('a', 'a'))],
    ['hash', payload(HASH, (writer) => ['f', '1'].reduce((_, text) => writer.bytes(text), writer.uint(1)))],
    ['zset', payload(ZSET, scored(0, [1, 'a'], [1, 'b']))],
    ['large', payload(ZSET, scored(1, [2, 'a'], [1, 'b']))],
    ['stream', payload(STREAM, stream(id(3), [id(1), ['f', 'v']], [id(2), ['f', 'v']]))],
    ['empty stream', payload(STREAM, stream(id(3)))],
  ];
  for (const [key, bytes] of taken)
    assert.deepEqual(harness.run('RESTORE', key, '0', bytes), harness.run('SET', 'x', ''));
  harness.machine.keyspace.checkInvariants();
});

test('what cannot be answered is an error to its client, not the end of its member', () => {
  const harness = new Harness({
    random: () => {
      throw new RangeError('Invalid string length');
    },
  });
  harness.run('SET', 'k', 'v');
  isRefused(harness.query('RANDOMKEY'), /the answer cannot be made/);
  isRefused(harness.run('RANDOMKEY'), /the answer cannot be made/);
});
