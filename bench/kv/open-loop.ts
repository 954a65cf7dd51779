// Calls at fixed times, whatever the answers do: what a closed loop cannot show, since it stops asking while a store hangs.
// Latency counts from the time a call was due. Late calls wait for a client to be free; beyond `QUEUE_MAX` the run fails.

import { quantileMicros } from '../histogram.js';
import type { LoopResult } from '../closed-loop.js';
import { LatencyRecorder } from '../rpc/latency-recorder.js';

export interface OpenLoop {
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Calls per second. */
  readonly rate: number;
  /** Calls under way at the most. */
  readonly clients: number;
  readonly call: (client: number) => Promise<void>;
}

const QUEUE_MAX = 100_000;
const STEP_MS = 1;

export async function openLoop({
  warmupSeconds,
  durationSeconds,
  rate,
  clients,
  call,
}: OpenLoop): Promise<LoopResult> {
  const recorder = new LatencyRecorder();
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const measureFromMs = startMs + warmupSeconds * 1000;
  const totalMs = (warmupSeconds + durationSeconds) * 1000;
  const wanted = Math.floor((totalMs / 1000) * rate);
  const idle = Array.from({ length: clients }, (_, client) => client);
  /** Numbers of calls are their times: call n is due n/rate seconds after the start. */
  let begun = 0;
  let due = 0;
  let done = 0;
  let measured = 0;
  let failures = 0;
  await new Promise<void>((resolve, reject) => {
    const timer = setInterval(() => {
      due = Math.min(wanted, Math.floor(((performance.now() - startMs) / 1000) * rate));
      if (due - begun > QUEUE_MAX) {
        clearInterval(timer);
        reject(new Error(`${due - begun} calls wait: the store cannot keep up`));
      }
      begin();
    }, STEP_MS);
    const begin = (): void => {
      while (begun < due && idle.length > 0) {
        const client = idle.pop()!; // not empty
        const dueMs = startMs + (begun / rate) * 1000;
        begun += 1;
        call(client).then(
          () => ended(client, dueMs, true),
          (error: unknown) => {
            process.stderr.write(`${String(error)}\n`);
            ended(client, dueMs, false);
          },
        );
      }
    };
    const ended = (client: number, dueMs: number, isOk: boolean): void => {
      idle.push(client);
      done += 1;
      if (!isOk) failures += 1;
      else if (dueMs >= measureFromMs) {
        measured += 1;
        recorder.record((performance.now() - dueMs) * 1000);
      }
      if (done === wanted) {
        clearInterval(timer);
        resolve();
      } else begin();
    };
  });
  const used = process.cpuUsage(cpu);
  const histogram = recorder.histogram();
  return {
    replies_total: done,
    ops_per_s: measured / durationSeconds,
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
