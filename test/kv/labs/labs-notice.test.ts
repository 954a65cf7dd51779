// Labs that never fail prove nothing: with a bug switched on, those that are about it do.

import assert from 'node:assert/strict';
import test from 'node:test';
import { LABS } from './catalogue.js';
import { type LabBugs, playVirtually } from './virtual-lab.js';

const SEEDS = 10;

/** Plays a lab from seeds until it fails; gives how. */
async function failureOf(name: string, bugs: LabBugs): Promise<string> {
  const lab = LABS.find((each) => each.name === name);
  assert(lab !== undefined, name);
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      await playVirtually({ ...lab, seed }, lab.run, bugs);
    } catch (error) {
      return String(error);
    }
  }
  return 'nothing was noticed';
}

test('OnePartition notices reads that are answered without asking the other members', async () => {
  const failure = await failureOf('kvraft A OnePartition', { readsCarelessly: true });
  assert.match(failure, /a get in the minority ended/);
});

test('clients under partitions notice the same by their histories', async () => {
  const failure = await failureOf('kvraft A PersistPartitionUnreliableLinearizable', {
    readsCarelessly: true,
  });
  assert.match(failure, /is not linearizable/);
});

test('retries after a restart notice sessions that are left out of snapshots', async () => {
  const failure = await failureOf('kvraft B SnapshotUnreliableRecover', { forgetsSessions: true });
  assert.notEqual(failure, 'nothing was noticed');
});

test('Persist1 notices a folder that is not synced', async () => {
  assert.notEqual(await failureOf('3C Persist1', { skipsFolderSync: true }), 'nothing was noticed');
});
