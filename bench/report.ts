// The shape of what a suite reports, which is also the file of --json, and the rules that turn measurements
// into checks. Field names are the file's own, hence the underscores.
// Pure: suites fill a SuiteReport, table.ts and chart.ts read it.

import { summarize, type Summary } from './statistics.js';

export interface Host {
  cpus: number;
  node: string;
  kernel: string;
  cpu_model: string;
}

export type Params = Record<string, number | string>;

/** One subject at one point; every figure is the median of its rounds, latencies are of all rounds merged. */
export interface BenchResult {
  name: string;
  params: Params;
  subject: string;
  ops_per_s: number;
  /** User and system time of all processes of the subject. */
  cpu_us_per_op: number;
  user_us_per_op: number;
  sys_us_per_op: number;
  load_cpu_us_per_op: number;
  p50_us: number;
  p99_us: number;
  p999_us: number;
  bytes_per_s: number;
  rss_bytes: number;
  /** Quartiles of `cpu_us_per_op`, and how many rounds it was taken from. */
  cpu_us_per_op_q1: number;
  cpu_us_per_op_q3: number;
  rounds: number;
  /** A figure others published for this point, to be read beside ours. */
  published_ops_per_s?: number;
  /** Of payload, per second of the server's CPU; where bytes are what is compared. */
  bytes_per_cpu_s?: number;
  /** Requests without a reply in all rounds together; UDP only. */
  lost?: number;
}

/** One "Must show" figure: measured, never typed in. */
export interface Check {
  id: string;
  title: string;
  value: number;
  unit: string;
  bar: number;
  better: 'lower' | 'higher';
  q1: number;
  q3: number;
  pairs: number;
  ok: boolean;
}

/** Something that could not be measured here, and the checks that therefore have no value. */
export interface Missing {
  subject: string;
  reason: string;
  checks: string[];
}

export interface SuiteReport {
  suite: string;
  host: Host;
  started: string;
  effort: string;
  results: BenchResult[];
  checks: Check[];
  missing: Missing[];
  /** Further reports printed as they are, such as another tool's own table. */
  notes: string[];
}

export type CheckRule = Pick<Check, 'id' | 'title' | 'unit' | 'bar' | 'better'>;

/** Judges the median of `values`, one per pair or repetition. */
export function judge(rule: CheckRule, values: readonly number[]): Check {
  return judgeSummary(rule, summarize(values));
}

function judgeSummary(rule: CheckRule, { median, q1, q3, count }: Summary): Check {
  const ok = rule.better === 'lower' ? median <= rule.bar : median >= rule.bar;
  return { ...rule, value: round(median), q1: round(q1), q3: round(q3), pairs: count, ok };
}

/** Whether a full run may exit with 0: everything was measured and every bar was met. */
export function passed(report: SuiteReport): boolean {
  return (
    report.checks.every((check) => check.ok) && report.missing.every((missing) => missing.checks.length === 0)
  );
}

/** Four significant digits after the point are more than any of these measurements can tell. */
export function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
