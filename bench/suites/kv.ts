// KV: our three members beside etcd's three and one Redis, in turn, on the same load and the same disk.
// Puts and gets by generators of one make (bench/kv/load.ts), each with the client of its store; SET by redis-benchmark.
// What the disk itself does is measured beside, with three writers. kv-catchup.ts and kv-store.ts have the rest.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureRedis, redisBenchmarkMissing } from '../kv/redis-benchmark.js';
import { type DiskSpeed, measureFdatasync, measureStore, type StoreLoad } from '../kv/store-load.js';
import { ETCD, etcd, leaderOf, OURS, ours, REDIS, redis } from '../kv/stores.js';
import { type CheckRule, judge } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import type { Subject } from '../subject.js';
import {
  type Bench,
  checkRatio,
  interleave,
  noteMissing,
  type Rounds,
  startSubjects,
  type Suite,
} from '../suite.js';
import { CATCHUP_RULES, runCatchup } from './kv-catchup.js';
import { runOrderedStore, STORE_RULES } from './kv-store.js';

const PAYLOAD = 256;
const KEYS = 1000;
const CONNECTIONS = 50;
const MEMBERS = 3;
/** The client is a program that is compiled as it runs, and so are our members. */
const WARMUP_SECONDS = 0.8;
const WARM_UP_ROUND_SECONDS = 5;
const WARMUP_REQUESTS = 2000;

const PUT_64 = ratio(
  'kv.put.c64.throughput_vs_etcd',
  'puts per second, 64 clients, kv / etcd',
  2.5,
  'higher',
);
const PUT_256 = ratio(
  'kv.put.c256.throughput_vs_etcd',
  'puts per second, 256 clients, kv / etcd',
  2.5,
  'higher',
);
const PUT_1: CheckRule = {
  id: 'kv.put.c1.p50_above_fdatasync',
  title: 'p50 of one client’s puts, less the p50 of fdatasync under three writers',
  unit: 'ms',
  bar: 1,
  better: 'lower',
};
const GET_64 = ratio(
  'kv.get.c64.throughput_vs_etcd',
  'linearizable gets per second, 64 clients, kv / etcd',
  2.5,
  'higher',
);
const GET_CPU = ratio(
  'kv.get.c64.cpu_vs_put',
  'CPU of all members per get / per put, 64 clients',
  0.5,
  'lower',
);
const SETS = [
  {
    pipelined: 1,
    rule: ratio('kv.set.c50.throughput_vs_redis', 'redis-benchmark -t set -c 50, kv / Redis', 0.35, 'higher'),
  },
  {
    pipelined: 16,
    rule: ratio(
      'kv.set.c50p16.throughput_vs_redis',
      'redis-benchmark -t set -c 50 -P 16, kv / Redis',
      0.2,
      'higher',
    ),
  },
] as const;

/** The generator is a new process each round: at one client's pace it would be interpreted for most of its time. */
const CROWD_SECONDS = 2;

export const KV: Suite = {
  name: 'kv',
  rules: [
    PUT_64,
    PUT_256,
    PUT_1,
    GET_64,
    GET_CPU,
    ...SETS.map(({ rule }) => rule),
    ...CATCHUP_RULES,
    ...STORE_RULES,
  ],
  async run(bench) {
    const folder = mkdtempSync(join(tmpdir(), 'reactor-net-bench-kv-'));
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    process.on('exit', remove); // also when the bench is interrupted
    try {
      await runStores(bench, folder);
      if (bench.effort.allPoints) await runCatchup(bench, folder);
      await runOrderedStore(bench);
    } finally {
      process.off('exit', remove);
      remove();
    }
  },
};

async function runStores(bench: Bench, folder: string): Promise<void> {
  const subjects = await startSubjects(bench, [ours(folder), etcd(folder), redis(folder)]);
  try {
    const stores = subjects.filter(({ name }) => name !== REDIS);
    if (bench.effort.judged) await warmUp(bench, stores);
    await runClients(bench, stores);
    if (bench.effort.allPoints) {
      await runMany(bench, stores);
      await runOne(bench, stores, folder);
    }
    await runSets(
      bench,
      subjects.filter(({ name }) => name !== ETCD),
    );
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
  }
}

/** The first calls compile our members, and make the files of all stores; with few rounds there is no time to leave them out. */
async function warmUp(bench: Bench, stores: readonly Subject[]): Promise<void> {
  bench.progress('warm-up');
  const load = { ...loadFor(bench, 'put', 64), durationSeconds: WARM_UP_ROUND_SECONDS };
  await interleave(stores, 1, (store) => measureStore(store, load));
}

/** Each round of puts is followed by one of gets, so that the two can be compared pair by pair. */
async function runClients(bench: Bench, stores: readonly Subject[]): Promise<void> {
  bench.progress(`put and get: 64 clients, ${PAYLOAD} B`);
  const { effort } = bench;
  const pairs = effort.judged ? effort.pairs : Math.min(effort.pairs, 2);
  const filled = new Set<string>();
  const gets = new Map<string, Sample[]>(stores.map(({ name }) => [name, []]));
  const puts = await interleave(stores, pairs, async (store) => {
    const sample = await measureStore(store, loadFor(bench, 'put', 64));
    if (!effort.allPoints) return sample;
    const isFilling = !filled.has(store.name);
    filled.add(store.name);
    gets.get(store.name)?.push(await measureStore(store, { ...loadFor(bench, 'get', 64), isFilling }));
    return sample;
  });
  addResults(bench, 'put', { clients: 64, payload: PAYLOAD }, puts);
  checkRatio(bench.report, PUT_64, puts, { ours: OURS, theirs: ETCD }, opsPerSecond);
  if (!effort.allPoints) return;
  addResults(bench, 'get', { clients: 64, payload: PAYLOAD }, gets);
  checkRatio(bench.report, GET_64, gets, { ours: OURS, theirs: ETCD }, opsPerSecond);
  const own: Rounds = new Map([
    ['get', gets.get(OURS) ?? []],
    ['put', puts.get(OURS) ?? []],
  ]);
  checkRatio(bench.report, GET_CPU, own, { ours: 'get', theirs: 'put' }, (sample) => sample.cpuPerOp);
}

async function runMany(bench: Bench, stores: readonly Subject[]): Promise<void> {
  bench.progress(`put: 256 clients, ${PAYLOAD} B`);
  const rounds = await interleave(stores, bench.effort.pointPairs, (store) =>
    measureStore(store, loadFor(bench, 'put', 256)),
  );
  addResults(bench, 'put', { clients: 256, payload: PAYLOAD }, rounds);
  checkRatio(bench.report, PUT_256, rounds, { ours: OURS, theirs: ETCD }, opsPerSecond);
}

/** The disk is measured beside every round: what one put may take depends on what it does at that time. */
async function runOne(bench: Bench, stores: readonly Subject[], folder: string): Promise<void> {
  bench.progress(`put: 1 client, ${PAYLOAD} B, and fdatasync beside`);
  const { effort, report } = bench;
  const disk: DiskSpeed[] = [];
  const rounds = await interleave(stores, effort.pointPairs, async (store) => {
    if (store.name === OURS) disk.push(await measureFdatasync(folder, MEMBERS, effort.durationSeconds));
    return measureStore(store, { ...loadFor(bench, 'put', 1), crowdSeconds: CROWD_SECONDS });
  });
  addResults(bench, 'put', { clients: 1, payload: PAYLOAD }, rounds);
  for (const { p50, p99, count } of disk) {
    const text = `p50 ${Math.round(p50)} µs, p99 ${Math.round(p99)} µs (${count} of them)`;
    report.notes.push(`fdatasync of 4 KiB under ${MEMBERS} writers: ${text}`);
  }
  const own = rounds.get(OURS) ?? [];
  if (own.length > 0) {
    report.checks.push(
      judge(
        PUT_1,
        own.map(({ p50 }, round) => (p50 - disk[round]!.p50) / 1000),
      ),
    );
  }
}

async function runSets(bench: Bench, subjects: readonly Subject[]): Promise<void> {
  const missing = redisBenchmarkMissing();
  if (missing !== null) {
    noteMissing(bench.report, 'redis-benchmark', missing);
    return;
  }
  const { effort } = bench;
  for (const { pipelined, rule } of effort.allPoints ? SETS : SETS.slice(0, 1)) {
    bench.progress(`redis-benchmark -t set -c ${CONNECTIONS} -P ${pipelined}, ${PAYLOAD} B`);
    const rounds = await interleave(subjects, effort.pointPairs, async (subject) => {
      const address = subject.name === OURS ? (await leaderOf(subject)).resp : subject.listen['resp']!;
      return measureRedis(subject, {
        address,
        connections: CONNECTIONS,
        pipelined,
        payloadBytes: PAYLOAD,
        keys: KEYS,
        durationSeconds: effort.durationSeconds,
        warmupRequests: effort.allPoints ? WARMUP_REQUESTS * pipelined : CONNECTIONS,
        pinTo: bench.loadCpu,
      });
    });
    addResults(bench, 'set', { connections: CONNECTIONS, pipelined, payload: PAYLOAD }, rounds);
    checkRatio(bench.report, rule, rounds, { ours: OURS, theirs: REDIS }, opsPerSecond);
  }
}

function loadFor({ effort, loadCpu }: Bench, mode: 'put' | 'get', clients: number): StoreLoad {
  return {
    mode,
    clients,
    payloadBytes: PAYLOAD,
    keys: KEYS,
    warmupSeconds: effort.judged ? WARMUP_SECONDS : effort.warmupSeconds,
    durationSeconds: effort.durationSeconds,
    pinTo: loadCpu,
  };
}

function addResults(bench: Bench, name: string, params: Record<string, number>, rounds: Rounds): void {
  for (const [subject, samples] of rounds) {
    if (samples.length > 0) bench.report.results.push(toResult(name, params, subject, samples));
  }
}

function opsPerSecond(sample: Sample): number {
  return sample.opsPerSecond;
}

function ratio(id: string, title: string, bar: number, better: 'lower' | 'higher'): CheckRule {
  return { id, title, unit: 'ratio', bar, better };
}
