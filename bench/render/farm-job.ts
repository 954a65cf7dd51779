// One job on a farm, measured: how long its images took, each and together, and the CPU of all processes.

import type { RenderRequest } from '../../render/index.js';
import type { StageTimes } from '../../render/proto/render.js';
import type { Sample } from '../sample.js';
import { quantile } from '../statistics.js';
import { type Farm, sum } from './farm.js';

/** Names to show, and where they are told. */
export const STAGES: readonly (readonly [name: string, field: keyof StageTimes])[] = [
  ['queue', 'queueUs'],
  ['dispatch', 'dispatchUs'],
  ['request through memory', 'shmRequestUs'],
  ['render', 'renderUs'],
  ['read out', 'readOutUs'],
  ['reply through memory', 'shmReplyUs'],
  ['reply', 'replyUs'],
];

/** One grey pixel, for which a renderer that computes nothing needs nothing. */
const PIXEL: ImageRequest = { width: 1, height: 1, samples: 1, lights: [[0x80ffffff]] };

export type ImageRequest = Pick<
  RenderRequest,
  'width' | 'height' | 'samples' | 'lights' | 'frames' | 'format'
>;

export interface JobMeasure {
  readonly sample: Sample;
  readonly wallMs: number;
  /** CPU of the main node per image, µs. */
  readonly mainCpuPerImage: number;
  /** Mean of each stage, µs, in the order of STAGES. */
  readonly stageUs: readonly number[];
}

/** @throws Error when an image is missing, or does not tell its times: then nothing was measured */
export async function measureJob(
  farm: Farm,
  images: number,
  request: ImageRequest = PIXEL,
): Promise<JobMeasure> {
  const before = farm.cpu();
  const ownBefore = process.cpuUsage();
  const beganMs = performance.now();
  const latencies: number[] = [];
  const stages = STAGES.map(() => 0);
  for await (const result of farm.driver.render({ images, ...request })) {
    if (result.kind === 'missing') throw new Error(`image ${result.index} is missing: ${result.error}`);
    const { times } = result;
    if (times === null) throw new Error(`image ${result.index} does not tell where its time went`);
    for (const [index, [, field]] of STAGES.entries()) stages[index]! += times[field];
    latencies.push(STAGES.reduce((total, [, field]) => total + times[field], 0));
  }
  const wallMs = performance.now() - beganMs;
  const own = process.cpuUsage(ownBefore);
  const { main, workers } = farm.cpuSince(before);
  const cpu = sum(main, workers);
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (fraction: number): number => (sorted.length === 0 ? 0 : quantile(sorted, fraction));
  return {
    sample: {
      operations: images,
      opsPerSecond: (1000 * images) / wallMs,
      bytesPerSecond: (1000 * images) / wallMs,
      cpuPerOp: cpu.total / images,
      userPerOp: cpu.user / images,
      systemPerOp: cpu.system / images,
      loadCpuPerOp: (own.user + own.system) / images,
      rssBytes: farm.rssBytes,
      histogram: null,
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
    },
    wallMs,
    mainCpuPerImage: main.total / images,
    stageUs: stages.map((total) => total / Math.max(1, latencies.length)),
  };
}
