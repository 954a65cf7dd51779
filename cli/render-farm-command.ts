// `reactor-net render jobs`, `workers`, `pause`, `logs`, `fetch` and their neighbours: flags and operands.
// render-farm.ts and render-fetch.ts carry them out.

import { type CommandSpec, declareCommand } from './command-spec.js';
import { type Flag, type FlagTable, readCount, readList, readSwitch, UsageError } from './flags.js';
import {
  checkRenderTarget,
  readJobId,
  RENDER_TARGET_FLAGS,
  type RenderTargetFlags,
} from './render-client-flags.js';
import { OUTPUT_FLAGS, type OutputFlags, readPriority } from './render-submit-command.js';

const WHICH = 'Which:';
const U32_MAX = 2 ** 32 - 1;

export const JOB_STATE_NAMES = ['queued', 'active', 'paused', 'completed', 'failed', 'canceled'] as const;
export type JobStateName = (typeof JOB_STATE_NAMES)[number];

interface JobsFlags extends RenderTargetFlags {
  states: readonly JobStateName[];
  limit: number;
}
interface WorkersFlags extends RenderTargetFlags {
  drain: number | null;
}
interface LogsFlags extends RenderTargetFlags {
  image: number | null;
}
interface FetchFlags extends RenderTargetFlags, OutputFlags {
  follow: boolean;
}

export const JOB_ACTIONS = ['pause', 'resume', 'requeue', 'cancel', 'delete'] as const;
export type JobAction = (typeof JOB_ACTIONS)[number];

export type RenderJobsOptions = JobsFlags & { readonly verb: 'jobs'; readonly job: bigint | null };
export type RenderWorkersOptions = WorkersFlags & { readonly verb: 'workers' };
export type RenderActionOptions = RenderTargetFlags & {
  readonly verb: JobAction;
  readonly jobs: readonly bigint[];
};
export type RenderPriorityOptions = RenderTargetFlags & {
  readonly verb: 'priority';
  readonly job: bigint;
  readonly priority: number;
};
export type RenderLogsOptions = LogsFlags & { readonly verb: 'logs'; readonly job: bigint };
export type RenderFetchOptions = Omit<FetchFlags, 'out'> & {
  readonly verb: 'fetch';
  readonly job: bigint;
  readonly out: string;
};
export type RenderFarmOptions =
  | RenderJobsOptions
  | RenderWorkersOptions
  | RenderActionOptions
  | RenderPriorityOptions
  | RenderLogsOptions
  | RenderFetchOptions;

const JOBS_FLAGS: FlagTable<JobsFlags> = {
  states: {
    flag: 'state',
    value: 'STATE,…',
    group: WHICH,
    summary: `only jobs that are ${JOB_STATE_NAMES.join(', ')}`,
    choices: JOB_STATE_NAMES,
    repeats: true,
    read: (text) => readList(text).map(readState),
    fallback: [],
  },
  limit: {
    flag: 'limit',
    value: 'N',
    group: WHICH,
    summary: 'how many, the newest first',
    read: readCount(1, 1000),
    fallback: 20,
    fallbackText: '20',
  },
  ...RENDER_TARGET_FLAGS,
};

const DRAIN: Flag<number | null> = {
  flag: 'drain',
  value: 'SERIAL',
  group: WHICH,
  summary: 'let this worker finish what it has and go',
  read: readCount(1, U32_MAX),
  fallback: null,
};

const IMAGE: Flag<number | null> = {
  flag: 'image',
  value: 'I',
  group: WHICH,
  summary: 'index of the image, from 0',
  read: readCount(0, U32_MAX),
  fallback: null,
  fallbackText: 'the first that is missing, or 0',
};

const FOLLOW: Flag<boolean> = {
  flag: 'follow',
  group: WHICH,
  summary: 'wait for the images that are not rendered yet',
  read: readSwitch,
  fallback: false,
};

const ONE_JOB = { name: 'job', count: 'one', summary: 'its number, as "render jobs" shows it' } as const;
const SOME_JOBS = { name: 'job', summary: 'their numbers, as "render jobs" shows them' } as const;

const ACTION_SUMMARIES: Readonly<Record<JobAction, string>> = {
  pause: 'let jobs rest: what runs is finished, nothing more is begun',
  resume: 'let paused jobs go on',
  requeue: 'render the missing images of finished jobs again',
  cancel: 'end jobs; what is rendered is kept',
  delete: 'forget finished jobs and their images',
};

export const RENDER_FARM_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['render', 'jobs'],
    summary: 'list jobs, or show one with its images',
    flags: JOBS_FLAGS,
    operands: { ...ONE_JOB, count: 'optional' },
    complete: (flags, [job], context) => {
      checkRenderTarget(flags, context);
      const id = job === undefined ? null : readJobId(job);
      return { kind: 'render', options: { ...flags, verb: 'jobs', job: id } };
    },
  }),
  declareCommand({
    words: ['render', 'workers'],
    summary: 'list worker nodes with their load, or let one go',
    flags: { drain: DRAIN, ...RENDER_TARGET_FLAGS },
    complete: (flags, _operands, context) => {
      checkRenderTarget(flags, context);
      return { kind: 'render', options: { ...flags, verb: 'workers' } };
    },
  }),
  ...JOB_ACTIONS.map((verb) =>
    declareCommand({
      words: ['render', verb],
      summary: ACTION_SUMMARIES[verb],
      flags: RENDER_TARGET_FLAGS,
      operands: SOME_JOBS,
      complete: (flags, jobs, context) => {
        checkRenderTarget(flags, context);
        return { kind: 'render', options: { ...flags, verb, jobs: jobs.map(readJobId) } };
      },
    }),
  ),
  declareCommand({
    words: ['render', 'priority'],
    summary: 'render a job before or after others: its number, then its new priority',
    flags: RENDER_TARGET_FLAGS,
    operands: { name: 'job', summary: 'its number and its new priority, such as 7 10' },
    complete: (flags, operands, context) => {
      checkRenderTarget(flags, context);
      const [job, priority] = operands;
      if (job === undefined || priority === undefined || operands.length > 2)
        throw new UsageError('name a job and its new priority, such as "render priority 7 10"');
      const options = { ...flags, verb: 'priority', job: readJobId(job) } as const;
      return { kind: 'render', options: { ...options, priority: readPriority(priority) } };
    },
  }),
  declareCommand({
    words: ['render', 'logs'],
    summary: 'what the renderer printed while it had the last attempt of an image',
    flags: { image: IMAGE, ...RENDER_TARGET_FLAGS },
    operands: ONE_JOB,
    complete: (flags, [job = ''], context) => {
      checkRenderTarget(flags, context);
      return { kind: 'render', options: { ...flags, verb: 'logs', job: readJobId(job) } };
    },
  }),
  declareCommand({
    words: ['render', 'fetch'],
    summary: 'get the images of a job; those that are in the folder already are not fetched again',
    flags: { follow: FOLLOW, ...OUTPUT_FLAGS, ...RENDER_TARGET_FLAGS },
    operands: ONE_JOB,
    complete: (flags, [job = ''], context) => {
      checkRenderTarget(flags, context);
      const { out } = flags;
      if (out === null) throw new UsageError('--out: name a folder for the images');
      return { kind: 'render', options: { ...flags, verb: 'fetch', job: readJobId(job), out } };
    },
  }),
];

function readState(text: string): JobStateName {
  const state = JOB_STATE_NAMES.find((name) => name === text);
  if (state !== undefined) return state;
  throw new UsageError(`"${text}" should be one of ${JOB_STATE_NAMES.join(', ')}`);
}
