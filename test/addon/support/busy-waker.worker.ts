// A worker that always has loop callbacks pending: every call of a waker signals it again.
// It says 'ready' once all its wakers were called, and goes on until it is terminated.
//   storm: callbacks return at once     spin: the last callback never returns     throw: callbacks throw
import { parentPort, workerData } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';

export type BusyMode = 'storm' | 'spin' | 'throw';

const addon = requireAddon();
const { fds, mode } = workerData as { fds: number[]; mode: BusyMode };
const called = new Set<number>();

function onWake(fd: number): void {
  addon.signalEventFd(fd);
  if (called.size < fds.length) {
    called.add(fd);
    if (called.size === fds.length) parentPort?.postMessage('ready');
  } else if (mode === 'spin') {
    for (;;);
  } else if (mode === 'throw') {
    throw new Error('thrown while being terminated');
  }
}

if (mode === 'throw') process.on('uncaughtException', () => {});
for (const fd of fds) {
  const waker = new addon.Waker(fd, () => onWake(fd));
  waker.ref(); // never closed: terminate() finds it open
  addon.signalEventFd(fd);
}
