// The addon loads in a fresh environment and leaves with it, again and again, while the main thread keeps its own.
// ADDON_TEST_WORKERS=1000 makes it the full-size run.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../addon/index.js';
import { openDescriptorCount } from './support/loopback.js';

const WORKER_COUNT = Number(process.env['ADDON_TEST_WORKERS'] ?? 200);
const WORKERS_AT_ONCE = 8;

const addon = requireAddon();

/** Each worker leaves with its waker still open, so every one of them exercises the cleanup hook. */
async function loadAndLeave(): Promise<void> {
  const fd = addon.eventFd();
  const worker = new Worker(new URL('support/idle-waker.worker.js', import.meta.url), { workerData: { fd } });
  const [code] = (await once(worker, 'exit')) as [number];
  assert.equal(code, 0);
  addon.closeFd(fd);
}

async function churn(count: number): Promise<void> {
  for (let left = count; left > 0; left -= WORKERS_AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(left, WORKERS_AT_ONCE) }, () => loadAndLeave()));
  }
}

test(`${WORKER_COUNT} workers load the addon and leave without a descriptor more`, async () => {
  await churn(WORKERS_AT_ONCE); // what Node opens once and keeps is open before we count
  const before = openDescriptorCount();
  await churn(WORKER_COUNT);
  assert.equal(openDescriptorCount(), before);
});

test('the main thread still has its addon after the workers left', async () => {
  await churn(WORKERS_AT_ONCE);
  const fd = addon.eventFd();
  await new Promise<void>((resolve) => {
    const waker = new addon.Waker(fd, () => {
      waker.close();
      resolve();
    });
    addon.signalEventFd(fd);
  });
  addon.closeFd(fd);
});
