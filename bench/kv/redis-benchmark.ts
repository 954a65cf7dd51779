// Drives a server that speaks the Redis protocol with redis-benchmark, which comes with Redis: SET, 256-byte values.
// CPU is read around the whole run, so connecting is included; a run has thousands of requests for each connection.

import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuBetween, cpuSnapshot, endedChildrenMicros, residentBytes } from '../process-usage.js';
import type { Sample } from '../sample.js';
import { cleanEnvironment, pinned, type Subject } from '../subject.js';

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

export interface RedisLoad {
  readonly address: string;
  readonly connections: number;
  readonly pipelined: number;
  readonly payloadBytes: number;
  readonly keys: number;
  /** About so long, by what a short run before tells of the server's speed. */
  readonly durationSeconds: number;
  readonly warmupRequests: number;
  readonly pinTo: number | null;
}

/** Why redis-benchmark cannot be used here, or null. */
export function redisBenchmarkMissing(): string | null {
  const { error } = spawnSync('redis-benchmark', ['--version'], { stdio: 'ignore' });
  return error === undefined ? null : 'redis-benchmark is not installed: apt-get install redis-tools';
}

/** @throws Error when it failed */
export async function measureRedis(subject: Subject, load: RedisLoad): Promise<Sample> {
  const warmup = await set(load, load.warmupRequests);
  const requests = Math.max(load.warmupRequests, Math.ceil(warmup.opsPerSecond * load.durationSeconds));
  const before = cpuSnapshot(subject.pid);
  const loadBefore = endedChildrenMicros();
  const { opsPerSecond, p50, p99, max } = await set(load, requests);
  const cpu = cpuBetween(before, cpuSnapshot(subject.pid));
  return {
    operations: requests,
    opsPerSecond,
    bytesPerSecond: opsPerSecond * load.payloadBytes,
    cpuPerOp: cpu.total / requests,
    userPerOp: cpu.user / requests,
    systemPerOp: cpu.system / requests,
    loadCpuPerOp: (endedChildrenMicros() - loadBefore) / requests,
    rssBytes: residentBytes(subject.pid),
    histogram: null,
    p50,
    p99,
    p999: max,
  };
}

/** Requests of one run; also how the suite writes many entries in a short time. */
export async function set(
  {
    address,
    connections,
    pipelined,
    payloadBytes,
    keys,
    pinTo,
  }: Omit<RedisLoad, 'durationSeconds' | 'warmupRequests'>,
  requests: number,
  timeoutMs: number = TIMEOUT_MS,
): Promise<{ opsPerSecond: number; p50: number; p99: number; max: number }> {
  const colon = address.lastIndexOf(':');
  const settings = {
    h: address.slice(0, colon),
    p: address.slice(colon + 1),
    t: 'set',
    c: connections,
    P: pipelined,
    d: payloadBytes,
    r: keys,
    n: requests,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const [command, args] = pinned('redis-benchmark', [...flags, '--csv'], pinTo);
  const { stdout } = await run(command, args, {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    env: cleanEnvironment(),
  });
  const [opsPerSecond, p50, p99, max] = figures(stdout, [
    'rps',
    'p50_latency_ms',
    'p99_latency_ms',
    'max_latency_ms',
  ]);
  return { opsPerSecond: opsPerSecond!, p50: p50! * 1000, p99: p99! * 1000, max: max! * 1000 };
}

/** @throws Error when the table has no such columns, or no row */
function figures(csv: string, columns: readonly string[]): number[] {
  const [header, row] = csv
    .split('\n')
    .filter((line) => line.startsWith('"'))
    .map((line) => line.replaceAll('"', '').split(','));
  return columns.map((column) => {
    const value = Number(row?.[header?.indexOf(column) ?? -1]);
    if (!Number.isFinite(value)) throw new Error(`redis-benchmark gave no ${column}: ${csv.trim()}`);
    return value;
  });
}
