// Runs the native load generator (bench/native/) against a subject and measures both sides.
// The generator waits at a gate before the load and keeps its connections after it, so the server's CPU is
// read while it rests: what lies between the two readings is exactly the work for the replies counted.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { SparseHistogram } from './histogram.js';
import { type JsonEvent, JsonLines } from './json-lines.js';
import { TLV_LOAD } from './paths.js';
import { cpuBetween, type CpuMicros, cpuSnapshot, residentBytes } from './process-usage.js';
import type { Sample } from './sample.js';
import { cleanEnvironment, pinned, type Subject } from './subject.js';

const CONNECT_TIMEOUT_MS = 30_000;
/** Beyond warm-up and duration: the generator's own deadline for a stalled server is shorter. */
const RESULT_GRACE_MS = 30_000;

export interface TlvLoad {
  /** 'udp' is the closed loop over UDP. */
  mode: 'closed' | 'rate' | 'churn' | 'fetch' | 'udp';
  connections: number;
  depth: number;
  /** Of every request and its reply; in mode fetch of the reply alone. */
  payloadBytes: number;
  /** Requests per second, mode rate only. */
  rate?: number;
  /** Connections to be made within the duration, mode churn only; without it as many as there is time for. */
  visits?: number;
  warmupSeconds: number;
  durationSeconds: number;
  pinTo: number | null;
}

/** @throws Error when a reply was wrong, or over TCP missing, the server stalled, or the generator failed. */
export async function measureTlv(subject: Subject, load: TlvLoad): Promise<Sample> {
  const generator = startGenerator(subject, load.pinTo, {
    mode: load.mode,
    connections: load.connections,
    depth: load.depth,
    payload: load.payloadBytes,
    warmup: load.warmupSeconds,
    duration: load.durationSeconds,
    ...(load.rate === undefined ? {} : { rate: load.rate }),
    ...(load.visits === undefined ? {} : { visits: load.visits }),
  });
  try {
    await generator.lines.next('connected', CONNECT_TIMEOUT_MS);
    const before = cpuSnapshot(subject.pid);
    const resultLine = generator.lines.next(
      'result',
      (load.warmupSeconds + load.durationSeconds) * 1000 + RESULT_GRACE_MS,
    );
    generator.child.stdin.write('\n');
    const result = await resultLine;
    const cpu = cpuBetween(before, cpuSnapshot(subject.pid));
    const rssBytes = residentBytes(subject.pid);
    assertClean(subject, result);
    return toSample(result, cpu, rssBytes);
  } finally {
    await generator.end();
  }
}

/** Connections that were opened, proven by one echo each, and now do nothing. */
export interface IdleConnections {
  readonly connected: number;
  /** Closes them; throws when one of them ended or spoke before. */
  close(): Promise<void>;
}

export async function holdIdle(subject: Subject, connections: number): Promise<IdleConnections> {
  const generator = startGenerator(subject, null, { mode: 'idle', connections });
  try {
    const ready = await generator.lines.next('ready', CONNECT_TIMEOUT_MS);
    const close = async (): Promise<void> => {
      const result = generator.lines.next('result', RESULT_GRACE_MS);
      try {
        generator.child.stdin.end();
        assertClean(subject, await result);
      } finally {
        await generator.end();
      }
    };
    return { connected: Number(ready['connections']), close };
  } catch (error) {
    await generator.end();
    throw error;
  }
}

interface Generator {
  child: ChildProcessByStdio<Writable, Readable, null>;
  lines: JsonLines;
  /** Ends its input, which lets it close its connections, and waits for its exit. */
  end(): Promise<void>;
}

function startGenerator(
  subject: Subject,
  pinTo: number | null,
  settings: Record<string, string | number>,
): Generator {
  const address = subject.address(settings['mode'] === 'udp' ? 'udp' : 'tcp');
  const args = Object.entries({ ...address, ...settings }).flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  // An idle run waits for the end of its input without being told.
  if (settings['mode'] !== 'idle') args.push('--gate');
  const [command, commandArgs] = pinned(TLV_LOAD, args, pinTo);
  const child = spawn(command, commandArgs, { stdio: ['pipe', 'pipe', 'inherit'], env: cleanEnvironment() });
  const lines = new JsonLines(child.stdout);
  child.once('error', (error) => lines.fail(error));
  child.stdin.on('error', (error) => lines.fail(error));
  const exited = once(child, 'exit').catch((error: unknown) => lines.fail(error as Error));
  const end = async (): Promise<void> => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), RESULT_GRACE_MS);
    await exited;
    clearTimeout(timer);
  };
  return { child, lines, end };
}

function assertClean(subject: Subject, result: JsonEvent): void {
  const errors = result['errors'] as Record<string, number>; // written by report.cc
  const failed = Object.entries(errors).filter(([, count]) => count > 0);
  if (result['stalled'] === true) throw new Error(`${subject.name} stalled under load`);
  if (failed.length > 0) {
    throw new Error(
      `${subject.name}: ${failed.map(([kind, count]) => `${count} ${kind} errors`).join(', ')}`,
    );
  }
}

function toSample(result: JsonEvent, cpu: CpuMicros, rssBytes: number): Sample {
  const figure = (name: string): number => Number(result[name]);
  const ops = figure('replies_total');
  return {
    operations: ops,
    opsPerSecond: figure('ops_per_s'),
    bytesPerSecond: figure('bytes_per_s'),
    cpuPerOp: cpu.total / ops,
    userPerOp: cpu.user / ops,
    systemPerOp: cpu.system / ops,
    loadCpuPerOp: (figure('cpu_user_us') + figure('cpu_system_us')) / ops,
    rssBytes,
    histogram: result['histogram'] as SparseHistogram, // written by report.cc
    p50: figure('p50_us'),
    p99: figure('p99_us'),
    p999: figure('p999_us'),
    ...(result['mode'] === 'udp' ? { loss: { sent: figure('sent'), lost: figure('lost') } } : {}),
  };
}
