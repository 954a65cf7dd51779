// The JSON of the HTTP API as JSON Schema (2020-12, which OpenAPI 3.1 takes as it is). Plain data.
// Every object is closed and complete: what is served and not written here fails a test, and so does the reverse.

import { JOB_STATES } from '../main/farm.js';
import { RENDER_ACTIONS } from './job-actions.js';

export type Schema = Readonly<Record<string, unknown>>;

const count: Schema = { type: 'integer', minimum: 0 };
const number: Schema = { type: 'number', minimum: 0 };
const share: Schema = { type: 'number', minimum: 0, description: 'Usually from 0 to 1.' };
const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const timeMs: Schema = { type: 'number', minimum: 0, description: 'Milliseconds since the Unix epoch.' };
const state: Schema = { enum: [...JOB_STATES] };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const list = (items: Schema): Schema => ({ type: 'array', items });

export type SchemaName =
  | 'Error'
  | 'Totals'
  | 'Farm'
  | 'Job'
  | 'Image'
  | 'Jobs'
  | 'JobWithImages'
  | 'Action'
  | 'Outcomes'
  | 'Worker'
  | 'Workers'
  | 'Load'
  | 'Log'
  | 'Login';

export function ref(name: SchemaName): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function record(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', additionalProperties: false, required: Object.keys(properties), properties };
}

const workerLoad = { cpu: share, mem: share, gpu: share, running: count, queued: count, processes: count };

export const SCHEMAS: Readonly<Record<SchemaName, Schema>> = {
  Error: record({ code: text, message: text }),
  Totals: record({
    drivers: count,
    workers: count,
    jobs: record(Object.fromEntries(JOB_STATES.map((name) => [name, count]))),
    imagesOpen: count,
    imagesRendered: count,
    imagesFailed: count,
    slots: count,
    resultBytes: count,
  }),
  Farm: record({
    version: text,
    boot: { type: 'string', description: 'Another one after each start of the main node.' },
    startedAtMs: timeMs,
    nowMs: timeMs,
    main: {
      type: 'string',
      description: 'Where drivers and worker nodes reach the main node; empty: unknown.',
    },
    hasTokens: flag,
    totals: ref('Totals'),
  }),
  Job: record({
    id: count,
    driver: text,
    state,
    priority: { type: 'integer' },
    images: count,
    done: count,
    failed: count,
    running: count,
    width: count,
    height: count,
    samples: count,
    format: { type: 'string', description: 'Name of a PixelFormat of render.proto.' },
    scene: text,
    tag: text,
    submittedAtMs: timeMs,
    finishedAtMs: orNull(timeMs),
    code: { ...orNull(text), description: 'Name of a Code of render.proto, once it is finished.' },
    message: text,
    retries: count,
    blockedNodes: list(text),
    remainingMs: orNull(number),
    resultBytes: count,
    expiresAtMs: orNull(timeMs),
  }),
  Image: record({
    index: count,
    state: { enum: ['waiting', 'running', 'rendered', 'missing'] },
    code: { type: 'string', description: 'Name of an ErrCode of render.proto.' },
    error: text,
    attempts: count,
    renderMs: number,
    node: text,
    kept: { type: 'boolean', description: 'Whether its pixels can be had.' },
  }),
  Jobs: record({ jobs: list(ref('Job')), total: count }),
  JobWithImages: record({
    job: ref('Job'),
    images: list(ref('Image')),
  }),
  Action: {
    type: 'object',
    additionalProperties: false,
    required: ['action', 'ids'],
    properties: {
      action: { enum: [...RENDER_ACTIONS] },
      ids: { type: 'array', items: count, minItems: 1, maxItems: 1000 },
      priority: { type: 'integer', description: 'With the action priority: higher ones go first.' },
    },
  },
  Outcomes: record({
    outcomes: list(
      record({
        id: count,
        error: { type: 'string', description: 'Empty where it was done.' },
        state: { ...orNull(state), description: 'Null: there is no such job, any more or at all.' },
      }),
    ),
  }),
  Worker: record({
    serial: count,
    name: text,
    address: text,
    tags: list(text),
    weight: number,
    slots: count,
    slotsMax: count,
    running: count,
    queued: count,
    cpu: share,
    cpuOthers: share,
    mem: share,
    gpu: share,
    gpuTemp: { type: 'number' },
    isDraining: flag,
    processes: list(record({ pid: count, cpu: share, rssBytes: count, gpu: share, renders: count })),
    registeredAtMs: timeMs,
    lastBeatMs: timeMs,
    imagesRendered: count,
    imagesFailed: count,
    version: text,
  }),
  Workers: record({ workers: list(ref('Worker')) }),
  Load: record({
    stepMs: count,
    points: list(
      record({
        atMs: timeMs,
        imagesPerSecond: number,
        workers: list(record({ serial: count, ...workerLoad })),
      }),
    ),
  }),
  Log: record({ text, node: text, attempt: count }),
  Login: record({ token: { type: 'string', minLength: 1 } }),
};
