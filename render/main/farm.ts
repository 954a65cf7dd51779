// What people can see of a render farm and do with it. MainNode is one; the RPC service reactornet.render.Farm and the web
// page are written against it.
// Times are milliseconds since the Unix epoch. What is listed is a copy, true when it was asked for.

import type { Code, ErrCode, PixelFormat } from '../proto/render.js';
import type { JobState } from './job.js';

export const JOB_STATES: readonly JobState[] = [
  'queued',
  'active',
  'paused',
  'completed',
  'failed',
  'canceled',
];

export interface FarmJob {
  readonly id: number;
  /** Name that the driver registered with. */
  readonly driver: string;
  readonly state: JobState;
  readonly priority: number;
  readonly images: number;
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly format: PixelFormat;
  readonly scene: string;
  readonly tag: string;
  readonly submittedAtMs: number;
  /** Null while it is not finished; so are the code and when its images are dropped. */
  readonly finishedAtMs: number | null;
  readonly code: Code | null;
  readonly message: string;
  readonly retries: number;
  /** Names of the nodes that get nothing more of it. */
  readonly blockedNodes: readonly string[];
  /** Estimated from what images of the kind took; null for unknown. */
  readonly remainingMs: number | null;
  /** Of images that are kept. */
  readonly resultBytes: number;
  readonly expiresAtMs: number | null;
}

export type FarmImageState = 'waiting' | 'running' | 'rendered' | 'missing';

export interface FarmImage {
  readonly index: number;
  readonly state: FarmImageState;
  readonly code: ErrCode;
  readonly error: string;
  readonly attempts: number;
  readonly renderMs: number;
  /** Name of the node that had its last attempt; '' for none. */
  readonly node: string;
  /** Whether its pixels can be had. */
  readonly kept: boolean;
}

export interface FarmProcess {
  readonly pid: number;
  /** Of one core. */
  readonly cpu: number;
  readonly rssBytes: number;
  readonly gpu: number;
  readonly renders: number;
}

export interface FarmWorker {
  readonly serial: number;
  readonly name: string;
  readonly address: string;
  readonly tags: readonly string[];
  readonly weight: number;
  readonly slots: number;
  readonly slotsMax: number;
  readonly running: number;
  readonly queued: number;
  /** Shares from 0 to 1; degrees Celsius. */
  readonly cpu: number;
  /** The part of `cpu` that is not of its own renderers; all of it where the node does not tell. */
  readonly cpuOthers: number;
  readonly mem: number;
  readonly gpu: number;
  readonly gpuTemp: number;
  readonly isDraining: boolean;
  readonly processes: readonly FarmProcess[];
  readonly registeredAtMs: number;
  readonly lastBeatMs: number;
  readonly imagesRendered: number;
  readonly imagesFailed: number;
  readonly version: string;
}

export interface FarmPixels {
  readonly index: number;
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  /** Rows from the top, without gaps; or a whole PNG or EXR file. Not to be changed. */
  readonly pixels: Uint8Array;
}

export interface FarmLog {
  /** What the renderer printed while it had the last attempt of the image, and how that ended. */
  readonly text: string;
  readonly node: string;
  readonly attempt: number;
}

export interface FarmScene {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface FarmPage {
  /** So many are skipped. Default 0. */
  readonly offset?: number;
  /** Default 100, at most 1,000. */
  readonly limit?: number;
}

export interface FarmJobsQuery extends FarmPage {
  /** Only of these states. Default: of all. */
  readonly states?: readonly JobState[];
}

/** What an action met. */
export interface FarmOutcome {
  readonly id: number;
  /** '' where it was done. */
  readonly error: string;
  /** Null: there is no such job, any more or at all. */
  readonly state: JobState | null;
}

/** Something is different now: ask for what you show. Events hold ids only, so that nobody pays for those that nobody reads. */
export type FarmEvent =
  | { readonly kind: 'job'; readonly job: number }
  | { readonly kind: 'job-removed'; readonly job: number }
  | {
      readonly kind: 'image';
      readonly job: number;
      readonly index: number;
      readonly state: 'rendered' | 'missing';
    }
  | { readonly kind: 'worker'; readonly serial: number }
  | { readonly kind: 'worker-removed'; readonly serial: number };

export interface FarmTotals {
  readonly drivers: number;
  readonly workers: number;
  /** By state. */
  readonly jobs: Readonly<Record<JobState, number>>;
  readonly imagesOpen: number;
  readonly imagesRendered: number;
  readonly imagesFailed: number;
  readonly slots: number;
  readonly resultBytes: number;
}

export interface Farm {
  /** Newest first. */
  jobs(query?: FarmJobsQuery): { readonly jobs: readonly FarmJob[]; readonly total: number };
  /** @throws RenderError RENDER_NOT_FOUND */
  job(id: number): FarmJob;
  /** @throws RenderError RENDER_NOT_FOUND: the job */
  images(id: number, page?: FarmPage): readonly FarmImage[];
  /**
   * The pixels of one image; null: they are not there (yet, or any more).
   * @throws RenderError RENDER_NOT_FOUND: no such job or image
   */
  pixels(job: number, index: number): Promise<FarmPixels | null>;
  workers(): readonly FarmWorker[];
  totals(): FarmTotals;

  // Each of them resolves with an outcome for every id, in their order, once that is kept on disk where there is one.
  pause(ids: readonly number[]): Promise<readonly FarmOutcome[]>;
  resume(ids: readonly number[]): Promise<readonly FarmOutcome[]>;
  /** Renders the missing images of finished jobs again. */
  requeue(ids: readonly number[]): Promise<readonly FarmOutcome[]>;
  cancel(ids: readonly number[]): Promise<readonly FarmOutcome[]>;
  /** Forgets finished jobs and their images. */
  remove(ids: readonly number[]): Promise<readonly FarmOutcome[]>;
  setPriority(id: number, priority: number): Promise<FarmOutcome>;

  /** @throws RenderError RENDER_NOT_FOUND: no such worker; RENDER_UNAVAILABLE: it does not answer */
  drainWorker(serial: number): Promise<void>;
  /** Asked of the worker. @throws RenderError RENDER_NOT_FOUND, RENDER_UNAVAILABLE */
  log(job: number, index: number): Promise<FarmLog>;

  // .blend files, by what is in them. A name is 64 lower-case hex digits; others are RENDER_REQUEST_INVALID.
  scenes(): readonly FarmScene[];
  /** Null: it is not here. */
  findScene(sha256: string): FarmScene | null;
  /**
   * Keeps a file; one that is there already is kept once.
   * @throws RenderError RENDER_REQUEST_INVALID: the bytes are others than told; RENDER_REQUEST_TOO_LARGE: above the quota
   */
  putScene(sha256: string, bytes: number, parts: AsyncIterable<Uint8Array>): Promise<FarmScene>;
  /** @throws RenderError RENDER_NOT_FOUND */
  readScene(sha256: string): AsyncIterable<Uint8Array>;

  /**
   * Told of changes, in their order, from now on; listeners must not throw or wait.
   * @returns call it to be told no more
   */
  subscribe(listener: (event: FarmEvent) => void): () => void;
}
