// Has a pair of processes pass messages (peers/messages/) and measures both: what sender.ts is told and what it answers.
// Both ends belong to the subject, so its CPU is that of the two; the load CPU is this process's, which only waits.

import { quantileMicros, type SparseHistogram } from './histogram.js';
import { cpuBetween, cpuSnapshot, residentBytes } from './process-usage.js';
import type { Sample } from './sample.js';
import type { Subject, SubjectSpec } from './subject.js';
import { nodePeer } from './subjects.js';

/** One line on the sender's standard input. */
export interface MessageCommand {
  readonly run: 'stream' | 'ping';
  /** Of each message. */
  readonly bytes: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
}

/** One line on its standard output; `seconds` until the reader had read all `messages`. */
export interface StreamResult {
  readonly messages: number;
  /** With those of the warm-up. */
  readonly total: number;
  readonly seconds: number;
}

export interface PingResult extends StreamResult {
  readonly histogram: SparseHistogram;
}

/** How much longer than wanted a run may take before the subject counts as stuck. */
const GRACE_MS = 30_000;

/** A sender by its way (WAYS of peers/messages/sender.ts); `rotatedBytes` is the memory its messages are cut from. */
export function messagePeer(name: string, way: string, rotatedBytes: number): SubjectSpec {
  return { ...nodePeer(name, 'messages/sender', [way, String(rotatedBytes)]), isCommanded: true };
}

/** @throws Error when the subject ended, is stuck, or its reader did not read what was sent. */
export async function measureMessages(subject: Subject, command: MessageCommand): Promise<Sample> {
  const before = cpuSnapshot(subject.pid);
  const ownBefore = process.cpuUsage();
  const line = subject.nextLine('result', (command.warmupSeconds + command.seconds) * 1000 + GRACE_MS);
  subject.command(command);
  const result = (await line) as unknown as StreamResult & Partial<PingResult>; // as sender.ts writes it
  const own = process.cpuUsage(ownBefore);
  const cpu = cpuBetween(before, cpuSnapshot(subject.pid));
  const opsPerSecond = result.messages / result.seconds;
  const { histogram = null } = result;
  const quantile = (fraction: number): number =>
    histogram === null ? 0 : quantileMicros(histogram, fraction);
  return {
    operations: result.total,
    opsPerSecond,
    bytesPerSecond: opsPerSecond * command.bytes,
    cpuPerOp: cpu.total / result.total,
    userPerOp: cpu.user / result.total,
    systemPerOp: cpu.system / result.total,
    loadCpuPerOp: (own.user + own.system) / result.total,
    rssBytes: residentBytes(subject.pid),
    histogram,
    p50: quantile(0.5),
    p99: quantile(0.99),
    p999: quantile(0.999),
  };
}
