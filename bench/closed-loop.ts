// What the load generators written for Node share: calls in a closed loop, timed and counted, and the result line's figures.
// rpc/load.ts and kv/load.ts say what a call is. A loop whose call fails ends, and the failure is counted.

import { quantileMicros, type SparseHistogram } from './histogram.js';
import { LatencyRecorder } from './rpc/latency-recorder.js';

export interface ClosedLoop {
  /** Calls under way at any time. */
  readonly loops: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Operations that one call stands for. Default 1. */
  readonly perCall?: number;
  /** Whether the latency of this call of its loop counts. Default: of each. */
  readonly isCounted?: (call: number) => boolean;
  readonly call: (loop: number, call: number) => Promise<void>;
}

/** As they stand in the result line that generator.ts reads. */
export interface LoopResult {
  readonly replies_total: number;
  readonly ops_per_s: number;
  readonly cpu_user_us: number;
  readonly cpu_system_us: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
  readonly histogram: SparseHistogram;
  readonly stalled: false;
  readonly errors: { readonly call: number };
}

export async function closedLoop(load: ClosedLoop): Promise<LoopResult> {
  const { loops, warmupSeconds, durationSeconds, perCall = 1, isCounted = () => true, call } = load;
  const recorder = new LatencyRecorder();
  const startMs = performance.now();
  const measureFromMs = startMs + warmupSeconds * 1000;
  const endMs = measureFromMs + durationSeconds * 1000;
  const cpu = process.cpuUsage();
  let total = 0;
  let measured = 0;
  let failures = 0;
  const run = async (loop: number): Promise<void> => {
    // Loops begin at different calls, so that what every n-th does does not come from all of them at once.
    for (let count = loop; ; count += 1) {
      const sentMs = performance.now();
      if (sentMs >= endMs) return;
      try {
        await call(loop, count);
      } catch (error) {
        failures += 1;
        process.stderr.write(`${String(error)}\n`);
        return;
      }
      const doneMs = performance.now();
      total += perCall;
      if (doneMs >= measureFromMs && doneMs <= endMs) measured += perCall;
      if (sentMs >= measureFromMs && isCounted(count)) recorder.record((doneMs - sentMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: loops }, (_, loop) => run(loop)));
  const used = process.cpuUsage(cpu);
  // A tiny run on a busy machine may finish nothing in the time that counts: then all of it counts.
  const isTooShort = measured === 0;
  const seconds = isTooShort ? (performance.now() - startMs) / 1000 : durationSeconds;
  if (isTooShort) measured = total;
  const histogram = recorder.histogram();
  return {
    replies_total: total,
    ops_per_s: measured / seconds,
    cpu_user_us: used.user,
    cpu_system_us: used.system,
    p50_us: quantileMicros(histogram, 0.5),
    p99_us: quantileMicros(histogram, 0.99),
    p999_us: quantileMicros(histogram, 0.999),
    histogram,
    stalled: false,
    errors: { call: failures },
  };
}
