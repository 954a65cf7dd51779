// `GET /` answered with `hello world`, driven by wrk over 50 keep-alive connections: one thread beside
// plain node:http, on both transports, and two threads beside node:cluster with two processes. http-smuggling.ts is
// about what is refused.

import { autocannonReport } from '../autocannon.js';
import type { CheckRule } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { NODE_HTTP, nodePeer, reactorNet } from '../subjects.js';
import { type Bench, checkRatio, interleave, noteMissing, startSubjects, type Suite } from '../suite.js';
import type { SubjectSpec } from '../subject.js';
import { runSmuggling, SMUGGLING_RULES } from './http-smuggling.js';
import { measureHttp, wrkMissingReason } from '../wrk.js';

const CONNECTIONS = 50;
/** Runs are longer than TLV's: wrk connects within them, which must not show in the cost of a request. */
const DURATION_FACTOR = 3;
const CLUSTER: SubjectSpec = nodePeer('node:cluster', 'node-cluster-http', ['2']);
const [NET, EPOLL] = [reactorNet('http', 1), reactorNet('http', 1, 'epoll')];
const NET_T2 = reactorNet('http', 2);

const CPU_VS_NODE_HTTP: CheckRule = {
  id: 'http.hello.cpu_vs_node_http',
  title: 'CPU per request, reactor-net / plain node:http',
  unit: 'ratio',
  bar: 1.05,
  better: 'lower',
};
const EPOLL_CPU_VS_NODE_HTTP: CheckRule = {
  id: 'http.hello.epoll.cpu_vs_node_http',
  title: 'CPU per request, reactor-net on epoll / plain node:http',
  unit: 'ratio',
  bar: 0.6,
  better: 'lower',
};
const THROUGHPUT_VS_CLUSTER: CheckRule = {
  id: 'http.hello.t2.throughput_vs_cluster',
  title: 'requests per second, 2 threads / node:cluster with 2 processes',
  unit: 'ratio',
  bar: 0.95,
  better: 'higher',
};
const CPU_VS_CLUSTER: CheckRule = {
  id: 'http.hello.t2.cpu_vs_cluster',
  title: 'CPU per request, 2 threads / node:cluster with 2 processes',
  unit: 'ratio',
  bar: 1,
  better: 'lower',
};

const cpuPerOp = (sample: Sample): number => sample.cpuPerOp;
const opsPerSecond = (sample: Sample): number => sample.opsPerSecond;

export const HTTP: Suite = {
  name: 'http',
  rules: [
    CPU_VS_NODE_HTTP,
    EPOLL_CPU_VS_NODE_HTTP,
    THROUGHPUT_VS_CLUSTER,
    CPU_VS_CLUSTER,
    ...SMUGGLING_RULES,
  ],
  async run(bench) {
    await runSmuggling(bench);
    const reason = wrkMissingReason();
    if (reason !== null) {
      noteMissing(bench.report, 'wrk', reason);
      return;
    }
    await runHello(bench, 1, NODE_HTTP, [
      { rule: CPU_VS_NODE_HTTP, ours: NET, pick: cpuPerOp },
      { rule: EPOLL_CPU_VS_NODE_HTTP, ours: EPOLL, pick: cpuPerOp },
    ]);
    await runHello(bench, 2, CLUSTER, [
      { rule: THROUGHPUT_VS_CLUSTER, ours: NET_T2, pick: opsPerSecond },
      { rule: CPU_VS_CLUSTER, ours: NET_T2, pick: cpuPerOp },
    ]);
  },
};

interface Judged {
  readonly rule: CheckRule;
  readonly ours: SubjectSpec;
  readonly pick: (sample: Sample) => number;
}

async function runHello(
  bench: Bench,
  threads: number,
  baseline: SubjectSpec,
  judged: readonly Judged[],
): Promise<void> {
  bench.progress(`hello: ${threads} threads, ${CONNECTIONS} connections`);
  const { effort, report } = bench;
  const specs = new Set([...judged.map(({ ours }) => ours), baseline]);
  const subjects = await startSubjects(bench, [...specs]);
  try {
    const durationSeconds = effort.durationSeconds * DURATION_FACTOR;
    const load = { connections: CONNECTIONS, durationSeconds, pinTo: bench.loadCpu };
    // The first requests are compiled, not measured.
    await interleave(subjects, 1, (subject) => measureHttp(subject, load));
    const rounds = await interleave(subjects, effort.pairs, (subject) => measureHttp(subject, load));
    for (const [subject, list] of rounds) {
      report.results.push(toResult('hello', { threads, connections: CONNECTIONS }, subject, list));
    }
    for (const { rule, ours, pick } of judged) {
      checkRatio(report, rule, rounds, { ours: ours.name, theirs: baseline.name }, pick);
    }
    if (effort.name === 'smoke') return;
    for (const subject of subjects) {
      const own = await autocannonReport(subject, CONNECTIONS, Math.ceil(durationSeconds));
      report.notes.push(`autocannon, ${subject.name}, ${threads} threads\n${own}`);
    }
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
  }
}
