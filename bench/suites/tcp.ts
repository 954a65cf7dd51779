// TLV over TCP: ours beside plain node:net and a C epoll server, in turn, on the same load.
// The generator is native and a process of its own. Each file tcp-*.ts is one kind of work and what is judged of it.

import { type Bench, interleave, startSubjects, type Suite } from '../suite.js';
import { reactorNet } from '../subjects.js';
import { toResult } from '../sample.js';
import { measureTlv } from '../tlv-load.js';
import { CHURN_RULES } from './tcp-churn.js';
import { ECHO_RULES, FIRST_POINT, loadAt, runEcho } from './tcp-echo.js';
import { runFiles } from './tcp-files.js';
import { IDLE_RULES, runIdle } from './tcp-idle.js';

// The design notes' table: C++ on 2 cores, 130k a second on one thread, 160k on two and more.
const GRID_THREADS = [1, 2, 4, 8];
const GRID_CONNECTIONS = [10, 40];
const PUBLISHED_OPS = { one: 130_000, more: 160_000 };

export const TCP: Suite = {
  name: 'tcp',
  rules: [...ECHO_RULES, ...CHURN_RULES, ...IDLE_RULES],
  async run(bench) {
    await runEcho(bench);
    if (bench.effort.allPoints) {
      await runGrid(bench);
      await runFiles(bench);
    }
    await runIdle(bench);
  },
};

async function runGrid(bench: Bench): Promise<void> {
  for (const threads of GRID_THREADS) {
    bench.progress(`grid: ${threads} threads`);
    const subjects = await startSubjects(bench, [reactorNet('tcp', threads)]);
    try {
      await interleave(subjects, 1, (subject) => measureTlv(subject, loadAt(bench, FIRST_POINT)));
      for (const connections of GRID_CONNECTIONS) {
        const load = loadAt(bench, { ...FIRST_POINT, connections });
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
