import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../support/seeded-random.js';
import { fuzzResp } from './resp-fuzz.js';

const FIRST_SEED = 1;
const ROUNDS = 20;

test('whatever a client of Redis sends gets replies, and the server and its other clients go on', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed += 1) {
    await assert.doesNotReject(
      fuzzResp(new SeededRandom(seed)),
      `npm run fuzz -- resp --seconds 0 --seed ${seed}`,
    );
  }
});
