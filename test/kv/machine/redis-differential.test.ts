// Random sequences of commands on a real redis-server and on our machine: the same replies, the same contents.
// Random answers (SPOP, RANDOMKEY …), cursors and DUMP have no place here; other tests of this folder have them.
// A failing sequence is printed with its seed; KV_SEED runs that one again.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Machine } from '../../../kv/machine/machine.js';
import { MachineRunner, plainOf } from '../support/machine-runner.js';
import { assertAgree, FAMILIES } from './redis-commands.js';
import { isRedisInstalled, type Plain, RedisProcess } from '../support/redis-process.js';

const SEED = Number(process.env['KV_SEED'] ?? 20_261_130);
const STEPS = 40;
const RUNS = Number(process.env['KV_RUNS'] ?? 60);

const KEYS = ['k1', 'k2', 'k3', 'k4'];
const READ_BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  '+string': ['GET', 'KEY'],
  '+list': ['LRANGE', 'KEY', '0', '-1'],
  '+hash': ['HGETALL', 'KEY'],
  '+set': ['SMEMBERS', 'KEY'],
  '+zset': ['ZRANGE', 'KEY', '0', '-1', 'WITHSCORES'],
  '+stream': ['XRANGE', 'KEY', '-', '+'],
};

/** Commands that show what a key of this type holds, and until when. */
function readsOf(key: string, type: Plain): string[][] {
  const { token } = type as { token: string };
  const read = READ_BY_TYPE[token] ?? ['EXISTS', 'KEY'];
  return [read.map((word) => (word === 'KEY' ? key : word)), ['EXPIRETIME', key]];
}

describe('our machine against redis-server', {
  skip:
    isRedisInstalled || process.env['CI'] !== undefined
      ? false
      : 'redis-server IS NOT INSTALLED: nothing was compared',
}, () => {
  let redis: RedisProcess;
  before(async () => {
    redis = await RedisProcess.start();
  });
  after(async () => redis.stop());

  for (const [family, commands] of Object.entries(FAMILIES)) {
    test(`any sequence of ${family} has the same replies and leaves the same contents`, async () => {
      const sequence = fc.array(fc.oneof(...commands), { minLength: 1, maxLength: STEPS });
      await fc.assert(
        fc.asyncProperty(sequence, fc.nat({ max: STEPS }), async (steps, viewAt) => {
          await redis.run([['FLUSHALL']]);
          const expected = await redis.run(steps);
          const ours = new MachineRunner(Date.now());
          const silent = new MachineRunner(ours.nowMs);
          const view = { at: Math.min(viewAt, steps.length - 1), hash: '', close: (): void => {} };
          let snapshot: ReturnType<Machine['snapshot']> | null = null;
          for (const [index, args] of steps.entries()) {
            if (index === view.at) {
              view.hash = ours.machine.hash();
              snapshot = ours.machine.snapshot();
            }
            const reply = plainOf(ours.runAll([args])![0]!);
            silent.runAll([args], false);
            const where = `${index}: ${JSON.stringify(args)} of ${JSON.stringify(steps)}`;
            assertAgree(args, reply, expected[index]!, where);
            ours.machine.keyspace.checkInvariants();
          }
          const types = await redis.run(KEYS.map((key) => ['TYPE', key]));
          const reads = KEYS.flatMap((key, index) => readsOf(key, types[index]!));
          const contents = await redis.run(reads);
          for (const [index, args] of reads.entries()) {
            assertAgree(
              args,
              plainOf(ours.machine.query(args)),
              contents[index]!,
              `${args.join(' ')} at the end`,
            );
          }
          const hash = ours.machine.hash();
          assert.equal(silent.machine.hash(), hash, 'a member without a waiter is the same');
          const chunks = snapshot!.chunks();
          assert.equal(Machine.restore(chunks).hash(), view.hash, 'a view keeps what it saw');
          snapshot!.close();
          const last = ours.machine.snapshot();
          const restored = Machine.restore(last.chunks());
          last.close();
          assert.equal(restored.hash(), hash, 'a restored member is the same');
          assert.equal(restored.memoryBytes, ours.machine.memoryBytes, 'memory follows from the content');
        }),
        { seed: SEED, numRuns: RUNS },
      );
    });
  }
});
