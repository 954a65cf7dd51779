// The labs in short: most of them once in virtual time from a fixed seed, and a few over processes. run.ts (npm run labs:kv)
// plays all of them in both worlds, as often as wanted.

import assert from 'node:assert/strict';
import test from 'node:test';
import { LABS } from './catalogue.js';
import { playOverProcesses } from './process-lab.js';
import { playVirtually } from './virtual-lab.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 1);
/** Seconds each; played when rounds are asked for. */
const LONG = new Set([
  '3C Figure8',
  '3C ReliableChurn',
  '3C Figure8Unreliable',
  '3D SnapshotInstallUnreliable',
  '3D SnapshotInstallCrash',
  '3D SnapshotInstallUnCrash',
  'kvsrv MemPutManyClientsReliable',
  'kvsrv LargeValues',
  'kvraft A ManyPartitionsManyClients',
  'kvraft B Speed',
  'kvraft B SnapshotRecoverManyClients',
  '4B ManyPartitionsManyClients',
  '4C SnapshotRecoverManyClients',
]);
const OVER_PROCESSES = new Set([
  '3A InitialElection',
  '4A rsm Basic',
  'lock ManyClients',
  'kvraft B SnapshotRPC',
]);

for (const lab of LABS) {
  const isLong = LONG.has(lab.name) && process.env['REACTOR_TEST_ROUNDS'] === undefined;
  test(`in virtual time: ${lab.name}`, { skip: isLong && 'npm run labs:kv plays it' }, async () => {
    for (let seed = SEED; seed < SEED + ROUNDS; seed += 1) {
      try {
        await playVirtually({ ...lab, seed }, lab.run);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

for (const lab of LABS.filter(({ name }) => OVER_PROCESSES.has(name))) {
  test(`over processes: ${lab.name}`, () => playOverProcesses({ ...lab, seed: SEED }, lab.run));
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
