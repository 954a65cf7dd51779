import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../support/seeded-random.js';
import { fuzzRpc } from './rpc-fuzz.js';
import { fuzzRpcSockets } from './rpc-socket-fuzz.js';

const FIRST_SEED = 1;
const ROUNDS = 150;
const SOCKET_ROUNDS = 4;

test('spoilt RPC conversations end calls or connections by a code and leave nothing behind', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed += 1) {
    await assert.doesNotReject(
      fuzzRpc(new SeededRandom(seed)),
      `npm run fuzz -- rpc --seconds 0 --seed ${seed}`,
    );
  }
});

test('a real server answers its good client while others spoil their conversations with it', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SOCKET_ROUNDS; seed += 1) {
    await assert.doesNotReject(
      fuzzRpcSockets(new SeededRandom(seed)),
      `npm run fuzz -- rpc-sockets --seconds 0 --seed ${seed}`,
    );
  }
});
