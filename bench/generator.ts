// A load generator as a process of its own: it connects, waits at a gate, loads, and keeps its connections until it is
// told to end. The server's CPU is read at the gate and after the result, while it rests, so what lies between the two
// readings is exactly the work for the replies counted. tlv-load.ts and rpc-load.ts start theirs by it.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

import type { SparseHistogram } from './histogram.js';
import { type JsonEvent, JsonLines } from './json-lines.js';
import { cpuBetween, type CpuMicros, cpuSnapshot, residentBytes } from './process-usage.js';
import type { Sample } from './sample.js';
import { cleanEnvironment, pinned, type Subject } from './subject.js';

const CONNECT_TIMEOUT_MS = 30_000;
/** Beyond warm-up and duration: a generator's own deadline for a stalled server is shorter. */
export const RESULT_GRACE_MS = 30_000;

export interface Generator {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: JsonLines;
  /** Ends its input, which lets it close its connections, and waits for its exit. */
  end(): Promise<void>;
}

export function startGenerator(command: string, args: readonly string[], pinTo: number | null): Generator {
  const [program, programArgs] = pinned(command, args, pinTo);
  const child = spawn(program, programArgs, { stdio: ['pipe', 'pipe', 'inherit'], env: cleanEnvironment() });
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

/**
 * Lets a gated generator load the subject, and ends it.
 * @throws Error when a reply was wrong or missing, the server stalled, or the generator failed
 */
export async function measureGated(
  subject: Subject,
  generator: Generator,
  loadSeconds: number,
): Promise<Sample> {
  try {
    await generator.lines.next('connected', CONNECT_TIMEOUT_MS);
    const before = cpuSnapshot(subject.pid);
    const resultLine = generator.lines.next('result', loadSeconds * 1000 + RESULT_GRACE_MS);
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

export function assertClean(subject: Subject, result: JsonEvent): void {
  const errors = result['errors'] as Record<string, number>; // every generator counts them by kind
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
    histogram: result['histogram'] as SparseHistogram, // as histogram.ts reads it
    p50: figure('p50_us'),
    p99: figure('p99_us'),
    p999: figure('p999_us'),
    ...(result['mode'] === 'udp' ? { loss: { sent: figure('sent'), lost: figure('lost') } } : {}),
  };
}
