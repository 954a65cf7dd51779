// What people and scripts do with a farm: look at jobs and workers, stop and go, read logs, get images, bring scenes.
// The commands of the area `render` stand on it. It is no driver: it registers nowhere, and may come and go.

import { type CallOptions, RpcClient } from '../../rpc/index.js';
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
import { errorOfCall, isPassing, isUnanswered, unknownOutcome, withReason } from './failures.js';
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
  readonly #closing = new AbortController();
  /** It has answered: from then on a main node that is away is waited for, as one that restarts. */
  #isReached = false;

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
    return this.#ask((call) => this.#farm.listJobs(query, call));
  }

  /** A job with all its images, or without any. @throws RenderError RENDER_NOT_FOUND */
  async job(id: bigint, { images: isWhole = true }: { images?: boolean } = {}): Promise<JobWithImages> {
    const limit = isWhole ? PAGE : 1;
    const images: Image[] = [];
    for (;;) {
      const page = await this.#ask((call) => this.#farm.getJob({ id, offset: images.length, limit }, call));
      const { job } = page;
      if (job === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no job ${id}`);
      if (!isWhole) return { job, images };
      images.push(...page.images);
      if (page.images.length === 0 || images.length >= job.images) return { job, images };
    }
  }

  workers(): Promise<Worker[]> {
    return this.#ask(async (call) => (await this.#farm.listWorkers({}, call)).workers);
  }

  /** It finishes what it has and takes nothing more. @throws RenderError RENDER_NOT_FOUND */
  async drainWorker(serial: number): Promise<void> {
    await this.#act((call) => this.#farm.drainWorker({ serial }, call));
  }

  /** What runs is finished, nothing more is begun. Outcomes are in the order of `ids`; so are those of the following. */
  pause(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.pause({ ids: [...ids] }, call));
  }

  resume(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.resume({ ids: [...ids] }, call));
  }

  /** Renders the missing images of finished jobs again. */
  requeue(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.requeue({ ids: [...ids] }, call));
  }

  cancel(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.cancel({ ids: [...ids] }, call));
  }

  /** Forgets finished jobs and their images. */
  delete(ids: readonly bigint[]): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.delete({ ids: [...ids] }, call));
  }

  setPriority(id: bigint, priority: number): Promise<JobOutcome[]> {
    return this.#outcomes((call) => this.#farm.setPriority({ id, priority }, call));
  }

  /** What the renderer printed while it had the last attempt of an image. @throws RenderError RENDER_NOT_FOUND */
  logs(job: bigint, image: number): Promise<LogsResponse> {
    return this.#ask((call) => this.#farm.logs({ job, image }, call));
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
    let lost: Patience | null = null;
    for (;;) {
      try {
        const stream = this.#farm.fetch({ job, from, follow }, { timeoutMs: NO_TIMEOUT_MS, signal });
        const assembly = new FetchAssembly();
        for await (const message of stream) {
          this.#isReached = true;
          lost = null;
          const result = assembly.take(message);
          if (result === null || result.index < from || seen.has(result.index)) continue;
          seen.add(result.index);
          while (seen.delete(from)) from += 1;
          yield result;
        }
        return;
      } catch (thrown) {
        const error = withReason(errorOfCall(thrown), this.#rpc);
        // At first there is nothing to go on with: who cannot be reached is told of at once.
        if (!isPassing(error) || !this.#isReached) throw error;
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
    let lost: Patience | null = null;
    for (;;) {
      const found = await this.#ask((call) => this.#farm.findScene({ sha256 }, call));
      if (found.present) return sha256;
      try {
        await this.#farm.putScene(sceneParts(source, sha256, bytes), { timeoutMs: UPLOAD_TIMEOUT_MS });
        return sha256;
      } catch (thrown) {
        const error = errorOfCall(thrown);
        if (!isUnanswered(thrown) || !isPassing(error)) throw error;
        lost ??= new Patience(this.#options.reconnectMs, this.#closing.signal);
        await lost.pause(error);
      }
    }
  }

  /** Ends what is under way. */
  close(): Promise<void> {
    this.#closing.abort(new RenderError('RENDER_CLOSED', 'the client was closed'));
    return this.#rpc.close(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What changes nothing, and so may be asked as often as it takes. */
  #ask<A>(call: (options: CallOptions) => Promise<A>): Promise<A> {
    return this.#called(call, 'question');
  }

  /** What may have been done when no answer comes: it is not sent again then, but its caller told. */
  #act<A>(call: (options: CallOptions) => Promise<A>): Promise<A> {
    return this.#called(call, 'action');
  }

  /** Within `callTimeoutMs`, all attempts together. */
  async #called<A>(call: (options: CallOptions) => Promise<A>, kind: 'question' | 'action'): Promise<A> {
    const patience = new Patience(this.#options.callTimeoutMs, this.#closing.signal);
    let lost: unknown = null;
    for (;;) {
      try {
        const answer = await call({ timeoutMs: Math.max(1, patience.remainingMs) });
        this.#isReached = true;
        return answer;
      } catch (thrown) {
        const error = withReason(errorOfCall(thrown), this.#rpc);
        if (!isUnanswered(thrown)) throw error;
        if (kind === 'action' && thrown.executed !== 'no') throw unknownOutcome(thrown);
        // At the end of its time it is told why it got so far, rather than that the time was over.
        if (thrown.status !== 'UNAVAILABLE' || !this.#isReached) throw lost ?? error;
        lost = error;
        await patience.pause(error);
      }
    }
  }

  #outcomes(call: (options: CallOptions) => Promise<{ outcomes: JobOutcome[] }>): Promise<JobOutcome[]> {
    return this.#act(async (options) => (await call(options)).outcomes);
  }
}

const NEVER: AbortSignal = new AbortController().signal;
