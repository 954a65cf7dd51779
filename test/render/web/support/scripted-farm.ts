// A Farm that a test plays: its jobs and workers are plain values, what is asked of it is noted, and changes are told when
// the test says so.

import { RenderError } from '../../../../render/errors.js';
import type {
  Farm,
  FarmEvent,
  FarmImage,
  FarmJob,
  FarmJobsQuery,
  FarmLog,
  FarmOutcome,
  FarmPage,
  FarmPixels,
  FarmScene,
  FarmTotals,
  FarmWorker,
} from '../../../../render/main/farm.js';
import { JOB_STATES } from '../../../../render/main/farm.js';
import type { JobState } from '../../../../render/main/job.js';
import { ErrCode, PixelFormat } from '../../../../render/proto/render.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type ScriptedJob = Mutable<FarmJob>;
export type ScriptedWorker = Mutable<FarmWorker>;

const FINISHED = new Set<JobState>(['completed', 'failed', 'canceled']);

export class ScriptedFarm implements Farm {
  readonly asked: string[] = [];
  readonly jobsById: Map<number, ScriptedJob> = new Map();
  readonly workersBySerial: Map<number, ScriptedWorker> = new Map();
  readonly #images = new Map<number, Mutable<FarmImage>[]>();
  readonly #listeners = new Set<(event: FarmEvent) => void>();
  /** What the pixels of an image are; a gradient at first. */
  draw: (job: FarmJob, index: number) => FarmPixels = gradient;

  addJob(facts: Partial<FarmJob> & { id: number }): ScriptedJob {
    const job: ScriptedJob = { ...PLAIN_JOB, ...facts };
    this.jobsById.set(job.id, job);
    this.#images.set(
      job.id,
      Array.from({ length: job.images }, (_, index) => ({
        index,
        state: 'waiting',
        code: ErrCode.EC_OK,
        error: '',
        attempts: 0,
        renderMs: 0,
        node: '',
        kept: false,
      })),
    );
    this.tell({ kind: 'job', job: job.id });
    return job;
  }

  addWorker(facts: Partial<FarmWorker> & { serial: number }): ScriptedWorker {
    const worker: ScriptedWorker = { ...PLAIN_WORKER, name: `worker-${facts.serial}`, ...facts };
    this.workersBySerial.set(worker.serial, worker);
    this.tell({ kind: 'worker', serial: worker.serial });
    return worker;
  }

  removeWorker(serial: number): void {
    this.workersBySerial.delete(serial);
    this.tell({ kind: 'worker-removed', serial });
  }

  /** An image comes in, and with the last one the job is finished. */
  render(id: number, index: number, outcome: 'rendered' | 'missing' = 'rendered'): void {
    const job = this.jobsById.get(id)!;
    const image = this.#images.get(id)![index]!;
    const isRendered = outcome === 'rendered';
    const node = [...this.workersBySerial.values()][index % Math.max(1, this.workersBySerial.size)];
    Object.assign(image, {
      state: outcome,
      kept: isRendered,
      attempts: isRendered ? 1 : 4,
      renderMs: 40 + index,
      node: node?.name ?? '',
      code: isRendered ? ErrCode.EC_OK : ErrCode.EC_CRASHED,
      error: isRendered ? '' : 'signal SIGSEGV',
    });
    if (isRendered) job.done += 1;
    else job.failed += 1;
    if (job.state === 'queued') job.state = 'active';
    if (job.done + job.failed === job.images) {
      Object.assign(job, {
        state: job.failed === 0 ? 'completed' : 'failed',
        finishedAtMs: Date.now(),
        code: job.failed === 0 ? 0 : 11,
        remainingMs: null,
      });
    }
    if (node !== undefined) node.imagesRendered += isRendered ? 1 : 0;
    this.tell({ kind: 'image', job: id, index, state: outcome });
    this.tell({ kind: 'job', job: id });
  }

  tell(event: FarmEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  jobs({ offset = 0, limit = 100, states }: FarmJobsQuery = {}): { jobs: readonly FarmJob[]; total: number } {
    const all = [...this.jobsById.values()]
      .filter(({ state }) => states === undefined || states.length === 0 || states.includes(state))
      .toSorted((a, b) => b.id - a.id);
    return { jobs: structuredClone(all.slice(offset, offset + limit)), total: all.length };
  }

  job(id: number): FarmJob {
    const job = this.jobsById.get(id);
    if (job === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no job ${id}`);
    return { ...job };
  }

  images(id: number, { offset = 0, limit = 100 }: FarmPage = {}): readonly FarmImage[] {
    this.job(id);
    return this.#images.get(id)!.slice(offset, offset + limit);
  }

  async pixels(id: number, index: number): Promise<FarmPixels | null> {
    const job = this.job(id);
    const image = this.#images.get(id)![index];
    if (image === undefined) throw new RenderError('RENDER_NOT_FOUND', `job ${id} has no image ${index}`);
    return image.kept ? this.draw(job, index) : null;
  }

  workers(): readonly FarmWorker[] {
    return [...this.workersBySerial.values()];
  }

  totals(): FarmTotals {
    const jobs = [...this.jobsById.values()];
    const workers = this.workers();
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    return {
      drivers: new Set(jobs.map(({ driver }) => driver)).size,
      workers: workers.length,
      // The keys are the states, all of them.
      jobs: Object.fromEntries(
        JOB_STATES.map((state) => [state, jobs.filter((job) => job.state === state).length]),
      ) as Record<JobState, number>,
      imagesOpen: sum(
        jobs
          .filter(({ state }) => !FINISHED.has(state))
          .map(({ images, done, failed }) => images - done - failed),
      ),
      imagesRendered: sum(workers.map(({ imagesRendered }) => imagesRendered)),
      imagesFailed: sum(jobs.map(({ failed }) => failed)),
      slots: sum(workers.map(({ slots }) => slots)),
      resultBytes: sum(jobs.map(({ resultBytes }) => resultBytes)),
    };
  }

  async pause(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#act('pause', ids, (job) => (FINISHED.has(job.state) ? null : 'paused'));
  }

  async resume(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#act('resume', ids, (job) => (job.state === 'paused' ? 'active' : null));
  }

  async requeue(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#act('requeue', ids, (job) => {
      if (!FINISHED.has(job.state)) return null;
      Object.assign(job, { failed: 0, finishedAtMs: null, code: null });
      return 'queued';
    });
  }

  async cancel(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    return this.#act('cancel', ids, (job) => {
      if (FINISHED.has(job.state)) return null;
      Object.assign(job, { finishedAtMs: Date.now(), code: 6, remainingMs: null });
      return 'canceled';
    });
  }

  async remove(ids: readonly number[]): Promise<readonly FarmOutcome[]> {
    this.asked.push(`remove ${ids.join(' ')}`);
    return ids.map((id) => {
      const job = this.jobsById.get(id);
      if (job === undefined) return { id, error: 'no such job', state: null };
      if (!FINISHED.has(job.state)) return { id, error: 'it is not finished', state: job.state };
      this.jobsById.delete(id);
      this.#images.delete(id);
      this.tell({ kind: 'job-removed', job: id });
      return { id, error: '', state: null };
    });
  }

  async setPriority(id: number, priority: number): Promise<FarmOutcome> {
    this.asked.push(`priority ${id} ${priority}`);
    const job = this.jobsById.get(id);
    if (job === undefined) return { id, error: 'no such job', state: null };
    job.priority = priority;
    this.tell({ kind: 'job', job: id });
    return { id, error: '', state: job.state };
  }

  async drainWorker(serial: number): Promise<void> {
    this.asked.push(`drain ${serial}`);
    const worker = this.workersBySerial.get(serial);
    if (worker === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no worker node ${serial}`);
    worker.isDraining = true;
    this.tell({ kind: 'worker', serial });
  }

  async log(id: number, index: number): Promise<FarmLog> {
    this.job(id);
    const image = this.#images.get(id)![index];
    if (image === undefined) throw new RenderError('RENDER_NOT_FOUND', `job ${id} has no image ${index}`);
    if (image.attempts === 0)
      throw new RenderError('RENDER_NOT_FOUND', `image ${index} of job ${id} has had no attempt yet`);
    return {
      text: `Fra:${index} Mem:12.3M | Rendering 4/4 samples\nSaved: image ${index}\n`,
      node: image.node,
      attempt: image.attempts,
    };
  }

  scenes(): readonly FarmScene[] {
    return [];
  }

  findScene(): FarmScene | null {
    return null;
  }

  async putScene(): Promise<FarmScene> {
    throw new RenderError('RENDER_REQUEST_TOO_LARGE', 'this farm keeps no scenes');
  }

  readScene(): AsyncIterable<Uint8Array> {
    throw new RenderError('RENDER_NOT_FOUND', 'this farm keeps no scenes');
  }

  subscribe(listener: (event: FarmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #act(
    name: string,
    ids: readonly number[],
    next: (job: ScriptedJob) => JobState | null,
  ): readonly FarmOutcome[] {
    this.asked.push(`${name} ${ids.join(' ')}`);
    return ids.map((id) => {
      const job = this.jobsById.get(id);
      if (job === undefined) return { id, error: 'no such job', state: null };
      const state = next(job);
      if (state === null) return { id, error: `it is ${job.state}`, state: job.state };
      job.state = state;
      this.tell({ kind: 'job', job: id });
      return { id, error: '', state };
    });
  }
}

const PLAIN_JOB: Omit<FarmJob, 'id'> = {
  driver: 'search',
  state: 'queued',
  priority: 0,
  images: 4,
  done: 0,
  failed: 0,
  running: 0,
  width: 64,
  height: 48,
  samples: 4,
  format: PixelFormat.RGB8,
  scene: '',
  tag: '',
  submittedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  finishedAtMs: null,
  code: null,
  message: '',
  retries: 0,
  blockedNodes: [],
  remainingMs: null,
  resultBytes: 0,
  expiresAtMs: null,
};

const PLAIN_WORKER: Omit<FarmWorker, 'serial' | 'name'> = {
  address: '127.0.0.1:7610',
  tags: [],
  weight: 1,
  slots: 2,
  slotsMax: 4,
  running: 0,
  queued: 0,
  cpu: 0.25,
  cpuOthers: 0.05,
  mem: 0.5,
  gpu: 0,
  gpuTemp: 0,
  isDraining: false,
  processes: [
    { pid: 4711, cpu: 0.98, rssBytes: 120 * 2 ** 20, gpu: 0, renders: 12 },
    { pid: 4712, cpu: 0.4, rssBytes: 98 * 2 ** 20, gpu: 0, renders: 9 },
  ],
  registeredAtMs: Date.UTC(2026, 0, 2),
  lastBeatMs: Date.UTC(2026, 0, 2, 3),
  imagesRendered: 0,
  imagesFailed: 0,
  version: 'builtin 1',
};

/** A picture that tells its index apart: a disc that wanders over a coloured sky. */
export function gradient({ width, height }: FarmJob, index: number): FarmPixels {
  const pixels = new Uint8Array(width * height * 3);
  const centre = { x: width * (0.2 + 0.6 * ((index * 0.137) % 1)), y: height * 0.55, r: height * 0.22 };
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const distance = Math.hypot(x - centre.x, y - centre.y) / centre.r;
      const light = distance < 1 ? 255 * (1 - distance * 0.7) : (60 * y) / height + 20;
      const at = (y * width + x) * 3;
      pixels[at] = distance < 1 ? light : light * (0.5 + ((index * 37) % 100) / 120);
      pixels[at + 1] = light * (distance < 1 ? 0.75 : 0.8);
      pixels[at + 2] = distance < 1 ? light * 0.5 : 90 + light;
    }
  }
  return { index, width, height, format: PixelFormat.RGB8, pixels };
}
