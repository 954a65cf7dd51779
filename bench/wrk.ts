// Drives an HTTP subject with wrk: one thread, keep-alive connections, figures by wrk-report.lua.
// CPU is read around the whole run, so connecting is included; a run has thousands of requests for each.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { JsonLines } from './json-lines.js';
import { WRK_REPORT } from './paths.js';
import { cpuBetween, cpuSnapshot, endedChildrenMicros, residentBytes } from './process-usage.js';
import type { Sample } from './sample.js';
import { cleanEnvironment, pinned, type Subject } from './subject.js';

const GRACE_MS = 20_000;

export interface WrkLoad {
  connections: number;
  durationSeconds: number;
  pinTo: number | null;
}

/** Why wrk cannot be used here, or null. */
export function wrkMissingReason(): string | null {
  const { error } = spawnSync('wrk', ['--version'], { stdio: 'ignore' });
  return error === undefined ? null : 'wrk is not installed: npm run bench:setup';
}

/** @throws Error when a request failed or wrk did. */
export async function measureHttp(subject: Subject, load: WrkLoad): Promise<Sample> {
  const { host, port } = subject.address('http');
  const whole = Math.max(1, Math.ceil(load.durationSeconds));
  const [command, args] = pinned(
    'wrk',
    [
      '-t',
      '1',
      '-c',
      String(load.connections),
      '-d',
      `${whole}s`,
      '-s',
      WRK_REPORT,
      `http://${host}:${port}/`,
    ],
    load.pinTo,
  );
  const before = cpuSnapshot(subject.pid);
  const loadBefore = endedChildrenMicros();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: cleanEnvironment() });
  const lines = new JsonLines(child.stdout);
  child.once('error', (error) => lines.fail(error));
  const exited = once(child, 'exit');
  // wrk counts in whole seconds; interrupted, it reports the part that it ran.
  const early = setTimeout(() => child.kill('SIGINT'), load.durationSeconds * 1000);
  const late = setTimeout(() => child.kill('SIGKILL'), whole * 1000 + GRACE_MS);
  try {
    const result = await lines.next('result', whole * 1000 + GRACE_MS);
    const rssBytes = residentBytes(subject.pid);
    await exited;
    const cpu = cpuBetween(before, cpuSnapshot(subject.pid));
    assertClean(subject, result['errors'] as Record<string, number>); // written by wrk-report.lua
    const requests = Number(result['requests']);
    const seconds = Number(result['duration_us']) / 1e6;
    return {
      operations: requests,
      opsPerSecond: requests / seconds,
      bytesPerSecond: Number(result['bytes']) / seconds,
      cpuPerOp: cpu.total / requests,
      userPerOp: cpu.user / requests,
      systemPerOp: cpu.system / requests,
      loadCpuPerOp: (endedChildrenMicros() - loadBefore) / requests,
      rssBytes,
      histogram: null,
      p50: Number(result['p50_us']),
      p99: Number(result['p99_us']),
      p999: Number(result['p999_us']),
    };
  } finally {
    clearTimeout(early);
    clearTimeout(late);
  }
}

function assertClean(subject: Subject, errors: Record<string, number>): void {
  const failed = Object.entries(errors).filter(([, count]) => count > 0);
  if (failed.length === 0) return;
  throw new Error(`${subject.name}: ${failed.map(([kind, count]) => `${count} ${kind} errors`).join(', ')}`);
}
