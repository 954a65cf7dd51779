// Which results are kept, and what goes for what comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Retention } from '../../../render/main/retention.js';

function retention(jobsMax = 100): Retention {
  return new Retention({ resultBytesMax: 1000, resultKeepMs: 60, jobKeepMs: 600 }, { jobsMax });
}

test('for a job that comes, those that finished first are dropped, and no more than has to be', () => {
  const kept = retention();
  for (const [id, at, bytes] of [
    [1, 10, 300],
    [2, 20, 300],
    [3, 30, 300],
  ] as const)
    kept.finished(id, at, bytes);
  assert.deepEqual(kept.roomFor(100, 3), { drop: [], forget: [], problem: null });
  assert.deepEqual(kept.roomFor(101, 3).drop, [1]);
  assert.deepEqual(kept.roomFor(700, 3).drop, [1, 2]);
  for (const id of [1, 2]) kept.dropped(id);
  assert(kept.isDropped(1) && !kept.isDropped(3));
  assert.deepEqual(kept.roomFor(700, 3).drop, []);
});

test('what can never fit, and what cannot now, are refused as such, and nothing is dropped for it', () => {
  const kept = retention();
  kept.finished(1, 10, 500);
  const never = kept.roomFor(1001, 1);
  assert.equal(never.problem?.code, 'RENDER_REQUEST_TOO_LARGE');
  assert.deepEqual([never.drop, never.forget], [[], []]);
  kept.opened(2, 400);
  const later = kept.roomFor(700, 2);
  assert.equal(later.problem?.code, 'RENDER_OVERLOAD');
  assert((later.problem?.retryAfterMs ?? 0) > 0);
  assert.deepEqual([later.drop, later.forget], [[], []]);
  // Of an open job counts what it may take, of a finished one what it took.
  kept.finished(2, 20, 50);
  assert.deepEqual(kept.roomFor(700, 2), { drop: [1], forget: [], problem: null });
});

test('images are dropped and jobs forgotten after their times, the oldest first', () => {
  const kept = retention();
  kept.finished(1, 0, 10);
  kept.finished(2, 5, 10);
  kept.opened(3, 10);
  assert.deepEqual(kept.expired(59), []);
  assert.deepEqual(kept.expired(60), [1]);
  assert.deepEqual(kept.expired(1000), [1, 2], 'never one that is not finished');
  assert.equal(kept.expiresAt(5), 65);
  kept.dropped(1);
  assert.deepEqual(kept.forgettable(599), []);
  assert.deepEqual(kept.forgettable(600), [1]);
  kept.forgotten(1);
  assert.deepEqual(kept.forgettable(10_000), []);
});

test('when there are as many jobs as may be, those without images are forgotten first', () => {
  const kept = retention(3);
  kept.finished(1, 1, 10);
  kept.finished(2, 2, 10, true);
  kept.finished(3, 3, 10);
  assert.deepEqual(kept.roomFor(10, 3).forget, [2]);
  assert.deepEqual(kept.roomFor(10, 4).forget, [2, 1]);
});

test('a job that is opened again counts with all that it may take, and is kept again afterwards', () => {
  const kept = retention();
  kept.finished(1, 1, 10, true);
  kept.opened(1, 900);
  assert(!kept.isDropped(1));
  assert.equal(kept.roomFor(200, 1).problem?.code, 'RENDER_OVERLOAD');
  kept.finished(1, 5, 100);
  assert.deepEqual(kept.roomFor(900, 1).drop, []);
});
