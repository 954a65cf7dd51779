// What a bench of calls found out, as text for people and as one JSON line. rpc-bench.ts fills it in. Pure.

import { formatTable } from './text-table.js';
import type { HistogramRow } from './latency-histogram.js';

export const QUANTILES = [50, 75, 90, 95, 99, 99.9] as const;

export interface BenchReport {
  readonly event: 'result';
  readonly method: string;
  readonly kind: string;
  readonly target: string;
  readonly connections: number;
  readonly concurrency: number;
  /** Null: closed loop. */
  readonly rate: number | null;
  readonly seconds: number;
  readonly calls: number;
  readonly failed: number;
  readonly callsPerSecond: number;
  /** Of calls that succeeded; at a fixed rate since they fell due. Keys min, mean, p50 … p99.9, max. */
  readonly latencyMs: Readonly<Record<string, number>>;
  readonly histogram: readonly HistogramRow[];
  readonly errors: readonly BenchErrors[];
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of this process, user and system together. */
  readonly clientCpuSeconds: number;
  /** Of one core. */
  readonly clientCpuShare: number;
  /** At a fixed rate: calls that fell due and could not be sent before the end. */
  readonly unsent: number;
  readonly interrupted: boolean;
}

export interface BenchErrors {
  readonly code: string;
  readonly count: number;
  /** Of the first. */
  readonly message: string;
}

const BAR_COLUMNS = 40;
/** From here on the client may be what limits the figures: it has one thread. */
const CLIENT_BUSY_SHARE = 0.9;

export function reportText(report: BenchReport): string {
  const { method, kind, target, connections, concurrency, rate, calls, failed, seconds } = report;
  const load = rate === null ? 'as fast as answers come' : `${number(rate)} calls/s due`;
  const facts = [
    ['calls', `${number(calls)} in ${seconds.toFixed(2)} s, ${number(failed)} failed`],
    ['rate', `${number(report.callsPerSecond)} calls/s`],
    ['messages', `${number(report.messagesSent)} sent, ${number(report.messagesReceived)} received`],
    ['bytes', `${bytes(report.bytesSent)} sent, ${bytes(report.bytesReceived)} received`],
    ['client CPU', cpuText(report)],
  ];
  return [
    `${method} (${kind}) at ${target}`,
    `${number(connections)} ${connections === 1 ? 'connection' : 'connections'}, ${number(concurrency)} in flight at most, ${load}`,
    '',
    formatTable(facts, 2),
    ...(calls === failed ? [] : latencyLines(report)),
    ...errorLines(report.errors),
    ...warnings(report).map((warning) => `\n${warning}`),
    '',
  ].join('\n');
}

function latencyLines({ latencyMs, histogram, rate }: BenchReport): string[] {
  const rows = Object.entries(latencyMs).map(([name, ms]) => [`  ${name}`, milliseconds(ms)]);
  const title = rate === null ? 'latency' : 'latency since due';
  return ['', title, formatTable(rows, 1), '', histogramText(histogram)];
}

function cpuText({ clientCpuSeconds, clientCpuShare, calls }: BenchReport): string {
  const perCall = calls === 0 ? '' : `, ${((clientCpuSeconds * 1e6) / calls).toFixed(1)} us per call`;
  return `${Math.round(clientCpuShare * 100)}% of one core${perCall}`;
}

function histogramText(rows: readonly HistogramRow[]): string {
  const most = Math.max(...rows.map(({ count }) => count));
  return formatTable(
    rows.map(({ toMs, count }) => [
      `  up to ${milliseconds(toMs)}`,
      number(count).padStart(number(most).length),
      '#'.repeat(Math.ceil((count / most) * BAR_COLUMNS)),
    ]),
    3,
  );
}

function errorLines(errors: readonly BenchErrors[]): string[] {
  if (errors.length === 0) return [];
  const rows = errors.map(({ code, count, message }) => [
    `  ${code}`,
    number(count),
    message.split('\n', 1)[0] ?? '',
  ]);
  return ['', 'errors', formatTable(rows, 3)];
}

function warnings({ unsent, interrupted, clientCpuShare }: BenchReport): string[] {
  return [
    ...(interrupted ? ['interrupted: calls that were under way are not counted'] : []),
    ...(unsent > 0
      ? [`${number(unsent)} calls fell due and were not sent: as many were in flight as --concurrency allows`]
      : []),
    ...(clientCpuShare >= CLIENT_BUSY_SHARE
      ? ['this client was busy all the time: the server may be able to do more']
      : []),
  ];
}

export function progressText(
  facts: {
    readonly seconds: number;
    readonly calls: number;
    readonly failed: number;
    readonly callsPerSecond: number;
  },
  columns: number,
): string {
  const { seconds, calls, failed, callsPerSecond } = facts;
  const line = `${seconds.toFixed(0)} s  ${number(calls)} calls  ${number(callsPerSecond)} calls/s  ${number(failed)} failed`;
  return line.slice(0, Math.max(columns - 1, 20));
}

function milliseconds(ms: number): string {
  if (ms >= 999.5) return `${(ms / 1000).toPrecision(3)} s `;
  return ms >= 1 ? `${ms.toPrecision(3)} ms` : `${(ms * 1000).toFixed(0)} us`;
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 });
}

function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}
