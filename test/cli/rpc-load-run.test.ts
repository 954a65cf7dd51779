import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LatencyHistogram } from '../../cli/latency-histogram.js';
import { type LoadPlan, LoadRun } from '../../cli/load-run.js';

test('quantiles of a histogram are right to half a percent', () => {
  const histogram = new LatencyHistogram();
  for (let micros = 1; micros <= 100_000; micros += 1) histogram.record(micros / 1000);
  for (const fraction of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exact = fraction * 100;
    assert(Math.abs(histogram.quantileMs(fraction) - exact) / exact < 0.005, `p${fraction * 100}`);
  }
  assert.equal(histogram.quantileMs(1), 100);
  assert.deepEqual([histogram.count, histogram.minMs, histogram.maxMs], [100_000, 0.001, 100]);
  assert(Math.abs(histogram.meanMs - 50.0005) < 1e-6);
});

test('rows of a histogram are without gaps and hold every latency once', () => {
  const histogram = new LatencyHistogram();
  assert.deepEqual(histogram.rows(), []);
  for (const ms of [0.3, 0.4, 7, 7, 60_000]) histogram.record(ms);
  const rows = histogram.rows();
  assert.deepEqual(rows[0], { fromMs: 0.2, toMs: 0.5, count: 2 });
  assert.deepEqual(rows.at(-1), { fromMs: 50_000, toMs: 100_000, count: 1 });
  for (const [index, row] of rows.entries()) {
    if (index > 0) assert.equal(row.fromMs, rows[index - 1]!.toMs);
  }
  assert.equal(
    rows.reduce((sum, { count }) => sum + count, 0),
    5,
  );
});

/** A server that takes `serviceMs` per call (null: it fails at once), one after the other, on a clock that only waiting moves. */
class Simulation {
  nowMs = 0;
  inFlightMost = 0;
  calls = 0;
  readonly run: LoadRun;
  readonly #wakes: { readonly atMs: number; readonly wake: () => void }[] = [];
  #inFlight = 0;
  #freeMs = 0;

  constructor(plan: Partial<LoadPlan>, serviceMs: (number: number) => number | null) {
    this.run = new LoadRun(
      { concurrency: 1, ratePerSecond: null, warmupMs: 0, durationMs: null, requests: null, ...plan },
      {
        nowMs: () => this.nowMs,
        pause: (ms) => this.#at(this.nowMs + ms),
        codeOf: (error) => (error as Error).message,
        call: async (number) => {
          const tookMs = serviceMs(number);
          if (tookMs === null) throw new Error('down');
          this.calls += 1;
          this.#inFlight += 1;
          this.inFlightMost = Math.max(this.inFlightMost, this.#inFlight);
          this.#freeMs = Math.max(this.nowMs, this.#freeMs) + tookMs;
          await this.#at(this.#freeMs);
          this.#inFlight -= 1;
        },
      },
    );
  }

  /** Moves the clock from wake to wake until every call has ended. */
  async finish(untilMs: number = Infinity): Promise<void> {
    const done = this.run.done.then(() => 'done');
    for (;;) {
      await nextTurn();
      if ((await Promise.race([done, nextTurn('not yet')])) === 'done') return;
      this.#wakes.sort((a, b) => a.atMs - b.atMs);
      const next = this.#wakes[0];
      assert(next !== undefined, 'nothing is left to wait for, and the run has not ended');
      if (next.atMs > untilMs) return;
      this.#wakes.shift();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.wake();
    }
  }

  #at(atMs: number): Promise<void> {
    return new Promise((wake) => this.#wakes.push({ atMs, wake }));
  }
}

test('a closed loop makes exactly the calls asked for, and never more at a time', async () => {
  const simulation = new Simulation({ concurrency: 4, requests: 50 }, () => 10);
  await simulation.finish();
  const { run } = simulation;
  assert.deepEqual([simulation.calls, run.ended, run.failed, run.unsent], [50, 50, 0, 0]);
  assert.equal(simulation.inFlightMost, 4);
  assert.equal(run.seconds, 0.5);
});

test('at a fixed rate a stall is seen by every call that was due in it', async () => {
  // 100 calls per second of 1 ms each; the call of second 1 takes a whole second.
  const stalls = (number: number): number => (number === 100 ? 1000 : 1);
  const open = new Simulation({ concurrency: 1, ratePerSecond: 100, durationMs: 4000 }, stalls);
  await open.finish();
  assert.equal(open.run.ended, 400);
  assert.equal(open.run.unsent, 0);
  // Some 110 of 400 calls were due while it stood, or behind those: half of them waited half a second or more.
  const slow = open.run.latencies.rows().filter(({ fromMs }) => fromMs >= 100);
  const late = slow.reduce((sum, { count }) => sum + count, 0);
  assert(late >= 95 && late <= 110, `${late} calls saw the stall`);

  const closed = new Simulation({ concurrency: 1, requests: 400 }, stalls);
  await closed.finish();
  assert.equal(closed.run.latencies.rows().find(({ fromMs, count }) => fromMs >= 100 && count > 0)?.count, 1);
});

test('calls that fell due while the timer was late are sent, though the end has passed', async () => {
  const simulation = new Simulation({ concurrency: 10, ratePerSecond: 100, durationMs: 1000 }, () => 1);
  await simulation.finish(950);
  simulation.nowMs = 1200; // the process was not scheduled for a while
  await simulation.finish();
  assert.deepEqual([simulation.run.ended, simulation.run.unsent], [100, 0]);
});

test('at a rate above what the server does, what was not sent is told', async () => {
  const { run } = await finished({ concurrency: 2, ratePerSecond: 1000, durationMs: 1000 }, 10);
  assert(run.ended >= 100 && run.ended <= 102, `${run.ended}`);
  assert.equal(run.ended + run.unsent, 1000);
});

test('calls of the warm-up are made and not counted', async () => {
  const simulation = await finished({ warmupMs: 500, durationMs: 500 }, 10);
  assert.equal(simulation.run.ended, 50);
  assert.equal(simulation.calls, 100);
  assert.equal(simulation.run.seconds, 0.5);
});

test('calls that fail at once are counted by code and leave the loop time to breathe', async () => {
  const simulation = new Simulation({ concurrency: 10, durationMs: 100 }, () => null);
  await simulation.finish();
  const failure = simulation.run.failures.get('down');
  assert.equal(failure?.count, simulation.run.failed);
  assert(simulation.run.failed >= 500 && simulation.run.failed <= 1010, `${simulation.run.failed}`);
  assert.equal(simulation.run.latencies.count, 0);
});

test('an abandoned run begins nothing more and counts nothing that ends later', async () => {
  const simulation = new Simulation({ concurrency: 2, durationMs: 10_000 }, () => 10);
  await simulation.finish(200);
  const { ended } = simulation.run;
  simulation.run.abandon();
  await simulation.finish();
  assert.equal(simulation.run.ended, ended);
  assert.equal(simulation.calls, ended + 2);
});

async function finished(plan: Partial<LoadPlan>, serviceMs: number): Promise<Simulation> {
  const simulation = new Simulation(plan, () => serviceMs);
  await simulation.finish();
  return simulation;
}
