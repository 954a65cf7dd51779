// Render: what the farm costs beside rendering. Scheduling alone, with renderers that answer at once; the benchmark of the
// design notes, a hundred images of 200 ms on one to three worker nodes, beside the same renderers without a farm; and real
// Blender, two processes of one thread each, beside one `blender -a` run over the same frames.
// In the second a renderer waits 200 ms and computes nothing: three of them would not fit on two processors otherwise.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PixelFormat } from '../../render/index.js';
import type { Effort } from '../effort.js';
import { BLENDER_IMAGE, blenderProblem, renderAnimation, writeScene } from '../render/blender-run.js';
import { DirectRenderers } from '../render/direct.js';
import { Farm } from '../render/farm.js';
import { type JobMeasure, measureJob, STAGES } from '../render/farm-job.js';
import { type CheckRule, judge, round } from '../report.js';
import { toResult } from '../sample.js';
import { median, roundOrder } from '../statistics.js';
import { type Bench, noteMissing, type Suite } from '../suite.js';

const OURS = 'reactor-net render';
const RENDERERS = 2;
const FRAME_MS = 200;

const TASKS: CheckRule = {
  id: 'render.tasks.per_second',
  title: 'images of one pixel per second: main node, worker node, jbus, two renderers that answer at once',
  unit: 'per second',
  bar: 10_000,
  better: 'higher',
};
const OWN_COSTS: readonly CheckRule[] = [1, 2, 3].map((workers) => ({
  id: `render.frames.w${workers}.own_cost`,
  title: `time of images of ${FRAME_MS} ms through the farm, worker nodes: ${workers}, beyond the same renderers driven directly`,
  unit: 'ratio',
  bar: 0.05,
  better: 'lower',
}));
const BLENDER_ONE_THREAD: CheckRule = {
  id: 'render.blender.vs_one_thread',
  title: 'time of two Blender processes of one thread each in the farm / one run of blender -t 1 -a',
  unit: 'ratio',
  bar: 0.6,
  better: 'lower',
};
const BLENDER_ALL_THREADS: CheckRule = {
  id: 'render.blender.vs_all_threads',
  title: 'the same / one run of blender -a with all its threads',
  unit: 'ratio',
  bar: 1.2,
  better: 'lower',
};

interface Sizes {
  readonly tasks: number;
  readonly rounds: number;
  readonly frames: number;
  readonly workers: readonly number[];
  readonly framePairs: number;
  /** 0: no Blender. */
  readonly blenderPairs: number;
}

const SIZES: Readonly<Record<Effort['name'], Sizes>> = {
  full: { tasks: 20_000, rounds: 11, frames: 100, workers: [1, 2, 3], framePairs: 3, blenderPairs: 3 },
  quick: { tasks: 3_000, rounds: 2, frames: 12, workers: [1, 2], framePairs: 1, blenderPairs: 0 },
  smoke: { tasks: 50, rounds: 1, frames: 2, workers: [1], framePairs: 1, blenderPairs: 0 },
};
/** As many for each of the two processes. */
const BLENDER_FRAMES = 20;

export const RENDER: Suite = {
  name: 'render',
  rules: [TASKS, ...OWN_COSTS, BLENDER_ONE_THREAD, BLENDER_ALL_THREADS],
  async run(bench) {
    const sizes = SIZES[bench.effort.name];
    await runTasks(bench, sizes);
    await runFrames(bench, sizes);
    await runBlender(bench, sizes);
  },
};

async function runTasks(bench: Bench, { tasks, rounds }: Sizes): Promise<void> {
  const { report } = bench;
  bench.progress(`tasks: ${tasks} images of one pixel`);
  const farm = await Farm.start({ workers: 1, renderers: RENDERERS, rendering: { sleepMs: 0 } });
  try {
    await measureJob(farm, tasks); // to warm up
    const measures: JobMeasure[] = [];
    for (let count = 0; count < rounds; count += 1) measures.push(await measureJob(farm, tasks));
    const samples = measures.map(({ sample }) => sample);
    report.results.push(toResult('tasks', { workers: 1, renderers: RENDERERS }, OURS, samples));
    report.checks.push(
      judge(
        TASKS,
        samples.map(({ opsPerSecond }) => opsPerSecond),
      ),
    );
    const mainCpu = round(median(measures.map(({ mainCpuPerImage }) => mainCpuPerImage)));
    report.notes.push(`tasks: the main node has ${mainCpu} µs of CPU per image of the total`);
  } finally {
    await farm.stop();
  }
}

async function runFrames(bench: Bench, { frames, workers, framePairs }: Sizes): Promise<void> {
  const { report } = bench;
  let alone = 0;
  for (const count of workers) {
    bench.progress(`frames: ${frames} of ${FRAME_MS} ms, ${count} worker nodes`);
    const farm = await Farm.start({ workers: count, renderers: 1, rendering: { sleepMs: FRAME_MS } });
    const direct = await DirectRenderers.start(count, FRAME_MS);
    try {
      await measureJob(farm, count); // each has rendered once
      await direct.render(count);
      const farms: JobMeasure[] = [];
      const directs: number[] = [];
      for (let pair = 0; pair < framePairs; pair += 1) {
        for (const subject of roundOrder(2, pair)) {
          if (subject === 0) farms.push(await measureJob(farm, frames));
          else directs.push(await direct.render(frames));
        }
      }
      const walls = farms.map(({ wallMs }) => wallMs);
      const costs = walls.map((wallMs, pair) => wallMs / directs[pair]! - 1);
      const samples = farms.map(({ sample }) => sample);
      report.checks.push(judge(OWN_COSTS[count - 1]!, costs));
      report.results.push(toResult('frames', { workers: count, frames }, OURS, samples));
      const wallMs = median(walls);
      if (count === 1) alone = wallMs;
      const [wall, straight] = [wallMs, median(directs)].map((ms) => (ms / 1000).toFixed(2));
      const efficiency = (alone / (count * wallMs)).toFixed(3);
      report.notes.push(
        `frames, ${count} workers: ${wall} s, directly ${straight} s, efficiency ${efficiency}; ${stageText(farms[0]!.stageUs)}`,
      );
    } finally {
      await direct.stop();
      await farm.stop();
    }
  }
}

async function runBlender(bench: Bench, { blenderPairs }: Sizes): Promise<void> {
  const { report } = bench;
  if (blenderPairs === 0) return;
  const problem = await blenderProblem();
  if (problem !== null) return noteMissing(report, 'blender', problem);
  const folder = mkdtempSync(path.join(tmpdir(), 'reactor-net-blender-'));
  try {
    const scene = await writeScene(folder, BLENDER_FRAMES);
    const farm = await Farm.start({ workers: 1, renderers: 2, rendering: { scene } });
    try {
      const frames = Array.from({ length: BLENDER_FRAMES }, (_, at) => at + 1);
      const request = { ...BLENDER_IMAGE, format: PixelFormat.RGB8 };
      await measureJob(farm, 2, { ...request, frames: frames.slice(0, 2) }); // both have loaded it
      const times: { farm: number; one: number; all: number }[] = [];
      const samples = [];
      for (let pair = 0; pair < blenderPairs; pair += 1) {
        bench.progress(`blender: ${BLENDER_FRAMES} frames, round ${pair + 1} of ${blenderPairs}`);
        const one = await renderAnimation(scene, folder, 1);
        const { wallMs, sample } = await measureJob(farm, BLENDER_FRAMES, { ...request, frames });
        const all = await renderAnimation(scene, folder, 0);
        times.push({ farm: wallMs, one, all });
        samples.push(sample);
      }
      report.results.push(toResult('blender', { processes: 2, frames: BLENDER_FRAMES }, OURS, samples));
      report.checks.push(
        judge(
          BLENDER_ONE_THREAD,
          times.map((time) => time.farm / time.one),
        ),
        judge(
          BLENDER_ALL_THREADS,
          times.map((time) => time.farm / time.all),
        ),
      );
      for (const { farm: wall, one, all } of times) {
        const [a, b, c] = [wall, one, all].map((ms) => (ms / 1000).toFixed(2));
        report.notes.push(
          `blender, ${BLENDER_FRAMES} frames: farm ${a} s, -t 1 -a ${b} s, -a ${c} s, their start included`,
        );
      }
    } finally {
      await farm.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function stageText(stageUs: readonly number[]): string {
  const parts = STAGES.map(([name], index) => `${name} ${(stageUs[index]! / 1000).toFixed(2)}`);
  return `ms per image: ${parts.join(', ')}`;
}
