// Waits for what other events bring about, without sleeping for a guessed time.

import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Generous: on a busy machine everything takes longer. */
const PATIENCE_MS = 60_000;

/** Resolves once `condition` holds, looked at once per turn of the loop; fails after a minute. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) assert.fail(`did not come about: ${condition.toString()}`);
    await nextTurn();
  }
}
