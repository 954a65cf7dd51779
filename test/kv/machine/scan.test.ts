import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Machine } from '../../../kv/machine/machine.js';
import { keyHash } from '../../../kv/machine/key-hash.js';
import { ScanIndex } from '../../../kv/machine/scan-index.js';
import { MachineRunner, plainOf } from '../support/machine-runner.js';
import type { Plain } from '../support/redis-process.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);

/** Runs a scan to its end, doing something between steps; all that it gave. */
function scanAll(
  step: (cursor: string) => Plain,
  between: (round: number) => void = () => {},
): { found: string[]; steps: number } {
  const found: string[] = [];
  let cursor = '0';
  let steps = 0;
  do {
    const [next, items] = step(cursor) as [string, string[]];
    found.push(...items);
    cursor = next;
    steps += 1;
    between(steps);
  } while (cursor !== '0');
  return { found, steps };
}

test('a scan without writes gives each key once, about COUNT at a time', () => {
  const runner = new MachineRunner();
  const keys = Array.from({ length: 3_000 }, (_, index) => `key:${index}`);
  for (const key of keys) runner.run('SET', key, '1');
  const { found, steps } = scanAll((cursor) => runner.run('SCAN', cursor, 'COUNT', '100'));
  assert.deepEqual(found.toSorted(), keys.toSorted());
  assert(steps >= 15 && steps <= 31, `${steps} steps`);
});

test('a key that is there all the time is given by every scan, whatever comes and goes, exactly once', () => {
  fc.assert(
    fc.property(fc.nat({ max: 400 }), fc.integer({ min: 1, max: 60 }), fc.nat(), (stable, count, salt) => {
      const runner = new MachineRunner();
      const kept = Array.from({ length: stable }, (_, index) => `kept:${salt}:${index}`);
      for (const key of kept) runner.run('SET', key, '1');
      let made = 0;
      const { found } = scanAll(
        (cursor) => runner.run('SCAN', cursor, 'COUNT', String(count)),
        (round) => {
          // Growth splits buckets, deletions empty them.
          const names = Array.from({ length: 40 }, (_, index) => `passing:${round}:${index}`);
          if (made < 2_000) for (const name of names) runner.run('SET', name, '1');
          made += names.length;
          if (round > 1)
            runner.run('DEL', ...names.map((name) => name.replace(`:${round}:`, `:${round - 1}:`)));
        },
      );
      const seen = found.filter((key) => key.startsWith('kept:'));
      assert.deepEqual(seen.toSorted(), kept.toSorted());
    }),
    { seed: SEED, numRuns: 25 },
  );
});

test('a cursor goes on at another member, one restored from a snapshot whose buckets differ included', () => {
  const first = new MachineRunner();
  const keys = Array.from({ length: 500 }, (_, index) => `key:${index}`);
  for (const key of keys) first.run('SET', key, '1');
  // The first member has had far more keys, and its buckets are smaller for it.
  for (let index = 0; index < 4_000; index += 1) first.run('SET', `gone:${index}`, '1');
  for (let index = 0; index < 4_000; index += 1) first.run('DEL', `gone:${index}`);
  const snapshot = first.machine.snapshot();
  const second = Machine.restore(snapshot.chunks());
  snapshot.close();
  let turn = 0;
  const { found } = scanAll((cursor) => {
    turn += 1;
    const machine = turn % 2 === 0 ? first.machine : second;
    return plainOf(machine.query(['SCAN', cursor, 'COUNT', '7']));
  });
  assert.deepEqual(found.toSorted(), keys.toSorted());
});

test('MATCH and TYPE choose, expired keys are not given, and a cursor that no scan gave is refused', () => {
  const runner = new MachineRunner();
  runner.line('SET a1 x');
  runner.line('RPUSH a2 x');
  runner.line('SET b1 x');
  runner.line('SET a3 x PX 50');
  const scan = (text: string): string[] => (runner.line(text) as [string, string[]])[1].toSorted();
  assert.deepEqual(scan('SCAN 0 MATCH a*'), ['a1', 'a2', 'a3']);
  assert.deepEqual(scan('SCAN 0 TYPE list'), ['a2']);
  assert.deepEqual(scan('SCAN 0 TYPE STRING MATCH a?'), ['a1', 'a3']);
  runner.nowMs += 50;
  assert.deepEqual(scan('SCAN 0 MATCH a*'), ['a1', 'a2']);
  for (const cursor of ['x', '-1', '4294967296', '1.5', '']) {
    assert.deepEqual(runner.run('SCAN', cursor), { token: '-ERR invalid cursor' });
  }
  assert.deepEqual(runner.line('SCAN 0 COUNT 0'), { token: '-ERR syntax error' });
});

test('HSCAN, SSCAN and ZSCAN give what is there all the time, while members around it come and go', () => {
  const kinds = [
    { add: (name: string) => ['HSET', 'k', name, '1'], remove: 'HDEL', scan: 'HSCAN', step: 2 },
    { add: (name: string) => ['SADD', 'k', name], remove: 'SREM', scan: 'SSCAN', step: 1 },
    {
      add: (name: string) => ['ZADD', 'k', String(name.length), name],
      remove: 'ZREM',
      scan: 'ZSCAN',
      step: 2,
    },
  ];
  for (const { add, remove, scan, step } of kinds) {
    const runner = new MachineRunner();
    const kept = Array.from({ length: 300 }, (_, index) => `kept:${index}`);
    for (const [index, name] of kept.entries()) {
      runner.run(...add(`before:${index}`));
      runner.run(...add(name));
    }
    const { found, steps } = scanAll(
      (cursor) => runner.run(scan, 'k', cursor, 'COUNT', '20'),
      (round) => {
        for (let index = 0; index < 15; index += 1) {
          runner.run(remove, 'k', `before:${round * 15 + index}`);
          if (round < 20) runner.run(...add(`new:${round}:${index}`));
        }
      },
    );
    assert(steps > 10, `${scan} in ${steps} steps`);
    const seen = new Set(found.filter((_, index) => index % step === 0));
    assert.deepEqual(
      kept.filter((name) => !seen.has(name)),
      [],
      scan,
    );
  }
});

test('all keys with one hash prefix share a bucket without end, and removal finds each', () => {
  const index = new ScanIndex();
  const keys = Array.from({ length: 5_000 }, (_, number) => `k${number}`);
  for (const key of keys) index.add(key);
  for (const key of keys.slice(0, 4_990)) index.remove(key);
  const found: string[] = [];
  let cursor = 0;
  do cursor = index.scan(cursor, 10, (key) => found.push(key));
  while (cursor !== 0);
  assert.deepEqual(found.toSorted(), keys.slice(4_990).toSorted());
  // Cursors stand on this function: it must never change.
  assert.equal(keyHash('key:1'), 3_610_013_009);
  assert.equal(keyHash(''), 2_872_998_923);
});
