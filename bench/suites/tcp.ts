// TLV echo over TCP: ours beside plain node:net and a C epoll server, in turn, on the same load.
// The generator is native and a process of its own; files are in tcp-files.ts, idle connections in tcp-idle.ts.

import type { CheckRule } from '../report.js';
import { toResult } from '../sample.js';
import { type Bench, checkRatio, interleave, type Rounds, startSubjects, type Suite } from '../suite.js';
import { C_EPOLL, NODE_NET, TRANSPORTS, reactorNet } from '../subjects.js';
import type { Subject } from '../subject.js';
import { measureTlv, type TlvLoad } from '../tlv-load.js';
import { runFiles } from './tcp-files.js';
import { IDLE_RULES, runIdle } from './tcp-idle.js';

const CPU_VS_NODE_NET: CheckRule = {
  id: 'tcp.echo.c40.d1.cpu_vs_node_net',
  title: 'CPU per message, net transport / plain node:net',
  unit: 'ratio',
  bar: 0.95,
  better: 'lower',
};

type Point = Pick<TlvLoad, 'mode' | 'connections' | 'depth' | 'payloadBytes' | 'rate'> & { name: string };

const JUDGED: Point = { name: 'echo', mode: 'closed', connections: 40, depth: 1, payloadBytes: 64 };
const POINTS: readonly Point[] = [
  { ...JUDGED, connections: 10 },
  { ...JUDGED, connections: 200 },
  { ...JUDGED, depth: 16 },
  { ...JUDGED, payloadBytes: 16 * 1024 },
  { ...JUDGED, name: 'paced', mode: 'rate', rate: 20_000 },
  { ...JUDGED, name: 'churn', mode: 'churn', connections: 10 },
];

// The design notes' table: C++ on 2 cores, 130k a second on one thread, 160k on two and more.
const GRID_THREADS = [1, 2, 4, 8];
const GRID_CONNECTIONS = [10, 40];
const PUBLISHED_OPS = { one: 130_000, more: 160_000 };

export const TCP: Suite = {
  name: 'tcp',
  rules: [CPU_VS_NODE_NET, ...IDLE_RULES],
  async run(bench) {
    await runEcho(bench);
    await runGrid(bench);
    await runFiles(bench);
    await runIdle(bench);
  },
};

async function runEcho(bench: Bench): Promise<void> {
  const ours = TRANSPORTS.map((transport) => reactorNet('tcp', 1, transport));
  const subjects = await startSubjects(bench, [...ours, NODE_NET, C_EPOLL]);
  try {
    await warmUp(bench, subjects);
    const judged = await runPoint(bench, subjects, JUDGED, bench.effort.pairs);
    const names = { ours: 'reactor-net/net', theirs: NODE_NET.name };
    checkRatio(bench.report, CPU_VS_NODE_NET, judged, names, (sample) => sample.cpuPerOp);
    if (!bench.effort.allPoints) return;
    for (const point of POINTS) await runPoint(bench, subjects, point, bench.effort.sidePairs);
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
  }
}

/** Every thread of a fresh server first compiles what it runs; that is not measured. */
async function warmUp(bench: Bench, subjects: readonly Subject[]): Promise<void> {
  const { durationSeconds, warmupSeconds } = bench.effort;
  const load: TlvLoad = { ...JUDGED, durationSeconds, warmupSeconds, pinTo: bench.loadCpu };
  await interleave(subjects, 1, (subject) => measureTlv(subject, load));
}

async function runPoint(
  bench: Bench,
  subjects: readonly Subject[],
  point: Point,
  rounds: number,
): Promise<Rounds> {
  bench.progress(
    `${point.name}: ${point.connections} connections, depth ${point.depth}, ${point.payloadBytes} B`,
  );
  const { durationSeconds, warmupSeconds } = bench.effort;
  const load: TlvLoad = { ...point, durationSeconds, warmupSeconds, pinTo: bench.loadCpu };
  const samples = await interleave(subjects, rounds, (subject) => measureTlv(subject, load));
  const params = {
    connections: point.connections,
    depth: point.depth,
    payload: point.payloadBytes,
    ...(point.rate === undefined ? {} : { rate: point.rate }),
  };
  for (const [subject, list] of samples) {
    bench.report.results.push(toResult(point.name, params, subject, list));
  }
  return samples;
}

async function runGrid(bench: Bench): Promise<void> {
  const threadCounts = bench.effort.allPoints ? GRID_THREADS : GRID_THREADS.slice(0, 1);
  const { durationSeconds, warmupSeconds } = bench.effort;
  for (const threads of threadCounts) {
    bench.progress(`grid: ${threads} threads`);
    const subjects = await startSubjects(bench, [reactorNet('tcp', threads)]);
    try {
      await warmUp(bench, subjects);
      for (const connections of GRID_CONNECTIONS) {
        const load = { ...JUDGED, connections, durationSeconds, warmupSeconds, pinTo: bench.loadCpu };
        const samples = await interleave(subjects, bench.effort.sidePairs, (subject) =>
          measureTlv(subject, load),
        );
        const params = { threads, connections, depth: load.depth, payload: load.payloadBytes };
        for (const [subject, list] of samples) {
          const published_ops_per_s = threads === 1 ? PUBLISHED_OPS.one : PUBLISHED_OPS.more;
          bench.report.results.push({ ...toResult('grid', params, subject, list), published_ops_per_s });
        }
      }
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  }
}
