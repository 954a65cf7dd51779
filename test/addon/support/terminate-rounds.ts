// A process of its own: terminates busy workers, round after round, and exits 0 if it survives and leaks no descriptor.
//   node terminate-rounds.js ROUNDS
// Prints one JSON line { rounds, descriptorsBefore, descriptorsAfter }.
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';
import type { BusyMode } from './busy-waker.worker.js';
import { openDescriptorCount } from './loopback.js';

const MODES: readonly BusyMode[] = ['storm', 'spin', 'throw'];
const WAKERS_PER_WORKER = 8;
const WORKERS_AT_ONCE = 4;

const addon = requireAddon();

async function terminateOne(round: number): Promise<void> {
  const fds = Array.from({ length: WAKERS_PER_WORKER }, () => addon.eventFd());
  const mode = MODES[round % MODES.length];
  const worker = new Worker(new URL('busy-waker.worker.js', import.meta.url), { workerData: { fds, mode } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const terminated = worker.terminate();
  // From outside as well, while it is going down.
  for (const fd of fds) addon.signalEventFd(fd);
  await terminated;
  for (const fd of fds) addon.closeFd(fd);
}

async function terminateMany(rounds: number): Promise<void> {
  for (let first = 0; first < rounds; first += WORKERS_AT_ONCE) {
    const batch = Array.from({ length: Math.min(WORKERS_AT_ONCE, rounds - first) }, (_, i) =>
      terminateOne(first + i),
    );
    await Promise.all(batch);
  }
}

const rounds = Number(process.argv[2]);
await terminateMany(WORKERS_AT_ONCE); // what Node opens once and keeps is open before we count
const descriptorsBefore = openDescriptorCount();
await terminateMany(rounds);
const descriptorsAfter = openDescriptorCount();
process.stdout.write(`${JSON.stringify({ rounds, descriptorsBefore, descriptorsAfter })}\n`);
process.exitCode = descriptorsAfter === descriptorsBefore ? 0 : 1;
