// TLV echo over UDP, 64-byte bodies: both our transports beside plain node:dgram and a C server on recvmmsg.
// The generator keeps `depth` datagrams in flight on each of its sockets, and counts those that get lost.

import { type CheckRule, judge } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { type Bench, checkRatio, interleave, type Rounds, startSubjects, type Suite } from '../suite.js';
import { C_RECVMMSG, NODE_DGRAM, reactorNet, TRANSPORTS } from '../subjects.js';
import type { Subject } from '../subject.js';
import { measureTlv, type TlvLoad } from '../tlv-load.js';

const CPU_VS_NODE_DGRAM: CheckRule = {
  id: 'udp.echo.c40.d1.cpu_vs_node_dgram',
  title: 'CPU per datagram, epoll transport / plain node:dgram',
  unit: 'ratio',
  bar: 0.6,
  better: 'lower',
};
const CPU_VS_C: CheckRule = {
  id: 'udp.echo.c40.d1.cpu_vs_c',
  title: 'CPU per datagram, epoll transport / C recvmmsg server',
  unit: 'ratio',
  bar: 1.5,
  better: 'lower',
};
const NET_CPU_VS_NODE_DGRAM: CheckRule = {
  id: 'udp.echo.c40.d1.net_cpu_vs_node_dgram',
  title: 'CPU per datagram, net transport / plain node:dgram',
  unit: 'ratio',
  bar: 1.3,
  better: 'lower',
};
const LOSS: CheckRule = {
  id: 'udp.echo.c40.d1.loss',
  title: 'share of datagrams without an answer, epoll transport',
  unit: 'share',
  bar: 0.001,
  better: 'lower',
};

type Point = Pick<TlvLoad, 'mode' | 'connections' | 'depth' | 'payloadBytes'>;

const JUDGED: Point = { mode: 'udp', connections: 40, depth: 1, payloadBytes: 64 };
const POINTS: readonly Point[] = [
  { ...JUDGED, connections: 1 },
  { ...JUDGED, depth: 4 }, // 160 in flight: what a receive buffer of the default size holds for sure
];

export const UDP: Suite = {
  name: 'udp',
  rules: [CPU_VS_NODE_DGRAM, CPU_VS_C, NET_CPU_VS_NODE_DGRAM, LOSS],
  async run(bench) {
    const ours = TRANSPORTS.map((transport) => reactorNet('udp', 1, transport));
    const subjects = await startSubjects(bench, [...ours, NODE_DGRAM, C_RECVMMSG]);
    try {
      await interleave(subjects, 1, (subject) => measureTlv(subject, loadOf(bench, JUDGED))); // compiles
      judgeEcho(bench, await runPoint(bench, subjects, JUDGED, bench.effort.pairs));
      if (!bench.effort.allPoints) return;
      for (const point of POINTS) await runPoint(bench, subjects, point, bench.effort.sidePairs);
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()));
    }
  },
};

function judgeEcho({ report }: Bench, rounds: Rounds): void {
  const cpuPerOp = (sample: Sample): number => sample.cpuPerOp;
  const [net, epoll] = ['reactor-net/net', 'reactor-net/epoll'] as const;
  checkRatio(report, CPU_VS_NODE_DGRAM, rounds, { ours: epoll, theirs: NODE_DGRAM.name }, cpuPerOp);
  checkRatio(report, CPU_VS_C, rounds, { ours: epoll, theirs: C_RECVMMSG.name }, cpuPerOp);
  checkRatio(report, NET_CPU_VS_NODE_DGRAM, rounds, { ours: net, theirs: NODE_DGRAM.name }, cpuPerOp);
  const shares =
    rounds.get(epoll)?.flatMap(({ loss }) => (loss === undefined ? [] : loss.lost / loss.sent)) ?? [];
  if (shares.length > 0) report.checks.push(judge(LOSS, shares));
}

function loadOf({ effort, loadCpu }: Bench, point: Point): TlvLoad {
  const { durationSeconds, warmupSeconds } = effort;
  return { ...point, durationSeconds, warmupSeconds, pinTo: loadCpu };
}

async function runPoint(
  bench: Bench,
  subjects: readonly Subject[],
  point: Point,
  rounds: number,
): Promise<Rounds> {
  const { connections, depth, payloadBytes } = point;
  bench.progress(`echo: ${connections} sockets, depth ${depth}, ${payloadBytes} B`);
  const samples = await interleave(subjects, rounds, (subject) => measureTlv(subject, loadOf(bench, point)));
  for (const [subject, list] of samples) {
    const params = { sockets: connections, depth, payload: payloadBytes };
    bench.report.results.push(toResult('echo', params, subject, list));
  }
  return samples;
}
