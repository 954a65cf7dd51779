// Thread name, affinity, id and processor time: all of it concerns the thread that calls.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { requireAddon } from '../../addon/index.js';
import { invalidArgument, systemCallFailed } from './support/loopback.js';
import type { ThreadFacts } from './support/thread-facts.worker.js';

const addon = requireAddon();

const SCHED_BATCH = 3;

/** The 41st field of a stat file; the second one, in parentheses, may have spaces. */
function policyOf(folder: string): number {
  const stat = readFileSync(`${folder}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
}

function commOf(threadId: number): string {
  return readFileSync(`/proc/self/task/${threadId}/comm`, 'utf8').trim();
}

test('a worker names and pins itself and leaves the main thread as it was', async () => {
  const nameBefore = commOf(process.pid);
  const cpusBefore = addon.threadAffinity();
  const last = cpusBefore.at(-1);
  assert(last !== undefined);
  const worker = new Worker(new URL('support/thread-facts.worker.js', import.meta.url), {
    workerData: { name: 'reactor-sub-1234567', cpus: [last] },
  });
  const exited = once(worker, 'exit');
  const [facts] = (await once(worker, 'message')) as [ThreadFacts];
  await exited;
  assert.equal(facts.comm, 'reactor-sub-123'); // the kernel keeps 15 bytes
  assert.deepEqual(facts.affinity, [last]);
  assert.notEqual(facts.threadId, addon.threadId());
  assert(facts.cpu.user + facts.cpu.system > 0);
  assert.equal(commOf(process.pid), nameBefore);
  assert.deepEqual(addon.threadAffinity(), cpusBefore);
});

test('the main thread has the id of the process', () => {
  assert.equal(addon.threadId(), process.pid);
});

test('a process that was just started computes in batches, with all its later threads', async (t) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("here")'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  addon.setBatchScheduling(child.pid!); // it was started
  await once(child.stdout, 'data');
  const policies = readdirSync(`/proc/${child.pid}/task`).map((id) =>
    policyOf(`/proc/${child.pid}/task/${id}`),
  );
  assert(policies.length > 4, 'it has threads');
  assert.deepEqual([...new Set(policies)], [SCHED_BATCH]);
  assert.notEqual(policyOf('/proc/self'), SCHED_BATCH);
  assert.throws(() => addon.setBatchScheduling(2 ** 31 - 1), systemCallFailed('ESRCH', 'sched_setscheduler'));
  assert.throws(() => addon.setBatchScheduling(0), invalidArgument('id'));
});

test('processor time grows with work', () => {
  const before = addon.threadCpuMicros();
  let now = before;
  while (now.user + now.system < before.user + before.system + 2000) now = addon.threadCpuMicros();
  assert(now.user >= before.user && now.system >= before.system);
});

test('the soft descriptor limit is what the shell says, at most the hard one', () => {
  const { soft, hard } = addon.descriptorLimit();
  assert(soft > 0 && soft <= hard);
  const line = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  assert.equal(soft, line === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line));
});

test('processors that do not exist are refused', () => {
  assert.throws(() => addon.setThreadAffinity([]), systemCallFailed('EINVAL', 'sched_setaffinity'));
  assert.throws(() => addon.setThreadAffinity([-1]), invalidArgument('cpus'));
  assert.throws(() => addon.setThreadAffinity([1 << 20]), invalidArgument('cpus'));
  // @ts-expect-error an array is required
  assert.throws(() => addon.setThreadAffinity(0), invalidArgument('cpus'));
  // @ts-expect-error a string is required
  assert.throws(() => addon.setThreadName(), invalidArgument('name'));
});
