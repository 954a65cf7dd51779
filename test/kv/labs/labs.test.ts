// The labs in virtual time, each once from a fixed seed: what run.ts (npm run labs:kv) repeats at length and plays over
// processes too.

import assert from 'node:assert/strict';
import test from 'node:test';
import { LABS } from './catalogue.js';
import { playVirtually } from './virtual-lab.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 1);

for (const lab of LABS) {
  test(lab.name, async () => {
    for (let seed = SEED; seed < SEED + ROUNDS; seed += 1) {
      try {
        await playVirtually({ ...lab, seed }, lab.run);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

test('the same seed plays a lab the same way, event for event', async () => {
  const lab = LABS.find(({ name }) => name === '4C SnapshotUnreliableRecover');
  assert(lab !== undefined);
  const [one, other] = [await hashOf(5), await hashOf(5)];
  assert.equal(one, other);
  assert.notEqual(one, await hashOf(6));

  function hashOf(seed: number): Promise<string> {
    return playVirtually({ ...lab!, seed }, lab!.run); // it is one of the list
  }
});
