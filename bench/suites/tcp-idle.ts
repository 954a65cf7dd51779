// Thousands of connections that do nothing: what each costs in memory, whether they are spread evenly over the
// threads, and whether everything is given back when they go. tcp.ts runs it; tcp-churn.ts has its turn on one server.
// The connections live in the generator's processes; memory is read when the server has been left in peace.

import { type CheckRule, judge } from '../report.js';
import { descriptorCount } from '../process-usage.js';
import { NODE_NET, reactorNet, type Transport, withMemoryAgent } from '../subjects.js';
import { type Bench, startSubjects } from '../suite.js';
import type { Subject, SubjectSpec } from '../subject.js';
import { holdIdle } from '../tlv-load.js';
import { runChurn } from './tcp-churn.js';
import { collectGarbage, SETTLE_TIMEOUT_MS, settledDescriptors, settledMemory } from './tcp-memory.js';

const THREADS = 2;
/** Opened and closed before anything is read: compiled code and first pages belong to no connection. */
const WARMUP_CONNECTIONS = 500;

const SPREAD: CheckRule = {
  id: 'tcp.idle.spread',
  title: 'idle connections, fullest thread - emptiest thread',
  unit: 'connections',
  bar: 1,
  better: 'lower',
};
const RSS: CheckRule = {
  id: 'tcp.idle.rss_over_node_net_bytes',
  title: 'RSS per idle connection, net transport, beyond plain node:net',
  unit: 'bytes',
  bar: 2048,
  better: 'lower',
};
const EPOLL_RSS: CheckRule = {
  id: 'tcp.idle.epoll_rss_bytes',
  title: 'RSS per idle connection, epoll transport',
  unit: 'bytes',
  bar: 1024,
  better: 'lower',
};
const DESCRIPTORS: CheckRule = {
  id: 'tcp.idle.fds_leaked',
  title: 'descriptors left after the idle connections closed',
  unit: 'descriptors',
  bar: 0,
  better: 'lower',
};
// 1 MiB over 15,000 connections is less than the smallest object each of them could leave behind. The first
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
export const IDLE_RULES: readonly CheckRule[] = [REFUSED, SPREAD, RSS, EPOLL_RSS, DESCRIPTORS, HEAP];

interface IdleFigures {
  notServed: number;
  rssPerConnection: number;
  descriptorsLeft: number;
  heapRetained: number;
}

/** The connections of every server at the same time: nothing here depends on the processors. */
export async function runIdle(bench: Bench): Promise<void> {
  const { idleConnections, idlePairs } = bench.effort;
  const rounds: ReadonlyMap<string, IdleFigures>[] = [];
  const spreads: number[] = [];
  for (let pair = 0; pair < idlePairs; pair += 1) {
    bench.progress(`idle: ${idleConnections} connections`);
    const subjects = await startSubjects(bench, [ours('net'), ours('epoll'), withMemoryAgent(NODE_NET)]);
    try {
      const figures = await Promise.all(
        subjects.map((subject) =>
          measureIdle(bench, subject, async (connected) => {
            if (subject.name !== NODE_NET.name) spreads.push(await connectionSpread(subject, connected));
          }),
        ),
      );
      const native = subjects.find(({ name }) => name === 'reactor-net/epoll');
      if (pair === 0 && native !== undefined) await runChurn(bench, native);
      rounds.push(new Map(subjects.map(({ name }, index) => [name, figures[index]!]))); // one each
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  }
  judgeIdle(bench, rounds, spreads);
}

function ours(transport: Transport): SubjectSpec {
  return withMemoryAgent(reactorNet('tcp', THREADS, transport, ['--stats-interval', '250ms']));
}

/** Memory differs from run to run; of what must never happen, once is too often. */
function judgeIdle(
  { report }: Bench,
  rounds: readonly ReadonlyMap<string, IdleFigures>[],
  spreads: readonly number[],
): void {
  const net = rounds.flatMap((round) => round.get('reactor-net/net') ?? []);
  const epoll = rounds.flatMap((round) => round.get('reactor-net/epoll') ?? []);
  const node = rounds.flatMap((round) => round.get(NODE_NET.name) ?? []);
  const own = [...net, ...epoll];
  const rss = ({ rssPerConnection }: IdleFigures): number => rssPerConnection;
  if (own.length > 0) {
    report.checks.push(
      judge(REFUSED, [Math.max(...own.map(({ notServed }) => notServed))]),
      judge(SPREAD, [Math.max(...spreads)]),
      judge(DESCRIPTORS, [Math.max(...own.map(({ descriptorsLeft }) => descriptorsLeft))]),
      judge(
        HEAP,
        own.map(({ heapRetained }) => heapRetained),
      ),
    );
  }
  if (epoll.length > 0) report.checks.push(judge(EPOLL_RSS, epoll.map(rss)));
  if (net.length > 0 && net.length === node.length) {
    const over = net.map((figures, index) => rss(figures) - rss(node[index]!)); // as many of both
    report.checks.push(judge(RSS, over));
  }
  for (const round of rounds) {
    const each = [...round].map(([name, figures]) => `${name} ${Math.round(rss(figures))} B`);
    report.notes.push(`idle, RSS per connection: ${each.join(', ')}`);
  }
}

async function measureIdle(
  { effort }: Bench,
  subject: Subject,
  whileIdle: (connected: number) => Promise<void>,
): Promise<IdleFigures> {
  const { idleConnections: connections, settleSeconds } = effort;
  const warmup = await holdIdle(subject, Math.min(WARMUP_CONNECTIONS, connections));
  await warmup.close();
  const descriptorsBefore = await settledDescriptors(subject, null);
  const before = await settledMemory(subject, settleSeconds);

  const idle = await holdIdle(subject, connections);
  const during = await settledMemory(subject, settleSeconds);
  const rssPerConnection = (during.rssBytes - before.rssBytes) / connections;
  await whileIdle(idle.connected);
  await idle.close();

  const descriptorsLeft = (await settledDescriptors(subject, descriptorsBefore)) - descriptorsBefore;
  const heapRetained = subject.name === NODE_NET.name ? 0 : await heapRetainedBy(subject, connections);
  return { notServed: connections - idle.connected, rssPerConnection, descriptorsLeft, heapRetained };
}

/** Bytes the heaps grow by when as many connections as before come and go once more. */
async function heapRetainedBy(subject: Subject, connections: number): Promise<number> {
  const descriptors = descriptorCount(subject.pid);
  const before = await collectGarbage(subject);
  const idle = await holdIdle(subject, connections);
  await idle.close();
  await settledDescriptors(subject, descriptors);
  return (await collectGarbage(subject)) - before;
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
