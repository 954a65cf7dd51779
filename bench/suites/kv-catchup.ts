// The part of the suite kv about a member that comes back: how soon it has what it missed, and what the clients of the others
// feel of that. Three members by `kv serve`, puts at a fixed rate, first with all members there, then while one catches up.

import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { measureGated } from '../generator.js';
import { redisBenchmarkMissing, set } from '../kv/redis-benchmark.js';
import { startStoreLoad, type StoreLoad } from '../kv/store-load.js';
import { type MemberListen, statusOf } from '../kv/stores.js';
import { LAUNCHER } from '../paths.js';
import { freePorts } from '../peers/servers.js';
import { type CheckRule, judge } from '../report.js';
import { type Sample, toResult } from '../sample.js';
import { startSubject, type Subject, type SubjectSpec } from '../subject.js';
import { type Bench, noteMissing } from '../suite.js';

const MEMBERS = 3;
const PAYLOAD = 256;
/** Puts missed by the member, in a full run and in others. */
const ENTRIES = 1_000_000;
const QUICK_ENTRIES = 20_000;
const KEYS = 100_000;
/** Puts per second of the clients that go on meanwhile: an open loop, so that none waits for a store that hangs. */
const RATE = 300;
const CLIENTS = 256;
const DEADLINE_MS = 120_000;
const WRITE_TIMEOUT_MS = 240_000;
const LOOK_MS = 20;

const SECONDS: CheckRule = {
  id: 'kv.catchup.seconds',
  title: 'a member that missed 1,000,000 puts (20,000 unless full), from its start until it has applied them',
  unit: 's',
  bar: 60,
  better: 'lower',
};
const P99: CheckRule = {
  id: 'kv.catchup.p99_vs_normal',
  title: `p99 of ${RATE} puts per second while it catches up / before`,
  unit: 'ratio',
  bar: 3,
  better: 'lower',
};

export const CATCHUP_RULES: readonly CheckRule[] = [SECONDS, P99];

export async function runCatchup(bench: Bench, folder: string): Promise<void> {
  const missing = redisBenchmarkMissing();
  if (missing !== null) {
    noteMissing(bench.report, 'redis-benchmark', missing); // the entries are written by it
    return;
  }
  const members = new Map<number, Subject>();
  try {
    await measureCatchup(bench, members, await memberSpecs(folder));
  } finally {
    await Promise.all([...members.values()].map((member) => member.stop()));
  }
}

async function measureCatchup(
  bench: Bench,
  members: Map<number, Subject>,
  specs: readonly SubjectSpec[],
): Promise<void> {
  const { effort, report } = bench;
  const entries = effort.judged ? ENTRIES : QUICK_ENTRIES;
  const start = async (id: number): Promise<Subject> => {
    const member = await startSubject(specs[id - 1]!, bench.serverCpu); // ids are 1 to their number
    members.set(id, member);
    return member;
  };
  bench.progress('catch-up: three members, puts at a fixed rate');
  await Promise.all(specs.map((_, index) => start(index + 1)));
  const leaderId = await until('a leader', async () => (await statusOf(listenOf(members, 1))).leader || null);
  const leader = members.get(leaderId)!; // one of them
  const { rpc, resp } = listenOf(members, leaderId);
  const measure = (durationSeconds: number): Promise<Sample> => {
    const load = loadFor(bench, durationSeconds);
    return measureGated(leader, startStoreLoad('kv', rpc, load), load.warmupSeconds + durationSeconds);
  };
  const seconds = effort.judged ? 10 : 1;
  const normal = await measure(seconds);
  const lateId = (leaderId % MEMBERS) + 1;
  await members.get(lateId)?.stop();
  bench.progress(`catch-up: ${entries} puts without member ${lateId}`);
  const load = { address: resp, connections: 50, pipelined: 16, payloadBytes: PAYLOAD, keys: KEYS };
  await set({ ...load, pinTo: bench.loadCpu }, entries, WRITE_TIMEOUT_MS);
  const { commitIndex: goal } = await statusOf(listenOf(members, leaderId));
  bench.progress(`catch-up: member ${lateId} is back`);
  const begunMs = performance.now();
  const caughtUp = start(lateId).then(() =>
    until('the member to catch up', async () => {
      const { appliedIndex } = await statusOf(listenOf(members, lateId));
      return appliedIndex >= goal ? (performance.now() - begunMs) / 1000 : null;
    }),
  );
  const [meanwhile, took] = await Promise.all([measure(seconds), caughtUp]);
  const params = { rate: RATE, payload: PAYLOAD };
  report.results.push(toResult('put', { ...params, missed: 0 }, 'kv leader, all there', [normal]));
  report.results.push(
    toResult('put', { ...params, missed: entries }, 'kv leader, one catches up', [meanwhile]),
  );
  report.notes.push(
    `a member that missed ${entries} puts (${goal} entries of the log) had them after ${took.toFixed(2)} s`,
  );
  report.checks.push(judge(SECONDS, [took]), judge(P99, [meanwhile.p99 / normal.p99]));
}

async function memberSpecs(folder: string): Promise<SubjectSpec[]> {
  const ports = await freePorts(MEMBERS);
  const cluster = ports.map((port, index) => `${index + 1}=127.0.0.1:${port}`).join(',');
  return ports.map((_, index) => {
    const data = join(folder, `late-${index + 1}`);
    const flags = ['--id', String(index + 1), '--cluster', cluster, '--data', data];
    const listen = ['--resp', '127.0.0.1:0', '--http', '127.0.0.1:0', '--log-level', 'error', '--json'];
    return {
      name: `kv member ${index + 1}`,
      command: process.execPath,
      args: [LAUNCHER, 'kv', 'serve', ...flags, ...listen],
    };
  });
}

function loadFor({ loadCpu }: Bench, durationSeconds: number): StoreLoad {
  const payloadBytes = PAYLOAD;
  return {
    mode: 'put',
    clients: CLIENTS,
    payloadBytes,
    keys: 1000,
    warmupSeconds: 0.2,
    durationSeconds,
    rate: RATE,
    pinTo: loadCpu,
  };
}

function listenOf(members: ReadonlyMap<number, Subject>, id: number): MemberListen {
  return members.get(id)!.listen as unknown as MemberListen; // as `kv serve` prints it
}

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const endMs = performance.now() + DEADLINE_MS;
  while (performance.now() < endMs) {
    const found = await look();
    if (found !== null) return found;
    await delay(LOOK_MS);
  }
  throw new Error(`waited ${DEADLINE_MS} ms for ${what}`);
}
