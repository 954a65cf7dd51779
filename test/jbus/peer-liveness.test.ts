import assert from 'node:assert/strict';
import test from 'node:test';

import { judgePeer } from '../../addon/jbus/peer-liveness.js';

const BEAT_MS = 100;
const NOW_MS = 10_000;

test('a process that is found is never gone, however long it has been silent', () => {
  const facts = { pid: 7, isAlive: true, heartbeatMs: NOW_MS - 50 * BEAT_MS };
  assert.equal(judgePeer(facts, NOW_MS, BEAT_MS, 0), 'stalled');
  assert.equal(judgePeer({ ...facts, heartbeatMs: NOW_MS }, NOW_MS, BEAT_MS, 0), 'alive');
});

test('a process that is not found is gone once its heartbeat is late, and not before', () => {
  const facts = { pid: 7, isAlive: false, heartbeatMs: NOW_MS - BEAT_MS + 1 };
  assert.equal(judgePeer(facts, NOW_MS, BEAT_MS, 0), 'alive');
  assert.equal(judgePeer(facts, NOW_MS + 1, BEAT_MS, 0), 'gone');
});

test('a peer that never beat is alive by its process alone', () => {
  assert.equal(judgePeer({ pid: 7, isAlive: true, heartbeatMs: 0 }, NOW_MS, BEAT_MS, 0), 'alive');
});

test('a peer of which nothing is known is unknown, and stalled when it fell silent', () => {
  const facts = { pid: 0, isAlive: undefined, heartbeatMs: 0 };
  assert.equal(judgePeer(facts, NOW_MS, BEAT_MS, 0), 'unknown');
  assert.equal(judgePeer(facts, NOW_MS, BEAT_MS, NOW_MS), 'alive');
  assert.equal(judgePeer(facts, NOW_MS, BEAT_MS, NOW_MS - 3 * BEAT_MS), 'stalled');
});
