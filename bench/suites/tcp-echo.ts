// TLV echo: CPU per message at several numbers of connections, depths and sizes, and latency at a fixed rate.
// tcp.ts runs it. A point names what is judged at it; whoever is compared there takes part in every round, the others
// in the first few.

import type { CheckRule } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { median } from '../statistics.js';
import type { Subject } from '../subject.js';
import { C_EPOLL, NODE_NET, reactorNet, TRANSPORTS } from '../subjects.js';
import {
  type Bench,
  checkRatio,
  interleave,
  interleaveJudged,
  type Rounds,
  startSubjects,
} from '../suite.js';
import { measureTlv, type TlvLoad } from '../tlv-load.js';

/**
 * Many rounds say more than long ones: what disturbs a shared machine lasts for seconds, so a pair of short rounds is
 * disturbed as one.
 */
const DURATION_FACTOR = 0.3;
const ROUNDS_FACTOR = 2;
/** Of plain node:net's peak in the same run: a load it carries. */
const PACED_SHARE = 0.8;
const LARGE_BYTES = 16 * 1024;

const NET = 'reactor-net/net';
const EPOLL = 'reactor-net/epoll';

export type EchoLoad = Pick<TlvLoad, 'mode' | 'connections' | 'depth' | 'payloadBytes' | 'rate'>;

/** One subject against another by one figure of each round. */
interface Judgement {
  readonly rule: CheckRule;
  readonly ours: string;
  readonly theirs: string;
  readonly pick: (sample: Sample) => number;
}

interface Point {
  readonly name: string;
  readonly load: EchoLoad;
  readonly judgements: readonly Judgement[];
}

const cpuPerOp = (sample: Sample): number => sample.cpuPerOp;

/** Where every comparison begins, and what servers are warmed up with. */
export const FIRST_POINT: EchoLoad = { mode: 'closed', connections: 40, depth: 1, payloadBytes: 64 };

const NET_VS_NODE_NET: Judgement = {
  rule: {
    id: 'tcp.echo.c40.d1.cpu_vs_node_net',
    title: 'CPU per message, net transport / plain node:net',
    unit: 'ratio',
    bar: 0.95,
    better: 'lower',
  },
  ours: NET,
  theirs: NODE_NET.name,
  pick: cpuPerOp,
};
const LARGE_VS_C: Judgement = {
  rule: {
    id: 'tcp.echo.c40.16k.bytes_per_cpu_vs_c',
    title: 'bytes per CPU second, 16 KiB bodies, epoll / C epoll server',
    unit: 'ratio',
    bar: 0.75,
    better: 'higher',
  },
  ours: EPOLL,
  theirs: C_EPOLL.name,
  pick: (sample) => 1 / sample.cpuPerOp, // as many bytes in every message
};
const PACED_VS_NODE_NET: Judgement = {
  rule: {
    id: 'tcp.paced.c40.d1.p99_vs_node_net',
    title: "p99 at 80 % of plain node:net's peak, epoll / node:net",
    unit: 'ratio',
    bar: 1,
    better: 'lower',
  },
  ours: EPOLL,
  theirs: NODE_NET.name,
  pick: (sample) => sample.p99,
};

const FIRST: Point = {
  name: 'echo',
  load: FIRST_POINT,
  judgements: [NET_VS_NODE_NET, epollVsC(40, 1, 1.2), epollVsNodeNet(40, 0.8)],
};
const POINTS: readonly Point[] = [
  ...[10, 200].map((connections) => ({
    name: 'echo',
    load: { ...FIRST_POINT, connections },
    judgements: [epollVsC(connections, 1, 1.2), epollVsNodeNet(connections, 0.8)],
  })),
  ...[10, 40, 200].map((connections) => ({
    name: 'echo',
    load: { ...FIRST_POINT, connections, depth: 16 },
    judgements: [epollVsC(connections, 16, 1.7)],
  })),
  { name: 'echo', load: { ...FIRST_POINT, payloadBytes: LARGE_BYTES }, judgements: [LARGE_VS_C] },
];
const CHURN: Point = {
  name: 'churn',
  load: { ...FIRST_POINT, mode: 'churn', connections: 10 },
  judgements: [],
};

export const ECHO_RULES: readonly CheckRule[] = [
  ...[FIRST, ...POINTS].flatMap((point) => point.judgements.map(({ rule }) => rule)),
  PACED_VS_NODE_NET.rule,
];

export async function runEcho(bench: Bench): Promise<void> {
  const ours = TRANSPORTS.map((transport) => reactorNet('tcp', 1, transport));
  const subjects = await startSubjects(bench, [...ours, NODE_NET, C_EPOLL]);
  const { sidePairs, allPoints } = bench.effort;
  const pairs = bench.effort.pairs * ROUNDS_FACTOR;
  const pointPairs = bench.effort.pointPairs * ROUNDS_FACTOR;
  try {
    // Every thread of a fresh server first compiles what it runs; that is not measured.
    await interleave(subjects, 1, (subject) => measureTlv(subject, loadAt(bench, FIRST_POINT)));
    const first = await runPoint(bench, subjects, FIRST, pairs);
    if (!allPoints) return;
    for (const point of POINTS) await runPoint(bench, subjects, point, pointPairs);
    await runPaced(bench, subjects, first.get(NODE_NET.name) ?? []);
    await runPoint(bench, subjects, CHURN, sidePairs);
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
  }
}

export function loadAt({ effort, loadCpu }: Bench, load: EchoLoad): TlvLoad {
  const durationSeconds = effort.durationSeconds * DURATION_FACTOR;
  return { ...load, durationSeconds, warmupSeconds: effort.warmupSeconds, pinTo: loadCpu };
}

/** `peak`: the rounds of plain node:net in a closed loop. */
async function runPaced(bench: Bench, subjects: readonly Subject[], peak: readonly Sample[]): Promise<void> {
  if (peak.length === 0) return;
  const rate = Math.round(PACED_SHARE * median(peak.map((sample) => sample.opsPerSecond)));
  const load: EchoLoad = { ...FIRST_POINT, mode: 'rate', rate };
  const point = { name: 'paced', load, judgements: [PACED_VS_NODE_NET] };
  await runPoint(bench, subjects, point, bench.effort.pointPairs);
}

async function runPoint(
  bench: Bench,
  subjects: readonly Subject[],
  { name, load, judgements }: Point,
  pairs: number,
): Promise<Rounds> {
  const { connections, depth, payloadBytes, rate } = load;
  bench.progress(`${name}: ${connections} connections, depth ${depth}, ${payloadBytes} B`);
  const measure = (subject: Subject): Promise<Sample> => measureTlv(subject, loadAt(bench, load));
  const judged = new Set(judgements.flatMap(({ ours, theirs }) => [ours, theirs]));
  const { sidePairs } = bench.effort;
  const rounds = await interleaveJudged(subjects, judged, { pairs, sidePairs }, measure);
  const params = {
    connections,
    depth,
    payload: payloadBytes,
    ...(rate === undefined ? {} : { rate }),
  };
  for (const [subject, samples] of rounds) {
    bench.report.results.push(toResult(name, params, subject, samples));
  }
  for (const { rule, ours, theirs, pick } of judgements) {
    checkRatio(bench.report, rule, rounds, { ours, theirs }, pick);
  }
  return rounds;
}

function epollVsC(connections: number, depth: number, bar: number): Judgement {
  const rule: CheckRule = {
    id: `tcp.echo.c${connections}.d${depth}.cpu_vs_c`,
    title: `CPU per message, ${connections} connections, depth ${depth}, epoll / C epoll server`,
    unit: 'ratio',
    bar,
    better: 'lower',
  };
  return { rule, ours: EPOLL, theirs: C_EPOLL.name, pick: cpuPerOp };
}

function epollVsNodeNet(connections: number, bar: number): Judgement {
  const rule: CheckRule = {
    id: `tcp.echo.c${connections}.d1.epoll_vs_node_net`,
    title: `CPU per message, ${connections} connections, epoll / plain node:net`,
    unit: 'ratio',
    bar,
    better: 'lower',
  };
  return { rule, ours: EPOLL, theirs: NODE_NET.name, pick: cpuPerOp };
}
