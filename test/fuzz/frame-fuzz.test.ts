import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzFrames } from './frame-fuzz.js';
import { SeededRandom } from '../support/seeded-random.js';

const FIRST_SEED = 1;
const ROUNDS = 1500;

test('random wires, cut and stopped at random, decode as they do in one chunk', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed += 1) {
    assert.doesNotThrow(
      () => fuzzFrames(new SeededRandom(seed)),
      `npm run fuzz -- --seconds 0 --seed ${seed}`,
    );
  }
});
