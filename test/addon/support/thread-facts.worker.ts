// Names and pins its own thread, then tells what the kernel says about it and exits.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

import { requireAddon } from '../../../addon/index.js';

export interface ThreadFacts {
  readonly threadId: number;
  readonly comm: string;
  readonly affinity: number[];
  readonly cpu: { user: number; system: number };
}

const addon = requireAddon();
const { name, cpus } = workerData as { name: string; cpus: number[] };
addon.setThreadName(name);
addon.setThreadAffinity(cpus);
const threadId = addon.threadId();
const facts: ThreadFacts = {
  threadId,
  comm: readFileSync(`/proc/self/task/${threadId}/comm`, 'utf8').trim(),
  affinity: addon.threadAffinity(),
  cpu: addon.threadCpuMicros(),
};
parentPort?.postMessage(facts);
