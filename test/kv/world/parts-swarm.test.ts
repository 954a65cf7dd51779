// Real members on simulated disks, clocks and network, from seeds: what simulate.ts does at length, in short.

import assert from 'node:assert/strict';
import test from 'node:test';
import { outsideMicrotasks } from './microtasks.js';
import { runPartsSwarm } from './parts-swarm.js';

const FIRST = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const SEEDS = 60;
const EVENTS = 2500;

test(`members keep their promises in ${SEEDS} hostile runs, and clients see one store`, (t) =>
  outsideMicrotasks(() => {
    let answered = 0;
    let looks = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const result = runPartsSwarm({ seed, eventCount: EVENTS });
      const replay = `npm run simulate -- --world parts --seed ${seed} --events ${EVENTS}`;
      assert.equal(result.failure, null, `seed ${seed}; again by ${replay}`);
      assert.equal(result.figures.undecided, 0, 'every history was judged');
      answered += result.answered;
      looks += result.figures.looks;
    }
    t.diagnostic(`${answered} requests answered, disks looked at ${looks} times`);
    assert(answered > SEEDS * 40, `${answered} requests were answered: too few to mean anything`);
  }));

test('the same seed gives the same run, event for event, disks and clients and all', () =>
  outsideMicrotasks(() => {
    for (const seed of [3, 17, 40]) {
      const [one, other] = [1, 2].map(() => runPartsSwarm({ seed, eventCount: 2000 }));
      assert.equal(one?.traceHash, other?.traceHash, `seed ${seed}`);
      assert.equal(one?.events, other?.events);
      assert.equal(one?.answered, other?.answered);
    }
    const [three, four] = [3, 4].map((seed) => runPartsSwarm({ seed, eventCount: 2000 }));
    assert.notEqual(three?.traceHash, four?.traceHash);
  }));
