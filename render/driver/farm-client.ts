// What people and scripts do with a farm: look at jobs and workers, stop and go, read logs, get images, bring scenes.
// The commands of the area `render` stand on it. It is no driver: it registers nowhere, and may come and go.

import { RpcClient } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import {
  FarmClient as FarmCalls,
  type Image,
  type Job,
  type JobOutcome,
  type JobState,
  type LogsResponse,
  type Worker,
} from '../proto/farm.js';
import { clientOf, completeClientOptions, type CompleteClientOptions } from './driver-options.js';
import type { FarmClientOptions } from './driver-options.js';
import { errorOfCall, isPassing } from './failures.js';
import { FetchAssembly } from './fetch-assembly.js';
import { Patience } from './patience.js';
import type { ImageResult } from './render-results.js';
import { type SceneSource, sceneParts, sceneSum } from './scene-upload.js';

export interface JobWithImages {
  readonly job: Job;
  /** In the order of their indexes. */
  readonly images: readonly Image[];
}

export interface FetchOptions {
  /** Images from this index on. Default 0. */
  from?: number;
  /** Wait for images that are not there yet, until the job is finished. Default false. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** Of one page of a long list. */
const PAGE = 1000;
/** A scene is sent as fast as it goes; without any progress the RPC layer notices. */
const UPLOAD_TIMEOUT_MS = 3_600_000;
const NO_TIMEOUT_MS: number = 2 ** 31;

export class FarmClient implements AsyncDisposable {
  readonly #options: CompleteClientOptions;
  readonly #rpc: RpcClient;
  readonly #farm: FarmCalls;

  /** Connects to nothing yet. @throws RenderError RENDER_OPTION_INVALID */
  constructor(options: FarmClientOptions) {
    this.#options = completeClientOptions(options);
    this.#rpc = clientOf(this.#options);
    this.#farm = new FarmCalls(this.#rpc);
  }

  /** The newest first. @throws RenderError */
  async jobs(
    query: { offset?: number; limit?: number; states?: JobState[] } = {},
  ): Promise<{ jobs: Job[]; total: number }> {
    return this.#ask(() => this.#farm.listJobs(query));
  }

  /** A job with all its images, or without any. @throws RenderError RENDER_NOT_FOUND */
  async job(id: bigint, { images: isWhole = true }: { images?: boolean } = {}): Promise<JobWithImages> {
    const limit = isWhole ? PAGE : 1;
    const images: Image[] = [];
    for (;;) {
      const page = await this.#ask(() => this.#farm.getJob({ id, offset: images.length, limit }));
      const { job } = page;
      if (job === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no job ${id}`);
      if (!isWhole) return { job, images };
      images.push(...page.images);
      if (page.images.length === 0 || images.length >= job.images) return { job, images };
    }
  }

  workers(): Promise<Worker[]> {
    return this.#ask(async () => (await this.#farm.listWorkers({})).workers);
  }

  /** It finishes what it has and takes nothing more. @throws RenderError RENDER_NOT_FOUND */
  async drainWorker(serial: number): Promise<void> {
    await this.#ask(() => this.#farm.drainWorker({ serial }));
  }

  /** What runs is finished, nothing more is begun. Outcomes are in the order of `ids`; so are those of the following. */
  pause(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.pause({ ids: [...ids] }));
  }

  resume(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.resume({ ids: [...ids] }));
  }

  /** Renders the missing images of finished jobs again. */
  requeue(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.requeue({ ids: [...ids] }));
  }

  cancel(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.cancel({ ids: [...ids] }));
  }

  /** Forgets finished jobs and their images. */
  delete(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.delete({ ids: [...ids] }));
  }

  setPriority(id: bigint, priority: number): Promise<JobOutcome[]> {
    return this.#outcomes(() => this.#farm.setPriority({ id, priority }));
  }

  /** What the renderer printed while it had the last attempt of an image. @throws RenderError RENDER_NOT_FOUND */
  logs(job: bigint, image: number): Promise<LogsResponse> {
    return this.#ask(() => this.#farm.logs({ job, image }));
  }

  /**
   * The images of a job from `from` on, each once; after a lost connection it goes on where it was.
   * Images that are not to be had come as missing. The reader holds the stream back.
   * @throws RenderError RENDER_NOT_FOUND; RENDER_UNAVAILABLE after `reconnectMs`
   */
  async *fetch(job: bigint, options: FetchOptions = {}): AsyncGenerator<ImageResult> {
    const { follow = false, signal = NEVER } = options;
    const seen = new Set<number>();
    let from = options.from ?? 0;
    let isReached = false;
    let lost: Patience | null = null;
    for (;;) {
      try {
        const stream = this.#farm.fetch({ job, from, follow }, { timeoutMs: NO_TIMEOUT_MS, signal });
        const assembly = new FetchAssembly();
        for await (const message of stream) {
          isReached = true;
          lost = null;
          const result = assembly.take(message);
          if (result === null || result.index < from || seen.has(result.index)) continue;
          seen.add(result.index);
          while (seen.delete(from)) from += 1;
          yield result;
        }
        return;
      } catch (thrown) {
        const error = errorOfCall(thrown);
        // At first there is nothing to go on with: who cannot be reached is told of at once.
        if (!isPassing(error) || !isReached) throw error;
        lost ??= new Patience(this.#options.reconnectMs, signal);
        await lost.pause(error);
      }
    }
  }

  /**
   * Brings a .blend file to the farm, unless it has it already. What it returns is the `scene` of a RenderRequest.
   * @throws RenderError RENDER_IO: the file; RENDER_REQUEST_TOO_LARGE: the farm has no room for it
   */
  async putScene(source: SceneSource): Promise<string> {
    const { sha256, bytes } = await sceneSum(source);
    const found = await this.#ask(() => this.#farm.findScene({ sha256 }));
    if (found.present) return sha256;
    const parts = sceneParts(source, sha256, bytes);
    await this.#ask(() => this.#farm.putScene(parts, { timeoutMs: UPLOAD_TIMEOUT_MS }));
    return sha256;
  }

  /** Ends what is under way. */
  close(): Promise<void> {
    return this.#rpc.close(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ask<A>(call: () => Promise<A>): Promise<A> {
    try {
      return await call();
    } catch (error) {
      throw errorOfCall(error);
    }
  }

  #outcomes(call: () => Promise<{ outcomes: JobOutcome[] }>): Promise<JobOutcome[]> {
    return this.#ask(async () => (await call()).outcomes);
  }
}

const NEVER: AbortSignal = new AbortController().signal;
