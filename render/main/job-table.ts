// All jobs the main node knows, finished ones included until they are forgotten, by id and by what a driver calls them.
// Pure. Full means refused: which results are kept, and how long, is for the owner to say by forgetting them.

import assert from 'node:assert/strict';
import { RenderError } from '../errors.js';
import { isFinished, type Job, type JobRequest } from './job.js';

export class JobTable {
  readonly #jobs = new Map<number, Job>();
  /** Driver, then request id. */
  readonly #requests = new Map<number, Map<bigint, Job>>();
  readonly #ofDriver = new Map<number, Set<Job>>();
  #lastId: number;

  constructor(firstId = 1) {
    this.#lastId = firstId - 1;
  }

  get(id: number): Job | undefined {
    return this.#jobs.get(id);
  }

  /** @throws RenderError RENDER_NOT_FOUND */
  expect(id: number): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no job ${id}`);
    return job;
  }

  /** The job that this driver asked for under this id before. */
  asked(driver: number, requestId: bigint): Job | undefined {
    return this.#requests.get(driver)?.get(requestId);
  }

  ofDriver(driver: number): readonly Job[] {
    return [...(this.#ofDriver.get(driver) ?? [])];
  }

  /** @param id of a job that was there before; left out: a new one */
  add(request: JobRequest, now: number, deadlineAt: number, id: number = this.#lastId + 1): Job {
    assert(!this.#jobs.has(id), 'an id is given once');
    this.#lastId = Math.max(this.#lastId, id);
    const job: Job = {
      id,
      request,
      images: request.images,
      tag: request.tag ?? '',
      kind: request.kind ?? '',
      chunkMax: request.chunkMax ?? request.images,
      priority: request.priority ?? 0,
      state: 'queued',
      submittedAt: now,
      deadlineAt,
      deadline: null,
      next: 0,
      again: [],
      resting: new Set(),
      running: new Set(),
      results: new Uint8Array(request.images),
      failures: new Map(),
      done: 0,
      failed: 0,
      retries: 0,
      streaks: new Map(),
      blocked: new Set(),
      lastError: '',
      finishedAt: null,
      code: null,
      message: '',
    };
    this.#jobs.set(job.id, job);
    if (request.requestId !== undefined)
      at(this.#requests, request.driver, newMap).set(request.requestId, job);
    at(this.#ofDriver, request.driver, newSet).add(job);
    return job;
  }

  /** From now on what its driver asks for under its request id is a new job. */
  forgetRequest({ request: { driver, requestId } }: Job): void {
    if (requestId === undefined) return;
    const requests = this.#requests.get(driver);
    requests?.delete(requestId);
    if (requests?.size === 0) this.#requests.delete(driver);
  }

  /** @throws RenderError RENDER_STATE: it is not finished. */
  forget(job: Job): void {
    if (!isFinished(job))
      throw new RenderError(
        'RENDER_STATE',
        `job ${job.id} is ${job.state}: cancel it before it is forgotten`,
      );
    const { driver, requestId } = job.request;
    this.#jobs.delete(job.id);
    if (requestId !== undefined && this.asked(driver, requestId) === job) this.forgetRequest(job);
    const siblings = this.#ofDriver.get(driver);
    siblings?.delete(job);
    if (siblings?.size === 0) this.#ofDriver.delete(driver);
  }

  values(): Iterable<Job> {
    return this.#jobs.values();
  }

  get size(): number {
    return this.#jobs.size;
  }
}

function newMap(): Map<bigint, Job> {
  return new Map();
}

function newSet(): Set<Job> {
  return new Set();
}

function at<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
