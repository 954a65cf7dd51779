// Waits for what other events bring about, without sleeping for a guessed time.

import assert from 'node:assert/strict';

/** Resolves once `condition` holds, looked at once per turn of the loop; fails after 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    assert(performance.now() < deadlineMs, 'the awaited condition did not come about');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
