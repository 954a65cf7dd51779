// The main node as people see it: lists and actions over what the runner, the book of nodes and the stores know.
// farm-service.ts and the web page ask it; it decides nothing.

import { RenderError } from '../errors.js';
import { ErrCode } from '../proto/render.js';
import {
  type Farm,
  type FarmEvent,
  type FarmImage,
  type FarmImageState,
  type FarmJob,
  type FarmJobsQuery,
  type FarmLog,
  type FarmOutcome,
  type FarmPage,
  type FarmPixels,
  type FarmScene,
  type FarmTotals,
  type FarmWorker,
  JOB_STATES,
} from './farm.js';
import type { FarmEvents } from './farm-events.js';
import type { JobState } from './job.js';
import type { JobRecord } from './job-record.js';
import type { JobRunner } from './job-runner.js';
import type { NodeBook } from './node-book.js';
import type { ResultStore } from './result-store.js';
import type { SceneStore } from './scene-store.js';

export interface FarmParts {
  readonly events: FarmEvents;
  readonly runner: JobRunner;
  readonly nodes: NodeBook;
  readonly results: ResultStore;
  readonly scenes: SceneStore;
  readonly drivers: () => number;
  /** Resolves when what was done is kept. */
  readonly kept: () => Promise<void>;
}

const PAGE = 100;
const PAGE_MAX = 1000;
const INT32_MAX = 2 ** 31 - 1;

export class FarmDesk implements Farm {
  readonly #parts: FarmParts;

  constructor(parts: FarmParts) {
    this.#parts = parts;
  }

  subscribe(listener: (event: FarmEvent) => void): () => void {
    return this.#parts.events.subscribe(listener);
  }

  jobs(query: FarmJobsQuery = {}): { readonly jobs: readonly FarmJob[]; readonly total: number } {
    const { states = [] } = query;
    const { offset, limit } = pageOf(query);
    const { runner } = this.#parts;
    let found = [...runner.records()].toReversed();
    if (states.length > 0) found = found.filter(({ id }) => states.includes(runner.status(id).state));
    return {
      jobs: found.slice(offset, offset + limit).map((record) => this.#view(record)),
      total: found.length,
    };
  }

  job(id: number): FarmJob {
    return this.#view(this.#parts.runner.record(id));
  }

  images(id: number, page: FarmPage = {}): readonly FarmImage[] {
    const record = this.#parts.runner.record(id);
    const { offset, limit } = pageOf(page);
    const running = this.#parts.runner.running(id);
    const images: FarmImage[] = [];
    for (let index = offset; index < Math.min(record.spec.images, offset + limit); index += 1) {
      const facts = record.image(index);
      const isRunning = running.some(({ first, count }) => index >= first && index < first + count);
      const isKept = this.#parts.results.has(id, index);
      const {
        code = ErrCode.EC_OK,
        error = '',
        attempts = 0,
        renderMs = 0,
        nodeName: node = '',
      } = facts ?? {};
      const state = stateOf(facts?.isSettled === true, code, isRunning);
      images.push({ index, state, code, error, attempts, renderMs, node, kept: isKept });
    }
    return images;
  }

  async pixels(job: number, index: number): Promise<FarmPixels | null> {
    const { spec } = this.#parts.runner.record(job);
    checkIndex(job, index, spec.images);
    const pixels = await this.#parts.results.get(job, index);
    const { width, height, format } = spec;
    return pixels === null ? null : { index, width, height, format, pixels };
  }

  workers(): readonly FarmWorker[] {
    return Array.from(this.#parts.nodes.values(), (node) => node.view());
  }

  totals(): FarmTotals {
    const { runner, nodes, results } = this.#parts;
    const jobs = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<JobState, number>;
    for (const { id } of runner.records()) jobs[runner.status(id).state] += 1;
    const { imagesOpen, rendered: imagesRendered, failed: imagesFailed } = runner.figures();
    let slots = 0;
    for (const node of nodes.values()) slots += node.view().slots;
    return {
      drivers: this.#parts.drivers(),
      workers: nodes.size,
      jobs,
      imagesOpen,
      imagesRendered,
      imagesFailed,
      slots,
      resultBytes: results.bytes,
    };
  }

  pause(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#each(ids, (id) => this.#parts.runner.pause(id));
  }

  resume(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#each(ids, (id) => this.#parts.runner.resume(id));
  }

  requeue(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#each(ids, (id) => this.#parts.runner.requeue(id));
  }

  cancel(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#each(ids, (id) => this.#parts.runner.cancel(id));
  }

  remove(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#each(ids, (id) => this.#parts.runner.remove(id));
  }

  async setPriority(id: number, priority: number): Promise<FarmOutcome> {
    const [outcome] = await this.#each([id], () => {
      if (!Number.isInteger(priority) || Math.abs(priority) > INT32_MAX)
        throw new RenderError('RENDER_REQUEST_INVALID', `${priority} is no priority`);
      this.#parts.runner.setPriority(id, priority);
    });
    return outcome!; // one for each
  }

  async drainWorker(serial: number): Promise<void> {
    const node = this.#parts.nodes.bySerial(serial);
    if (node === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no worker node ${serial}`);
    await node.link.drain(node.serial);
  }

  async log(job: number, index: number): Promise<FarmLog> {
    const record = this.#parts.runner.record(job);
    checkIndex(job, index, record.spec.images);
    const facts = record.image(index);
    if (facts === undefined || facts.attempt === 0)
      throw new RenderError(
        'RENDER_NOT_FOUND',
        `no worker node that is there had image ${index} of job ${job}`,
      );
    const node = this.#parts.nodes.get(facts.nodeKey);
    if (node === undefined)
      throw new RenderError('RENDER_NOT_FOUND', `the worker node ${facts.nodeName}, which had it, is gone`);
    const text = await node.link.log(facts.attempt, index);
    return { text, node: node.name, attempt: facts.attempt };
  }

  scenes(): readonly FarmScene[] {
    return this.#parts.scenes.list();
  }

  findScene(sha256: string): FarmScene | null {
    return this.#parts.scenes.find(sha256);
  }

  putScene(sha256: string, bytes: number, parts: AsyncIterable<Uint8Array>): Promise<FarmScene> {
    return this.#parts.scenes.put(sha256, bytes, parts);
  }

  readScene(sha256: string): AsyncIterable<Uint8Array> {
    return this.#parts.scenes.read(sha256);
  }

  async #each(ids: readonly number[], act: (id: number) => void): Promise<readonly FarmOutcome[]> {
    const { runner } = this.#parts;
    const outcomes: FarmOutcome[] = [];
    for (const id of ids) {
      let error = '';
      try {
        act(id);
      } catch (thrown) {
        if (!(thrown instanceof RenderError)) throw thrown;
        error = thrown.message;
      }
      outcomes.push({ id, error, state: runner.has(id) ? runner.status(id).state : null });
    }
    await this.#parts.kept();
    return outcomes;
  }

  #view(record: JobRecord): FarmJob {
    const { runner, results, nodes } = this.#parts;
    const { id, owner, spec } = record;
    const status = runner.status(id);
    const { state, priority, images, done, failed, running, retries, code, message } = status;
    const { width, height, samples, format, scene, tag } = spec;
    return {
      id,
      driver: owner.name,
      state,
      priority,
      images,
      done,
      failed,
      running,
      width,
      height,
      samples,
      format,
      scene,
      tag,
      submittedAtMs: status.submittedAt,
      finishedAtMs: status.finishedAt,
      code,
      message,
      retries,
      blockedNodes: status.blockedNodes.map((key) => nodes.get(key)?.name ?? `node ${key}, which is gone`),
      remainingMs: this.#remainingMs(record, images - done - failed),
      resultBytes: results.bytesOf(id),
      expiresAtMs: runner.expiresAt(record),
    };
  }

  #remainingMs({ spec, end }: JobRecord, images: number): number | null {
    const imageMs = this.#parts.runner.imageMs(spec);
    if (end !== null || imageMs === null) return null;
    let slots = 0;
    for (const node of this.#parts.nodes.values()) slots += node.view().slots;
    return Math.round((imageMs * images) / Math.max(1, slots));
  }
}

function stateOf(isSettled: boolean, code: ErrCode, isRunning: boolean): FarmImageState {
  if (isSettled) return code === ErrCode.EC_OK ? 'rendered' : 'missing';
  return isRunning ? 'running' : 'waiting';
}

function pageOf({ offset = 0, limit = 0 }: FarmPage): { offset: number; limit: number } {
  return { offset, limit: limit === 0 ? PAGE : Math.min(PAGE_MAX, limit) };
}

function checkIndex(job: number, index: number, images: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < images))
    throw new RenderError(
      'RENDER_NOT_FOUND',
      `job ${job} has ${images} images, and none with index ${index}`,
    );
}
