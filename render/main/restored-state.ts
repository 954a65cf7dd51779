// What an earlier life of the main node kept, put together from the records of its store.
// Pure. Records of jobs that are not there (forgotten before, or torn off) are passed over.

import { type Code, ErrCode } from '../proto/render.js';
import type { FailedImage, RestoredJob } from './job.js';
import { type JobOwner, JobRecord } from './job-record.js';
import { imageBytesAtMost, type JobSpec, kindOf } from './job-spec.js';
import type { StoredImage, StoreRecord } from './job-store.js';
import type { KeptPlace } from './result-store.js';

/** Of the images of one task: a node that goes away takes no more than that with it. */
const CHUNK_BYTES_MAX = 8 * 2 ** 20;
const RENDERED = 1;
const FAILED = 2;

export interface StoredDriver {
  readonly key: number;
  readonly serial: number;
  readonly epoch: bigint;
  readonly name: string;
}

export class StoredJob {
  readonly job: number;
  readonly owner: JobOwner;
  readonly requestId: bigint;
  readonly spec: JobSpec;
  readonly submittedAt: number;
  deadlineAt: number;
  priority: number;
  isPaused = false;
  isDropped = false;
  end: { readonly code: Code; readonly message: string; readonly at: number } | null = null;
  readonly images: Map<number, StoredImage> = new Map();
  readonly missing: Map<number, FailedImage> = new Map();

  constructor(record: Extract<StoreRecord, { kind: 'job' }>) {
    this.job = record.job;
    this.owner = record.owner;
    this.requestId = record.requestId;
    this.spec = record.spec;
    this.submittedAt = record.submittedAt;
    this.deadlineAt = record.deadlineAt;
    this.priority = record.spec.priority;
  }

  places(): ReadonlyMap<number, KeptPlace> {
    return new Map(Array.from(this.images.values(), ({ index, place }) => [index, place]));
  }
}

export interface RestoredState {
  /** Above all attempt ids that were given. */
  readonly firstAttempt: number;
  readonly firstJob: number;
  readonly drivers: ReadonlyMap<number, StoredDriver>;
  readonly jobs: ReadonlyMap<number, StoredJob>;
}

/** More attempts than one life of a main node makes. */
const ATTEMPTS_OF_A_LIFE = 1e12;

export function restoredState(records: readonly StoreRecord[]): RestoredState {
  const drivers = new Map<number, StoredDriver>();
  const jobs = new Map<number, StoredJob>();
  let firstAttempt = 1;
  let firstJob = 1;
  for (const record of records) {
    switch (record.kind) {
      case 'start':
        firstAttempt = Math.max(firstAttempt, record.firstAttempt + ATTEMPTS_OF_A_LIFE);
        firstJob = Math.max(firstJob, record.firstJob);
        break;
      case 'driver':
        drivers.set(record.key, record);
        break;
      case 'driver-gone':
        drivers.delete(record.key);
        break;
      case 'job':
        jobs.set(record.job, new StoredJob(record));
        firstJob = Math.max(firstJob, record.job + 1);
        break;
      case 'forgotten':
        jobs.delete(record.job);
        break;
      default:
        takeChange(jobs.get(record.job), record);
    }
  }
  return { firstAttempt, firstJob, drivers, jobs };
}

type Change = Exclude<
  StoreRecord,
  { kind: 'start' } | { kind: 'driver' } | { kind: 'driver-gone' } | { kind: 'job' } | { kind: 'forgotten' }
>;

function takeChange(job: StoredJob | undefined, record: Change): void {
  if (job === undefined) return;
  switch (record.kind) {
    case 'paused':
    case 'resumed':
      job.isPaused = record.kind === 'paused';
      break;
    case 'priority':
      job.priority = record.priority;
      break;
    case 'image':
      job.images.set(record.image.index, record.image);
      break;
    case 'missing': {
      const { first, count, code, error, attempts } = record;
      for (let index = first; index < first + count; index += 1)
        job.missing.set(index, { code, error, attempts });
      break;
    }
    case 'end': {
      const { code, message, at } = record;
      job.end = { code, message, at };
      job.isPaused = false;
      break;
    }
    case 'reopened':
      job.end = null;
      job.missing.clear();
      job.deadlineAt = record.deadlineAt;
      break;
    case 'dropped':
      job.isDropped = true;
      break;
    default:
      record satisfies never;
  }
}

/**
 * The job for the scheduler, and what the main node knows of it beside that.
 * @param kept the images whose pixels are really there; what lacks them is rendered again
 */
export function restoredJob(
  stored: StoredJob,
  kept: ReadonlySet<number>,
): { restored: RestoredJob; record: JobRecord } {
  const { job: id, owner, requestId, spec, submittedAt, end, isDropped } = stored;
  const record = new JobRecord({ id, owner, requestId, spec, submittedAt });
  const results = new Uint8Array(spec.images);
  const failures = new Map<number, FailedImage>();
  for (let index = 0; index < spec.images; index += 1) {
    const failed = stored.missing.get(index);
    const image = stored.images.get(index);
    if (failed !== undefined) {
      results[index] = FAILED;
      failures.set(index, failed);
      Object.assign(record.facts(index), failed);
    } else if ((isDropped && end !== null) || kept.has(index)) {
      results[index] = RENDERED;
      const { attempts = 0, renderMs = 0, node = '' } = image ?? {};
      Object.assign(record.facts(index), { code: ErrCode.EC_OK, attempts, renderMs, nodeName: node });
    } else continue;
    record.settle(index);
  }
  const isComplete = record.settled.length === spec.images;
  const finished = isComplete ? end : null;
  if (finished !== null) {
    record.end = { code: finished.code, message: finished.message };
    record.finishedAt = finished.at;
  }
  const restored: RestoredJob = {
    id,
    request: jobRequest(owner, requestId, spec),
    priority: stored.priority,
    isPaused: stored.isPaused,
    results,
    failures,
    submittedAt,
    deadlineAt: stored.deadlineAt,
    finished,
  };
  return { restored, record };
}

/** A job as the scheduler is asked for it. */
export function jobRequest(owner: JobOwner, requestId: bigint, spec: JobSpec): RestoredJob['request'] {
  return {
    driver: owner.key,
    ...(requestId === 0n ? {} : { requestId }),
    images: spec.images,
    priority: spec.priority,
    tag: spec.tag,
    kind: kindOf(spec),
    chunkMax: Math.max(1, Math.floor(CHUNK_BYTES_MAX / imageBytesAtMost(spec))),
    ...(spec.deadlineMs === null ? {} : { deadlineMs: spec.deadlineMs }),
    isDetached: spec.isDetached,
  };
}
