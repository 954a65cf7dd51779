// What the scheduler keeps: a job is what a driver asked for, a task some images of it that travel together, an attempt
// one try of a task on one worker node.
// Tasks are cut when a node has room for them and may be cut again, but never grow: all images of a task have the same past.
// The state only; what happens to it is in scheduler.ts.

import type { Code, ErrCode } from '../proto/render.js';
import type { Deadline } from './deadlines.js';
import type { WorkerNode } from './worker-nodes.js';

export type JobState = 'queued' | 'active' | 'paused' | 'completed' | 'failed' | 'canceled';

export interface JobRequest {
  /** The driver's registration, by a key that is never used twice. */
  readonly driver: number;
  /** Unique for this driver: asked again, it is the same job. Without one, it is always a new one. */
  readonly requestId?: bigint;
  readonly images: number;
  /** Higher ones go first. Default 0. */
  readonly priority?: number;
  /** Worker nodes need to have it. Default '': any node will do. */
  readonly tag?: string;
  /** Images of the same kind take about the same time: scene, size, samples. Default ''. */
  readonly kind?: string;
  /** From now, in ms. Default: the scheduler's `jobTimeoutMs`. */
  readonly deadlineMs?: number;
  /** At most so many images in one task, such as 1 where images have no common size. */
  readonly chunkMax?: number;
  /** It goes on when its driver goes. */
  readonly isDetached?: boolean;
}

/** A job as an earlier life of the main node left it. */
export interface RestoredJob {
  readonly id: number;
  readonly request: JobRequest;
  readonly priority: number;
  readonly isPaused: boolean;
  /** By image: 0 has no result, 1 was rendered, 2 failed. */
  readonly results: Uint8Array;
  readonly failures: ReadonlyMap<number, FailedImage>;
  readonly submittedAt: number;
  readonly deadlineAt: number;
  /** Null: it is not finished. */
  readonly finished: { readonly at: number; readonly code: Code; readonly message: string } | null;
}

export interface ImageFailure {
  readonly index: number;
  readonly code: ErrCode;
  readonly error: string;
}

export interface Job {
  readonly id: number;
  readonly request: JobRequest;
  readonly images: number;
  readonly tag: string;
  readonly kind: string;
  readonly chunkMax: number;
  priority: number;
  state: JobState;
  readonly submittedAt: number;
  deadlineAt: number;
  deadline: Deadline<DeadlineOwner> | null;
  /** The first image that is in no task yet. */
  next: number;
  /** Tasks that wait for a node, again. */
  readonly again: Task[];
  /** Tasks in backoff. */
  readonly resting: Set<Task>;
  readonly running: Set<Attempt>;
  /** By image: 0 has no result, 1 was rendered, 2 failed. */
  readonly results: Uint8Array;
  readonly failures: Map<number, FailedImage>;
  done: number;
  failed: number;
  retries: number;
  /** Failed attempts in a row, by node. */
  readonly streaks: Map<number, number>;
  readonly blocked: Set<number>;
  /** What the last failure said, for the reason of what is given up. */
  lastError: string;
  finishedAt: number | null;
  code: Code | null;
  message: string;
}

export interface FailedImage {
  readonly code: ErrCode;
  readonly error: string;
  readonly attempts: number;
}

export interface Task {
  readonly kind: 'task';
  readonly id: number;
  readonly job: Job;
  first: number;
  count: number;
  /** Attempts that failed. */
  failures: number;
  /** Attempts that were sent, fences included: the version of the next one is one more. */
  version: number;
  losses: number;
  /** Nodes that failed it. */
  failedOn: Set<number> | null;
  deadline: Deadline<DeadlineOwner> | null;
}

export interface Attempt {
  readonly kind: 'attempt';
  readonly id: number;
  readonly task: Task;
  readonly node: WorkerNode;
  readonly count: number;
  /** What it takes of its node's room. */
  readonly work: number;
  readonly startedAt: number;
  /** False: it was given up, and only holds its node's room until that says it is over. */
  isCurrent: boolean;
  beatsMissed: number;
  deadline: Deadline<DeadlineOwner> | null;
}

export interface JobDeadline {
  readonly kind: 'job';
  readonly job: Job;
}

export interface NodeRest {
  readonly kind: 'node';
  readonly node: WorkerNode;
}

export type DeadlineOwner = Task | Attempt | JobDeadline | NodeRest;

/** What people and the HTTP side see of a job. */
export interface JobStatus {
  readonly id: number;
  readonly driver: number;
  readonly state: JobState;
  readonly priority: number;
  readonly images: number;
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  readonly retries: number;
  readonly submittedAt: number;
  readonly deadlineAt: number;
  readonly finishedAt: number | null;
  readonly code: Code | null;
  readonly message: string;
  readonly blockedNodes: readonly number[];
}

const ERROR_CHARS_MAX = 2048;

/** What a failure said, as it is kept. */
export function failureText(error: string): string {
  return error.slice(0, ERROR_CHARS_MAX);
}

export function statusOf(job: Job): JobStatus {
  let running = 0;
  for (const attempt of job.running) running += attempt.count;
  return {
    id: job.id,
    driver: job.request.driver,
    state: job.state,
    priority: job.priority,
    images: job.images,
    done: job.done,
    failed: job.failed,
    running,
    retries: job.retries,
    submittedAt: job.submittedAt,
    deadlineAt: job.deadlineAt,
    finishedAt: job.finishedAt,
    code: job.code,
    message: job.message,
    blockedNodes: [...job.blocked],
  };
}

export function isFinished(job: Job): boolean {
  return isFinishedState(job.state);
}

export function isFinishedState(state: JobState): boolean {
  return state === 'completed' || state === 'failed' || state === 'canceled';
}

/** Whether the job has something to give to a node now. */
export function isRunnable(job: Job): boolean {
  return (
    (job.state === 'queued' || job.state === 'active') && (job.again.length > 0 || job.next < job.images)
  );
}
