// Render: what the farm costs beside rendering. Scheduling alone, with renderers that answer at once; and the benchmark of
// the design notes, a hundred images of 200 ms on one to three worker nodes, beside the same renderers without a farm.
// There a renderer waits 200 ms and computes nothing: three of them would not fit on two processors otherwise.

import type { Effort } from '../effort.js';
import { renderDirectly } from '../render/direct.js';
import { Farm } from '../render/farm.js';
import { type JobMeasure, measureJob, STAGES } from '../render/farm-job.js';
import { type CheckRule, judge, round } from '../report.js';
import { toResult } from '../sample.js';
import { median } from '../statistics.js';
import type { Bench, Suite } from '../suite.js';

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
const OWN_COST: CheckRule = {
  id: 'render.frames.own_cost',
  title: `time of images of ${FRAME_MS} ms through the farm, beyond the same renderers driven directly`,
  unit: 'ratio',
  bar: 0.05,
  better: 'lower',
};

interface Sizes {
  readonly tasks: number;
  readonly rounds: number;
  readonly frames: number;
  readonly workers: readonly number[];
}

const SIZES: Readonly<Record<Effort['name'], Sizes>> = {
  full: { tasks: 20_000, rounds: 11, frames: 100, workers: [1, 2, 3] },
  quick: { tasks: 3_000, rounds: 2, frames: 12, workers: [1, 2] },
  smoke: { tasks: 50, rounds: 1, frames: 2, workers: [1] },
};

export const RENDER: Suite = {
  name: 'render',
  rules: [TASKS, OWN_COST],
  async run(bench) {
    const sizes = SIZES[bench.effort.name];
    await runTasks(bench, sizes);
    await runFrames(bench, sizes);
  },
};

async function runTasks(bench: Bench, { tasks, rounds }: Sizes): Promise<void> {
  const { report } = bench;
  bench.progress(`tasks: ${tasks} images of one pixel`);
  const farm = await Farm.start({ workers: 1, renderers: RENDERERS, sleepMs: 0 });
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

async function runFrames(bench: Bench, { frames, workers }: Sizes): Promise<void> {
  const { report } = bench;
  const costs: number[] = [];
  let alone = 0;
  for (const count of workers) {
    bench.progress(`frames: ${frames} of ${FRAME_MS} ms, ${count} worker nodes`);
    const directMs = await renderDirectly(count, FRAME_MS, frames);
    const farm = await Farm.start({ workers: count, renderers: 1, sleepMs: FRAME_MS });
    try {
      await measureJob(farm, count); // each has rendered once
      const { sample, wallMs, stageUs } = await measureJob(farm, frames);
      costs.push(wallMs / directMs - 1);
      report.results.push(toResult('frames', { workers: count, frames }, OURS, [sample]));
      if (count === 1) alone = wallMs;
      const efficiency = alone === 0 ? '' : `, efficiency ${(alone / (count * wallMs)).toFixed(3)}`;
      report.notes.push(
        `frames, ${count} workers: ${(wallMs / 1000).toFixed(2)} s, directly ${(directMs / 1000).toFixed(2)} s${efficiency}; ${stageText(stageUs)}`,
      );
    } finally {
      await farm.stop();
    }
  }
  report.checks.push(judge(OWN_COST, costs));
}

function stageText(stageUs: readonly number[]): string {
  const parts = STAGES.map(([name], index) => `${name} ${(stageUs[index]! / 1000).toFixed(2)}`);
  return `ms per image: ${parts.join(', ')}`;
}
