import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tasksPerSecond } from './speed.js';

test('the scheduler gives out and takes back at least 200,000 tasks in a second of CPU time', (t) => {
  tasksPerSecond(100_000, 4, 3);
  const best = Math.max(...[1, 2, 3].map(() => tasksPerSecond(100_000, 4, 3)));
  t.diagnostic(`${Math.round(best)} tasks per second`);
  assert(best >= 200_000, `${Math.round(best)} tasks per second`);
});
