// A process of its own: terminates workers whose transports are busy, and exits 0 if it survives and leaks nothing.
//   node terminate-transport-rounds.js ROUNDS streams|datagrams
// Prints one JSON line { rounds, descriptorsBefore, descriptorsAfter }.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';
import type { BusyDatagramsMode } from './busy-datagrams.worker.js';
import type { BusyTransportMode } from './busy-transport.worker.js';
import { openDescriptorCount } from './loopback.js';

const STREAM_MODES: readonly BusyTransportMode[] = ['storm', 'spin', 'throw', 'backlog'];
const DATAGRAM_MODES: readonly BusyDatagramsMode[] = ['storm', 'spin', 'throw', 'refused'];
const WORKERS_AT_ONCE = 4;

const isDatagrams = process.argv[3] === 'datagrams';
const modes = isDatagrams ? DATAGRAM_MODES : STREAM_MODES;
const busy = new URL(isDatagrams ? 'busy-datagrams.worker.js' : 'busy-transport.worker.js', import.meta.url);

requireAddon(); // stays loaded between two rounds

async function terminateOne(round: number): Promise<void> {
  const worker = new Worker(busy, { workerData: { mode: modes[round % modes.length] } });
  await once(worker, 'message');
  await worker.terminate();
}

async function terminateMany(rounds: number): Promise<void> {
  for (let first = 0; first < rounds; first += WORKERS_AT_ONCE) {
    const count = Math.min(WORKERS_AT_ONCE, rounds - first);
    await Promise.all(Array.from({ length: count }, (_, i) => terminateOne(first + i)));
  }
}

const rounds = Number(process.argv[2]);
await terminateMany(WORKERS_AT_ONCE); // what Node opens once and keeps is open before we count
const descriptorsBefore = openDescriptorCount();
await terminateMany(rounds);
const descriptorsAfter = openDescriptorCount();
process.stdout.write(`${JSON.stringify({ rounds, descriptorsBefore, descriptorsAfter })}\n`);
process.exitCode = descriptorsAfter === descriptorsBefore ? 0 : 1;
