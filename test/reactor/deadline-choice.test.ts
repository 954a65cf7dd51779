// Which deadline counts when: the pure table behind a connection's timer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionState } from '../../reactor/connection.js';
import {
  type ConnectionActivity,
  type DeadlineReason,
  nextDeadlineMs,
  passedDeadline,
} from '../../reactor/connection-deadlines.js';
import type { ConnectionTimeouts } from '../../reactor/connection-host.js';
import { LINGER_MS } from '../../reactor/limits.js';

/** All different, so that a time names its deadline. */
const TIMEOUTS: ConnectionTimeouts = {
  firstByteTimeoutMs: 100,
  handshakeTimeoutMs: 200,
  idleTimeoutMs: 300,
  readTimeoutMs: 400,
  writeTimeoutMs: 500,
  drainTimeoutMs: 6000,
};
const OFF: ConnectionTimeouts = {
  firstByteTimeoutMs: 0,
  handshakeTimeoutMs: 0,
  idleTimeoutMs: 0,
  readTimeoutMs: 0,
  writeTimeoutMs: 0,
  drainTimeoutMs: 0,
};
const SINCE_MS = 10_000;
/** Later than every deadline. */
const LATE_MS = SINCE_MS + 100_000;

function activity(state: ConnectionState, differing: Partial<ConnectionActivity> = {}): ConnectionActivity {
  return {
    state,
    stateSinceMs: SINCE_MS,
    lastReadMs: SINCE_MS,
    lastWriteMs: SINCE_MS,
    wasHeard: true,
    isPaused: false,
    isBehind: false,
    isLingering: false,
    ...differing,
  };
}

const NEAREST: readonly (readonly [string, ConnectionActivity, DeadlineReason, number])[] = [
  ['a handshake', activity('connecting'), 'handshake-timeout', 200],
  ['a peer not heard yet', activity('open', { wasHeard: false }), 'first-byte-timeout', 100],
  ['a silent peer', activity('open'), 'idle-timeout', 300],
  ['a silent peer that is sent to', activity('open', { lastWriteMs: LATE_MS }), 'read-timeout', 400],
  ['a paused peer', activity('open', { isPaused: true, wasHeard: false }), 'idle-timeout', 300],
  ['a half-closed peer', activity('half-closed', { wasHeard: false }), 'idle-timeout', 300],
  ['a peer behind while draining', activity('draining', { isBehind: true }), 'write-timeout', 500],
  ['a drain', activity('draining'), 'drain-timeout', 6000],
  ['a peer that has got everything', activity('draining', { isLingering: true }), 'drain-timeout', LINGER_MS],
];

for (const [what, waiting, reason, timeoutMs] of NEAREST) {
  test(`${what} is waited for until its ${reason}, and not a millisecond less`, () => {
    const dueMs = SINCE_MS + timeoutMs;
    assert.equal(nextDeadlineMs(waiting, TIMEOUTS), dueMs);
    assert.equal(passedDeadline(waiting, TIMEOUTS, dueMs - 1), null);
    assert.equal(passedDeadline(waiting, TIMEOUTS, dueMs), reason);
  });
}

test('a timeout of 0 is never next and never passes, in any state', () => {
  for (const state of ['connecting', 'open', 'half-closed', 'draining', 'closed'] as const) {
    const waiting = activity(state, { wasHeard: false, isBehind: true });
    assert.equal(nextDeadlineMs(waiting, OFF), Infinity, state);
    assert.equal(passedDeadline(waiting, OFF, LATE_MS), null, state);
  }
});

test('a server that lingers does so even when the drain has no deadline', () => {
  const waiting = activity('draining', { isLingering: true });
  assert.equal(passedDeadline(waiting, OFF, SINCE_MS + LINGER_MS), 'drain-timeout');
});

test('a peer that takes output, or sends, is not idle', () => {
  const takenLater = activity('half-closed', { lastWriteMs: SINCE_MS + 50 });
  const heardLater = activity('half-closed', { lastReadMs: SINCE_MS + 70 });
  assert.equal(nextDeadlineMs(takenLater, TIMEOUTS), SINCE_MS + 350);
  assert.equal(nextDeadlineMs(heardLater, TIMEOUTS), SINCE_MS + 370);
});

test('of several deadlines that passed together the drain is named before the write it waits for', () => {
  assert.equal(passedDeadline(activity('draining', { isBehind: true }), TIMEOUTS, LATE_MS), 'drain-timeout');
});
