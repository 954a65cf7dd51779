// `reactor-net render jobs`, `workers`, `pause` and its neighbours, `priority`, `logs`: one question each, a line per fact.

import {
  type FarmClient,
  ImageState,
  type Job,
  type JobOutcome,
  JobStates,
  nameOf,
  type Worker,
} from '../render/index.js';
import { EXIT_FAILED, type Io } from './main.js';
import type {
  RenderActionOptions,
  RenderJobsOptions,
  RenderLogsOptions,
  RenderPriorityOptions,
  RenderWorkersOptions,
} from './render-farm-command.js';
import { JOB_STATE_NAMES } from './render-farm-command.js';
import { errorName } from './render-output.js';
import { shownTime } from './render-progress.js';
import { say, withFarm } from './render-session.js';
import { formatTable } from './text-table.js';

export function renderJobs(options: RenderJobsOptions, io: Io): Promise<number> {
  const { job, states, limit, json } = options;
  return withFarm(options, io, async (farm) => {
    if (job !== null) return await showJob(farm, job, io, json);
    const wanted = states.map((state) => JobStates[state.toUpperCase() as keyof typeof JobStates]); // the same names
    const { jobs, total } = await farm.jobs({ limit, states: wanted });
    if (json) for (const each of jobs) say(io, true, { event: 'job', ...jobFacts(each) }, null);
    else if (jobs.length === 0) say(io, false, {}, 'no jobs');
    else {
      const head = ['job', 'state', 'from', 'done', 'missing', 'running', 'priority', 'size', 'left'];
      say(io, false, {}, formatTable([head, ...jobs.map(jobRow)], 3));
      if (jobs.length < total) say(io, false, {}, `${total - jobs.length} older ones: --limit shows more`);
    }
    return 0;
  });
}

export function renderWorkers(options: RenderWorkersOptions, io: Io): Promise<number> {
  const { drain, json } = options;
  return withFarm(options, io, async (farm) => {
    if (drain !== null) {
      await farm.drainWorker(drain);
      say(io, json, { event: 'draining', worker: drain }, `worker ${drain} is draining`);
      return 0;
    }
    const workers = await farm.workers();
    if (json) for (const worker of workers) say(io, true, { event: 'worker', ...worker }, null);
    else if (workers.length === 0) say(io, false, {}, 'no workers');
    else {
      const head = ['worker', 'name', 'address', 'tags', 'slots', 'running', 'queued'];
      const load = ['cpu', 'of others', 'memory', 'gpu', 'rendered', 'failed', ''];
      say(io, false, {}, formatTable([[...head, ...load], ...workers.map(workerRow)], 4));
    }
    return 0;
  });
}

export function renderAction(options: RenderActionOptions, io: Io): Promise<number> {
  const { verb, jobs, json } = options;
  return withFarm(options, io, async (farm) => tellOutcomes(await farm[verb](jobs), io, json));
}

export function renderPriority(options: RenderPriorityOptions, io: Io): Promise<number> {
  const { job, priority, json } = options;
  return withFarm(options, io, async (farm) => tellOutcomes(await farm.setPriority(job, priority), io, json));
}

export function renderLogs(options: RenderLogsOptions, io: Io): Promise<number> {
  const { job, json } = options;
  return withFarm(options, io, async (farm) => {
    const index = options.image ?? (await firstMissing(farm, job));
    const { text, node, attempt } = await farm.logs(job, index);
    if (json) say(io, true, { event: 'log', job, image: index, node, attempt, text }, null);
    else io.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    return 0;
  });
}

async function showJob(farm: FarmClient, id: bigint, io: Io, json: boolean): Promise<number> {
  const { job, images } = await farm.job(id);
  if (json) {
    say(io, true, { event: 'job', ...jobFacts(job) }, null);
    for (const { state, code, ...image } of images)
      say(io, true, { event: 'image', ...image, state: imageState(state), code: errorName(code) }, null);
    return 0;
  }
  const head = ['job', 'state', 'from', 'done', 'missing', 'running', 'priority', 'size', 'left'];
  say(io, false, {}, formatTable([head, jobRow(job)], 3));
  if (job.message !== '') say(io, false, {}, job.message);
  if (job.blockedNodes.length > 0) say(io, false, {}, `blocked for it: ${job.blockedNodes.join(', ')}`);
  const rows = images.map(({ index, state, attempts, renderMs, node, code, error }) => [
    String(index),
    imageState(state),
    node,
    String(attempts),
    state === ImageState.RENDERED ? `${renderMs} ms` : '',
    code === 0 ? '' : `${errorName(code)} ${error}`.trim(),
  ]);
  say(io, false, {}, formatTable([['image', 'state', 'worker', 'attempts', 'took', ''], ...rows], 3));
  return 0;
}

async function firstMissing(farm: FarmClient, id: bigint): Promise<number> {
  const { job, images } = await farm.job(id, { images: false });
  if (job.failed === 0) return images[0]?.index ?? 0;
  const all = (await farm.job(id)).images;
  return all.find(({ state }) => state === ImageState.MISSING)?.index ?? 0;
}

/** @returns 1 when some were not done */
function tellOutcomes(outcomes: readonly JobOutcome[], io: Io, json: boolean): number {
  for (const { id, error, state } of outcomes) {
    if (json) say(io, true, { event: 'outcome', job: id, error, state: jobState(state) }, null);
    else if (error === '') say(io, false, {}, `job ${id}: ${jobState(state)}`);
    else io.stderr.write(`reactor-net: job ${id}: ${error}\n`);
  }
  return outcomes.every(({ error }) => error === '') ? 0 : EXIT_FAILED;
}

function jobFacts({ state, code, ...job }: Job): object {
  const finished = job.finishedAtMs === 0n ? {} : { code: nameOf(code as Parameters<typeof nameOf>[0]) };
  return { ...job, state: jobState(state), ...finished };
}

function jobRow(job: Job): string[] {
  const { id, state, driver, done, images, failed, running, priority, width, height, remainingMs } = job;
  return [
    String(id),
    jobState(state),
    driver,
    `${done}/${images}`,
    String(failed),
    String(running),
    String(priority),
    `${width}x${height}`,
    remainingMs === 0n ? '' : shownTime(Number(remainingMs) / 1000),
  ];
}

function workerRow(worker: Worker): string[] {
  const { serial, name, address, tags, slots, slotsMax, running, queued, cpu, cpuOthers, mem, gpu } = worker;
  return [
    String(serial),
    name,
    address,
    tags.join(','),
    slotsMax > slots ? `${slots} of ${slotsMax}` : String(slots),
    String(running),
    String(queued),
    ...[cpu, cpuOthers, mem, gpu].map((share) => `${Math.round(share * 100)}%`),
    String(worker.imagesRendered),
    String(worker.imagesFailed),
    worker.draining ? 'draining' : '',
  ];
}

/** A state that only a newer main node knows is its number. */
export function jobState(state: number): string {
  return JOB_STATE_NAMES[state] ?? `state ${state}`;
}

function imageState(state: number): string {
  const name = Object.entries(ImageState).find(([, value]) => value === state)?.[0];
  return name?.toLowerCase() ?? `state ${state}`;
}
