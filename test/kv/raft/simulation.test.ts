// The core under a hostile network, failing disks and crashes, from seeds: what simulate.ts does at length, in short.

import assert from 'node:assert/strict';
import test from 'node:test';
import { runSwarm } from './support/swarm.js';

const SEEDS = 200;
const EVENTS = 2000;

test(`no promise of Raft breaks in ${SEEDS} hostile runs, and every one comes to rest`, () => {
  const first = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
  let committed = 0;
  for (let seed = first; seed < first + SEEDS; seed += 1) {
    const result = runSwarm({ seed, eventCount: EVENTS });
    const replay = `npm run simulate -- --seed ${seed} --events ${EVENTS}`;
    assert.equal(result.failure, null, `seed ${seed}; again by ${replay}`);
    committed += result.committed;
  }
  assert(committed > SEEDS * 50, `${committed} entries were committed: too few to mean anything`);
});

test('the same seed gives the same run, event for event', () => {
  for (const seed of [3, 17, 40]) {
    const [one, other] = [runSwarm({ seed, eventCount: 2000 }), runSwarm({ seed, eventCount: 2000 })];
    assert.equal(one.traceHash, other.traceHash, `seed ${seed}`);
    assert.equal(one.events, other.events);
  }
  assert.notEqual(
    runSwarm({ seed: 3, eventCount: 2000 }).traceHash,
    runSwarm({ seed: 4, eventCount: 2000 }).traceHash,
  );
});
