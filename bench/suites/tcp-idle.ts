// Thousands of connections that do nothing: what each costs in memory beyond plain node:net, whether they
// are spread evenly over the threads, and whether everything is given back when they go.
// The connections live in the generator's process; heaps are read after a forced collection.

import { setTimeout as delay } from 'node:timers/promises';
import { type CheckRule, judge } from '../report.js';
import { descriptorCount, residentBytes } from '../process-usage.js';
import { NODE_NET, reactorNet, withMemoryAgent } from '../subjects.js';
import { type Bench, startSubjects } from '../suite.js';
import type { Subject } from '../subject.js';
import { holdIdle } from '../tlv-load.js';

const THREADS = 2;
/** Opened and closed before anything is read: compiled code and first pages belong to no connection. */
const WARMUP_CONNECTIONS = 500;
const SETTLE_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

const SPREAD: CheckRule = {
  id: 'tcp.idle.spread',
  title: 'idle connections, fullest thread - emptiest thread',
  unit: 'connections',
  bar: 1,
  better: 'lower',
};
const RSS: CheckRule = {
  id: 'tcp.idle.rss_over_node_net_bytes',
  title: 'RSS per idle connection beyond plain node:net',
  unit: 'bytes',
  bar: 2048,
  better: 'lower',
};
const DESCRIPTORS: CheckRule = {
  id: 'tcp.idle.fds_leaked',
  title: 'descriptors left after the idle connections closed',
  unit: 'descriptors',
  bar: 0,
  better: 'lower',
};
// 1 MiB over 10,000 connections is less than the smallest object each of them could leave behind. The first
// wave grows tables to their size, which is kept; a second one must leave the heap where it found it.
const HEAP: CheckRule = {
  id: 'tcp.idle.heap_retained_bytes',
  title: 'heap of all threads left after the idle connections closed',
  unit: 'bytes',
  bar: 1024 * 1024,
  better: 'lower',
};
const REFUSED: CheckRule = {
  id: 'tcp.idle.not_served',
  title: 'idle connections that were not accepted and answered',
  unit: 'connections',
  bar: 0,
  better: 'lower',
};
export const IDLE_RULES: readonly CheckRule[] = [REFUSED, SPREAD, RSS, DESCRIPTORS, HEAP];

interface IdleFigures {
  notServed: number;
  rssPerConnection: number;
  descriptorsLeft: number;
}

export async function runIdle(bench: Bench): Promise<void> {
  const specs = [reactorNet('tcp', THREADS, 'net', ['--stats-interval', '250ms']), NODE_NET].map(
    withMemoryAgent,
  );
  const figures: IdleFigures[] = [];
  const spreads: number[] = [];
  const over: number[] = [];
  const retained: number[] = [];
  for (let pair = 0; pair < bench.effort.idlePairs; pair += 1) {
    bench.progress(`idle: ${bench.effort.idleConnections} connections`);
    const subjects = await startSubjects(bench, specs);
    try {
      const [ours, theirs] = subjects;
      if (ours === undefined || theirs === undefined) return;
      const count = bench.effort.idleConnections;
      const own = await measureIdle(ours, count, async (connected) => {
        spreads.push(await connectionSpread(ours, connected));
      });
      retained.push(await heapRetained(ours, count));
      const plain = await measureIdle(theirs, count, async () => {});
      figures.push(own);
      over.push(own.rssPerConnection - plain.rssPerConnection);
      bench.report.notes.push(
        `idle, RSS per connection: reactor-net/net ${Math.round(own.rssPerConnection)} B, ` +
          `node:net ${Math.round(plain.rssPerConnection)} B`,
      );
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  }
  // Memory differs from run to run; of what must never happen, once is too often.
  const worst = (pick: (figure: IdleFigures) => number): number[] => [Math.max(...figures.map(pick))];
  bench.report.checks.push(
    judge(
      REFUSED,
      worst(({ notServed }) => notServed),
    ),
    judge(SPREAD, [Math.max(...spreads)]),
    judge(RSS, over),
    judge(
      DESCRIPTORS,
      worst(({ descriptorsLeft }) => descriptorsLeft),
    ),
    judge(HEAP, retained),
  );
}

async function measureIdle(
  subject: Subject,
  connections: number,
  whileIdle: (connected: number) => Promise<void>,
): Promise<IdleFigures> {
  const warmup = await holdIdle(subject, Math.min(WARMUP_CONNECTIONS, connections));
  await warmup.close();
  const descriptorsBefore = await settledDescriptors(subject, null);
  await collectGarbage(subject);
  const rssBefore = residentBytes(subject.pid);

  const idle = await holdIdle(subject, connections);
  await collectGarbage(subject);
  const rssPerConnection = (residentBytes(subject.pid) - rssBefore) / connections;
  await whileIdle(idle.connected);
  await idle.close();

  const descriptorsLeft = (await settledDescriptors(subject, descriptorsBefore)) - descriptorsBefore;
  return { notServed: connections - idle.connected, rssPerConnection, descriptorsLeft };
}

/** Bytes the heaps grow by when as many connections as before come and go once more. */
async function heapRetained(subject: Subject, connections: number): Promise<number> {
  const descriptors = descriptorCount(subject.pid);
  const before = await collectGarbage(subject);
  const idle = await holdIdle(subject, connections);
  await idle.close();
  await settledDescriptors(subject, descriptors);
  return (await collectGarbage(subject)) - before;
}

/** Descriptors once they are down to `target` (null: once they stop falling), or at the deadline. */
async function settledDescriptors(subject: Subject, target: number | null): Promise<number> {
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

/** Bytes of all heaps of the process after a full collection (bench/peers/memory-agent.ts). */
async function collectGarbage(subject: Subject): Promise<number> {
  const answer = subject.nextLine('memory', SETTLE_TIMEOUT_MS);
  subject.signal('SIGUSR2');
  return Number((await answer)['heap_bytes']);
}

/** From the first stats line that counts all of them. */
async function connectionSpread(subject: Subject, connections: number): Promise<number> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const stats = await subject.nextLine('stats', SETTLE_TIMEOUT_MS);
    const threads = stats['threads'] as { thread: number | 'main'; connections: number }[]; // from `serve --json`
    const counts = threads.filter(({ thread }) => thread !== 'main').map(({ connections }) => connections);
    const sum = counts.reduce((total, count) => total + count, 0);
    if (sum === connections) return Math.max(...counts) - Math.min(...counts);
    if (performance.now() > deadline) throw new Error(`the stats count ${sum} of ${connections} connections`);
  }
}
