// One measured round, and how the rounds of a subject become one line of the report.
// tlv-load.ts and wrk.ts make samples; suites compare them pair by pair. Pure.

import { mergeHistograms, quantileMicros, type SparseHistogram } from './histogram.js';
import { type BenchResult, type Params, round } from './report.js';
import { median, summarize } from './statistics.js';

/** What one round of one subject gave; `*PerOp` and latencies are microseconds. */
export interface Sample {
  /** Done in the whole round, warm-up included. */
  operations: number;
  opsPerSecond: number;
  bytesPerSecond: number;
  cpuPerOp: number;
  userPerOp: number;
  systemPerOp: number;
  loadCpuPerOp: number;
  rssBytes: number;
  /** All latencies of the round, where the load tool gives them. */
  histogram: SparseHistogram | null;
  p50: number;
  p99: number;
  p999: number;
  /** Requests sent, and those without a reply, where they may go missing. */
  loss?: { readonly sent: number; readonly lost: number };
}

/** @throws RangeError without a sample. */
export function toResult(
  name: string,
  params: Params,
  subject: string,
  samples: readonly Sample[],
): BenchResult {
  if (samples.length === 0) throw new RangeError(`${name}: no sample of ${subject}`);
  const middle = (pick: (sample: Sample) => number): number => round(median(samples.map(pick)));
  const latency = latencyOf(samples);
  const cpu = summarize(samples.map((sample) => sample.cpuPerOp));
  return {
    name,
    params,
    subject,
    ops_per_s: middle((sample) => sample.opsPerSecond),
    cpu_us_per_op: round(cpu.median),
    user_us_per_op: middle((sample) => sample.userPerOp),
    sys_us_per_op: middle((sample) => sample.systemPerOp),
    load_cpu_us_per_op: middle((sample) => sample.loadCpuPerOp),
    p50_us: round(latency(0.5, (sample) => sample.p50)),
    p99_us: round(latency(0.99, (sample) => sample.p99)),
    p999_us: round(latency(0.999, (sample) => sample.p999)),
    bytes_per_s: middle((sample) => sample.bytesPerSecond),
    rss_bytes: middle((sample) => sample.rssBytes),
    cpu_us_per_op_q1: round(cpu.q1),
    cpu_us_per_op_q3: round(cpu.q3),
    rounds: samples.length,
    ...lostIn(samples),
  };
}

function lostIn(samples: readonly Sample[]): { lost?: number } {
  const lost = samples.flatMap(({ loss }) => loss?.lost ?? []);
  return lost.length === 0 ? {} : { lost: lost.reduce((sum, count) => sum + count, 0) };
}

// Quantiles of all rounds together; a median of quantiles only where a tool keeps its histogram to itself.
function latencyOf(
  samples: readonly Sample[],
): (fraction: number, pick: (sample: Sample) => number) => number {
  const histograms = samples.flatMap((sample) => sample.histogram ?? []);
  const merged = histograms.length === samples.length ? mergeHistograms(histograms) : null;
  return (fraction, pick) => (merged === null ? median(samples.map(pick)) : quantileMicros(merged, fraction));
}
