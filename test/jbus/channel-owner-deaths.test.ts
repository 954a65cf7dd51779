// A channel's owner is killed while both ends talk: its child is told, reads nothing torn, and nothing is left behind.
// npm run soak:jbus -- deaths does it 500 times, half of them in the middle of a write.

import assert from 'node:assert/strict';
import test from 'node:test';

import { loadAddon } from '../../addon/index.js';
import { killOwners } from './support/channel-deaths.js';

/** A third of the heartbeat: only the doorbell can have told by then, however busy the machine. The soak looks at 100 ms. */
const TOLD_MS_MAX = 20_000;

test('10 owners are killed at random moments, and their children are told', {
  skip: loadAddon() === null,
}, async () => {
  const seed = Date.now() % 1_000_000;
  const report = await killOwners({ rounds: 10, seed }).catch((error: unknown) => {
    throw new Error(`seed ${seed}`, { cause: error });
  });
  assert.equal(report.toldMs.length, 10);
  const slowestMs = Math.max(...report.toldMs);
  assert(slowestMs < TOLD_MS_MAX, `told after ${slowestMs} ms, seed ${seed}`);
});
