// `GET /` answered with `hello world`, driven by wrk over 50 keep-alive connections: one thread beside
// plain node:http, two threads beside node:cluster with two processes.

import { autocannonReport } from '../autocannon.js';
import type { CheckRule } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { NODE_HTTP, nodePeer, reactorNet } from '../subjects.js';
import { type Bench, checkRatio, interleave, noteMissing, startSubjects, type Suite } from '../suite.js';
import type { SubjectSpec } from '../subject.js';
import { measureHttp, wrkMissingReason } from '../wrk.js';

const CONNECTIONS = 50;
/** Runs are longer than TLV's: wrk connects within them, which must not show in the cost of a request. */
const DURATION_FACTOR = 3;
const CLUSTER: SubjectSpec = nodePeer('node:cluster', 'node-cluster-http', ['2']);

const CPU_VS_NODE_HTTP: CheckRule = {
  id: 'http.hello.cpu_vs_node_http',
  title: 'CPU per request, reactor-net / plain node:http',
  unit: 'ratio',
  bar: 1.05,
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
  rules: [CPU_VS_NODE_HTTP, THROUGHPUT_VS_CLUSTER, CPU_VS_CLUSTER],
  async run(bench) {
    const reason = wrkMissingReason();
    if (reason !== null) {
      noteMissing(bench.report, 'wrk', reason);
      return;
    }
    await runHello(bench, 1, NODE_HTTP, [[CPU_VS_NODE_HTTP, cpuPerOp]]);
    await runHello(bench, 2, CLUSTER, [
      [THROUGHPUT_VS_CLUSTER, opsPerSecond],
      [CPU_VS_CLUSTER, cpuPerOp],
    ]);
  },
};

async function runHello(
  bench: Bench,
  threads: number,
  baseline: SubjectSpec,
  judged: readonly (readonly [CheckRule, (sample: Sample) => number])[],
): Promise<void> {
  bench.progress(`hello: ${threads} threads, ${CONNECTIONS} connections`);
  const { effort, report } = bench;
  const ours = reactorNet('http', threads);
  const subjects = await startSubjects(bench, [ours, baseline]);
  try {
    const durationSeconds = effort.durationSeconds * DURATION_FACTOR;
    const load = { connections: CONNECTIONS, durationSeconds, pinTo: bench.loadCpu };
    // The first requests are compiled, not measured.
    await interleave(subjects, 1, (subject) => measureHttp(subject, load));
    const rounds = await interleave(subjects, effort.pairs, (subject) => measureHttp(subject, load));
    for (const [subject, list] of rounds) {
      report.results.push(toResult('hello', { threads, connections: CONNECTIONS }, subject, list));
    }
    for (const [rule, pick] of judged) {
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
