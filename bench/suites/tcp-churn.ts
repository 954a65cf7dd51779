// Connections that come, echo once and go, in search of leaks: the native transport's memory and descriptors after
// 100,000 of them, less those before. tcp-idle.ts lends its server; how fast they come is a point of tcp-echo.ts.

import { type CheckRule, judge } from '../report.js';
import type { Bench } from '../suite.js';
import type { Subject } from '../subject.js';
import { measureTlv } from '../tlv-load.js';
import { settledDescriptors, settledMemory } from './tcp-memory.js';

const AT_A_TIME = 40;
/** First a share of them: tables, code and the allocator's pages grow to what they stay at. */
const WARMUP_SHARE = 0.2;
/** A deadline, not a duration. */
const SECONDS_MAX = 60;

const NOT_SERVED: CheckRule = {
  id: 'tcp.churn.not_served',
  title: 'of 100,000 connections, opened and closed, those without an answer',
  unit: 'connections',
  bar: 0,
  better: 'lower',
};
const DESCRIPTORS: CheckRule = {
  id: 'tcp.churn.fds_leaked',
  title: 'descriptors left after 100,000 connections',
  unit: 'descriptors',
  bar: 0,
  better: 'lower',
};
// 10 bytes a connection: less than the smallest object each could leave behind.
const HEAP: CheckRule = {
  id: 'tcp.churn.heap_growth_bytes',
  title: 'heap of all threads after 100,000 connections less that before',
  unit: 'bytes',
  bar: 1024 * 1024,
  better: 'lower',
};
// 42 bytes a connection: less than a slot of the transport's tables. Pages come and go by 2 MiB of their own accord.
const MEMORY: CheckRule = {
  id: 'tcp.churn.rss_growth_bytes',
  title: 'RSS after 100,000 connections less that before',
  unit: 'bytes',
  bar: 4 * 1024 * 1024,
  better: 'lower',
};
export const CHURN_RULES: readonly CheckRule[] = [NOT_SERVED, DESCRIPTORS, HEAP, MEMORY];

/** `subject` has the memory agent. */
export async function runChurn(bench: Bench, subject: Subject): Promise<void> {
  const { churnConnections, settleSeconds } = bench.effort;
  bench.progress(`churn: ${churnConnections} connections`);
  await churn(bench, subject, Math.ceil(churnConnections * WARMUP_SHARE));
  const descriptors = await settledDescriptors(subject, null);
  const before = await settledMemory(subject, settleSeconds);
  const served = await churn(bench, subject, churnConnections);
  const descriptorsLeft = (await settledDescriptors(subject, descriptors)) - descriptors;
  const after = await settledMemory(subject, settleSeconds);
  bench.report.checks.push(
    judge(NOT_SERVED, [churnConnections - served]),
    judge(DESCRIPTORS, [descriptorsLeft]),
    judge(HEAP, [after.heapBytes - before.heapBytes]),
    judge(MEMORY, [after.rssBytes - before.rssBytes]),
  );
}

/** Opens and closes `visits` connections; gives how many were answered. */
async function churn(bench: Bench, subject: Subject, visits: number): Promise<number> {
  const { operations } = await measureTlv(subject, {
    mode: 'churn',
    connections: AT_A_TIME,
    depth: 1,
    payloadBytes: 64,
    visits,
    warmupSeconds: 0,
    durationSeconds: SECONDS_MAX,
    pinTo: bench.loadCpu,
  });
  return operations;
}
