// Waker: an eventfd signalled by any thread becomes one call on the loop that watches it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../addon/index.js';
import { invalidArgument, openDescriptorCount, systemCallFailed } from './support/loopback.js';

const addon = requireAddon();

/** Runs the loop often enough for a pending eventfd to be seen. */
async function fewTurns(): Promise<void> {
  for (let i = 0; i < 5; i++) await nextTurn();
}

function workerFile(name: string): URL {
  return new URL(`support/${name}.worker.js`, import.meta.url);
}

test('another thread wakes the loop', async () => {
  const fd = addon.eventFd();
  const woken = new Promise<void>((resolve) => {
    const waker = new addon.Waker(fd, () => {
      waker.close();
      resolve();
    });
  });
  const worker = new Worker(workerFile('signaller'), { workerData: { fd, signalCount: 1 } });
  const exited = once(worker, 'exit');
  await woken;
  await exited;
  addon.closeFd(fd);
});

test('many signals before the loop turns are one call', async () => {
  const fd = addon.eventFd();
  let calls = 0;
  const waker = new addon.Waker(fd, () => {
    calls++;
  });
  for (let i = 0; i < 1000; i++) addon.signalEventFd(fd);
  await fewTurns();
  assert.equal(calls, 1);
  addon.signalEventFd(fd);
  await fewTurns();
  assert.equal(calls, 2);
  waker.close();
  addon.closeFd(fd);
});

test('signals sent before the waker exists are seen', async () => {
  const fd = addon.eventFd();
  addon.signalEventFd(fd);
  let calls = 0;
  const waker = new addon.Waker(fd, () => {
    calls++;
  });
  await fewTurns();
  assert.equal(calls, 1);
  waker.close();
  addon.closeFd(fd);
});

test('promises settled by the callback run before the loop goes on', async () => {
  const fd = addon.eventFd();
  const order: string[] = [];
  const waker = new addon.Waker(fd, () => {
    order.push('callback');
    process.nextTick(() => order.push('tick'));
    void Promise.resolve().then(() => order.push('promise'));
    setImmediate(() => order.push('immediate'));
  });
  addon.signalEventFd(fd);
  await fewTurns();
  assert.deepEqual(order, ['callback', 'tick', 'promise', 'immediate']);
  waker.close();
  addon.closeFd(fd);
});

test('nothing is called after close, which may be repeated and may come from the callback', async () => {
  const fd = addon.eventFd();
  let calls = 0;
  const waker = new addon.Waker(fd, () => {
    calls++;
    waker.close();
    addon.signalEventFd(fd);
  });
  addon.signalEventFd(fd);
  await fewTurns();
  waker.close();
  waker.close();
  waker.ref().unref();
  addon.signalEventFd(fd);
  await fewTurns();
  assert.equal(calls, 1);
  addon.closeFd(fd);
});

test('the eventfd stays open after close and can be watched again', async () => {
  const before = openDescriptorCount();
  const fd = addon.eventFd();
  for (let round = 0; round < 100; round++) {
    const woken = new Promise<void>((resolve) => {
      const waker = new addon.Waker(fd, () => {
        waker.close();
        resolve();
      });
    });
    addon.signalEventFd(fd);
    await woken;
  }
  addon.closeFd(fd);
  assert.equal(openDescriptorCount(), before);
});

test('an error thrown by the callback is an uncaught exception of that thread alone', async () => {
  const worker = new Worker(workerFile('throwing-waker'));
  const errors: Error[] = [];
  worker.on('error', (error) => errors.push(error));
  const code = await new Promise((resolve) => worker.once('exit', resolve));
  assert.equal(code, 1);
  assert.deepEqual(
    errors.map(({ name, message }) => ({ name, message })),
    [{ name: 'RangeError', message: 'thrown by the callback' }],
  );
});

test('a thread with an open but unref-ed waker ends by itself', async () => {
  const fd = addon.eventFd();
  const worker = new Worker(workerFile('idle-waker'), { workerData: { fd } });
  const [code] = (await once(worker, 'exit')) as [number];
  assert.equal(code, 0);
  addon.closeFd(fd);
});

test('a number that is not an eventfd is refused', () => {
  const file = openSync('/dev/null', 'r');
  assert.throws(() => new addon.Waker(file, () => {}), invalidArgument('fd'));
  closeSync(file);
  assert.throws(() => new addon.Waker(19_999, () => {}), systemCallFailed('EBADF', 'fcntl'));
  assert.throws(() => new addon.Waker(-1, () => {}), invalidArgument('fd'));
});

test('a second waker on the same eventfd and thread is refused and the first goes on', async () => {
  const fd = addon.eventFd();
  let calls = 0;
  const waker = new addon.Waker(fd, () => {
    calls++;
  });
  assert.throws(() => new addon.Waker(fd, () => {}), systemCallFailed('EEXIST', 'uv_poll_init'));
  // @ts-expect-error a callback is required
  assert.throws(() => new addon.Waker(fd), invalidArgument('callback'));
  addon.signalEventFd(fd);
  await fewTurns();
  assert.equal(calls, 1);
  waker.close();
  addon.closeFd(fd);
});
