// What a server holds when it is left in peace: resident bytes, heaps and descriptors. tcp-idle.ts and
// tcp-churn.ts compare readings of it. The server must have the memory agent (withMemoryAgent).

import { setTimeout as delay } from 'node:timers/promises';
import { descriptorCount, residentBytes } from '../process-usage.js';
import type { Subject } from '../subject.js';

export const SETTLE_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

export interface SettledMemory {
  readonly rssBytes: number;
  /** Of all threads. */
  readonly heapBytes: number;
}

/**
 * Memory after `seconds` of peace between two collections. V8 gives the memory for new objects back when it
 * collects after some five seconds without load; until then up to 48 MB a thread belong to no connection.
 */
export async function settledMemory(subject: Subject, seconds: number): Promise<SettledMemory> {
  await collectGarbage(subject);
  await delay(seconds * 1000);
  const heapBytes = await collectGarbage(subject);
  return { rssBytes: residentBytes(subject.pid), heapBytes };
}

/** Bytes of all heaps of the process after a full collection (bench/peers/memory-agent.ts). */
export async function collectGarbage(subject: Subject): Promise<number> {
  const answer = subject.nextLine('memory', SETTLE_TIMEOUT_MS);
  subject.signal('SIGUSR2');
  return Number((await answer)['heap_bytes']);
}

/** Descriptors once they are down to `target` (null: once they stop falling), or at the deadline. */
export async function settledDescriptors(subject: Subject, target: number | null): Promise<number> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  let before = Number.POSITIVE_INFINITY;
  let now = descriptorCount(subject.pid);
  while (performance.now() < deadline && (target === null ? now < before : now > target)) {
    before = now;
    await delay(POLL_MS);
    now = descriptorCount(subject.pid);
  }
  return now;
}
