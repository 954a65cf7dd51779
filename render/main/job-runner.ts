// Drives the scheduler with real time, real nodes and real pixels: every effect it returns is carried out here.
// main-node.ts tells it of drivers, nodes and beats; the services ask it for jobs. What is to survive is appended to the
// store before it counts for anybody else.

import type { Logger } from '../../reactor/index.js';
import { detached } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import type { AttemptReader } from './attempt-reader.js';
import type { SchedulerEffect, SchedulerFigures } from './effects.js';
import type { FarmEvent } from './farm.js';
import { isFinishedState, type JobStatus } from './job.js';
import { type JobOwner, JobRecord } from './job-record.js';
import { jobSnapshot } from './job-snapshot.js';
import { imageBytesAtMost, isSameWork, type JobSpec, kindOf } from './job-spec.js';
import type { JobStore, StoreRecord } from './job-store.js';
import type { MainClock } from './main-clock.js';
import type { NodeBook, NodeEntry } from './node-book.js';
import { jobRequest, type RestoredState, restoredJob } from './restored-state.js';
import type { KeptPlace, ResultStore } from './result-store.js';
import { Retention, type RetentionOptions } from './retention.js';
import { Scheduler } from './scheduler.js';
import { SCHEDULER_DEFAULTS, type SchedulerOptions } from './scheduler-options.js';
import { stageTimes } from './stage-times.js';
import type { NodeBeat } from './worker-nodes.js';

export interface JobRunnerParts {
  readonly clock: MainClock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly nodes: NodeBook;
  readonly results: ResultStore;
  readonly store: JobStore | null;
  /** Told of every change, in its order. */
  readonly tell: (event: FarmEvent) => void;
}

export interface JobRunnerOptions {
  readonly scheduler: SchedulerOptions;
  readonly retention: RetentionOptions;
}

/** How a driver went: who fell silent may be there again, and asks anew. */
export type Leave = 'said good-bye' | 'fell silent';

const DISK_RETRY_MS = 5000;

type Of<K extends SchedulerEffect['kind']> = Extract<SchedulerEffect, { kind: K }>;

export class JobRunner {
  readonly #parts: JobRunnerParts;
  readonly #scheduler: Scheduler;
  readonly #retention: Retention;
  readonly #records = new Map<number, JobRecord>();
  #cancelTimer: (() => void) | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #attemptsOpen = 0;
  #isHeldBack = false;
  #isClosed = false;

  constructor(parts: JobRunnerParts, options: JobRunnerOptions) {
    this.#parts = parts;
    this.#scheduler = new Scheduler(parts.random, { ...SCHEDULER_DEFAULTS, ...options.scheduler });
    this.#retention = new Retention(options.retention, { ...SCHEDULER_DEFAULTS, ...options.scheduler });
  }

  // Nodes.

  nodeAdded(entry: NodeEntry): void {
    const { key: id, info } = entry;
    const { weight, slots, tags } = info;
    this.#carry(this.#scheduler.nodeAdded(this.#now(), { id, weight, slots, tags }));
    this.#parts.tell({ kind: 'worker', serial: entry.serial.serial });
  }

  nodeRemoved(entry: NodeEntry): void {
    this.#carry(this.#scheduler.nodeRemoved(this.#now(), entry.key));
    this.#parts.tell({ kind: 'worker-removed', serial: entry.serial.serial });
  }

  nodeBeat(entry: NodeEntry, beat: NodeBeat): void {
    this.#carry(this.#scheduler.nodeBeat(this.#now(), entry.key, beat));
    this.#parts.tell({ kind: 'worker', serial: entry.serial.serial });
  }

  // Drivers.

  /**
   * A new job, or the one that this driver asked for under this id before.
   * @throws RenderError RENDER_OVERLOAD with `retryAfterMs`, RENDER_REQUEST_TOO_LARGE, RENDER_REQUEST_INVALID
   */
  submit(owner: JobOwner, requestId: bigint, spec: JobSpec): { record: JobRecord; isNew: boolean } {
    const now = this.#now();
    const request = jobRequest(owner, requestId, spec);
    const asked = requestId === 0n ? undefined : this.#scheduler.asked(owner.key, requestId);
    if (asked !== undefined) {
      const record = this.#records.get(asked)!; // whoever forgets a job forgets its record
      if (!isSameWork(record.spec, spec))
        throw new RenderError(
          'RENDER_REQUEST_INVALID',
          `request_id ${requestId} was another request before: one id is for one request`,
        );
      return { record, isNew: false };
    }
    this.#makeRoom(spec);
    const { job: id, effects } = this.#scheduler.submit(now, request);
    const record = new JobRecord({ id, owner, requestId, spec, submittedAt: now });
    this.#records.set(id, record);
    this.#retention.opened(id, spec.images * imageBytesAtMost(spec));
    const { deadlineAt } = this.#scheduler.status(id);
    this.#keep({ kind: 'job', job: id, owner, requestId, spec, submittedAt: now, deadlineAt });
    this.#parts.tell({ kind: 'job', job: id });
    this.#carry(effects);
    return { record, isNew: true };
  }

  /** @throws RenderError RENDER_NOT_FOUND */
  cancel(id: number): void {
    this.#carry(this.#scheduler.cancel(this.#now(), id));
  }

  /** Null: this driver asked for no such thing. */
  asked(driver: number, requestId: bigint): JobRecord | null {
    const id = this.#scheduler.asked(driver, requestId);
    return id === undefined ? null : (this.#records.get(id) ?? null);
  }

  /** Its jobs end with it, but for those that are detached. */
  driverGone(key: number, how: Leave): void {
    if (how === 'fell silent') {
      for (const record of this.#records.values())
        if (record.owner.key === key && record.end === null && !record.spec.isDetached)
          record.isForsaken = true;
    }
    this.#carry(this.#scheduler.driverGone(this.#now(), key));
  }

  // People.

  /** @throws RenderError RENDER_NOT_FOUND, RENDER_STATE; so do the next ones */
  pause(id: number): void {
    if (this.#scheduler.status(id).state === 'paused') return;
    this.#carry(this.#scheduler.pause(this.#now(), id));
    this.#keep({ kind: 'paused', job: id });
    this.#parts.tell({ kind: 'job', job: id });
  }

  resume(id: number): void {
    const { state } = this.#scheduler.status(id);
    if (state === 'queued' || state === 'active') return;
    this.#carry(this.#scheduler.resume(this.#now(), id));
    this.#keep({ kind: 'resumed', job: id });
    this.#parts.tell({ kind: 'job', job: id });
  }

  requeue(id: number): void {
    const record = this.record(id);
    const { failed, state } = this.#scheduler.status(id);
    if (isFinishedState(state) && this.#retention.isDropped(id))
      throw new RenderError('RENDER_STATE', `the images of job ${id} are not kept any more: submit it anew`);
    const effects = this.#scheduler.requeue(this.#now(), id, record.spec.deadlineMs ?? undefined);
    if (failed === 0) return;
    record.reopen();
    this.#retention.opened(id, record.spec.images * imageBytesAtMost(record.spec));
    this.#keep({ kind: 'reopened', job: id, deadlineAt: this.#scheduler.status(id).deadlineAt });
    this.#parts.tell({ kind: 'job', job: id });
    this.#carry(effects);
  }

  setPriority(id: number, priority: number): void {
    this.#carry(this.#scheduler.setPriority(this.#now(), id, priority));
    this.#keep({ kind: 'priority', job: id, priority });
    this.#parts.tell({ kind: 'job', job: id });
  }

  remove(id: number): void {
    this.#scheduler.forget(id);
    this.#retention.forgotten(id);
    this.#parts.results.drop(id);
    this.#records.get(id)?.tellChange();
    this.#records.delete(id);
    this.#keep({ kind: 'forgotten', job: id });
    this.#parts.tell({ kind: 'job-removed', job: id });
  }

  // Views.

  /** @throws RenderError RENDER_NOT_FOUND */
  record(id: number): JobRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new RenderError('RENDER_NOT_FOUND', `there is no job ${id}`);
    return record;
  }

  /** Whether it is still there: a stream that waits for it may outlive it. */
  has(id: number): boolean {
    return this.#records.has(id);
  }

  /** In the order in which they came. */
  records(): Iterable<JobRecord> {
    return this.#records.values();
  }

  status(id: number): JobStatus {
    return this.#scheduler.status(id);
  }

  running(id: number): readonly { readonly first: number; readonly count: number }[] {
    return this.#scheduler.running(id);
  }

  /** When its images are dropped; null while it is not finished. */
  expiresAt(record: JobRecord): number | null {
    return record.finishedAt === null ? null : this.#retention.expiresAt(record.finishedAt);
  }

  imageMs(spec: JobSpec): number | null {
    return this.#scheduler.imageMs(kindOf(spec));
  }

  figures(): SchedulerFigures {
    return this.#scheduler.figures();
  }

  // Over a restart.

  /** Once, before anything else. */
  async restore(state: RestoredState): Promise<void> {
    for (const stored of state.jobs.values()) {
      const kept = await this.#parts.results.restore(stored.job, stored.places());
      // They are on the disk of another main node, or were in its memory: rendered again only for who asks again.
      const hadImages = stored.missing.size < stored.spec.images;
      if (stored.end !== null && kept.size === 0 && hadImages) stored.isDropped = true;
      const { restored, record } = restoredJob(stored, kept);
      this.#records.set(record.id, record);
      if (restored.finished === null)
        this.#retention.opened(record.id, record.spec.images * imageBytesAtMost(record.spec));
      else
        this.#retention.finished(
          record.id,
          restored.finished.at,
          this.#parts.results.bytesOf(record.id),
          stored.isDropped,
        );
      const effects = this.#scheduler.restore(this.#now(), restored);
      if (stored.isDropped) this.#scheduler.forgetRequest(record.id);
      this.#carry(effects);
    }
  }

  /** Records that say all there is, for a store that begins anew. */
  *snapshot(): Iterable<StoreRecord> {
    const { results } = this.#parts;
    for (const record of this.#records.values())
      yield* jobSnapshot(
        record,
        this.#scheduler.status(record.id),
        results,
        this.#retention.isDropped(record.id),
      );
  }

  /** An image is on disk now. */
  imageKept(job: number, index: number, place: KeptPlace): void {
    const record = this.#records.get(job);
    if (record === undefined) return;
    const { attempts, renderMs, nodeName: node } = record.facts(index);
    this.#keep({ kind: 'image', job, image: { index, attempts, renderMs, node, place } });
  }

  /** Nothing is given out any more; what nodes have goes on without us. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    for (const record of this.#records.values()) record.tellChange();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get attemptsOpen(): number {
    return this.#attemptsOpen;
  }

  /** Drops what was kept long enough. */
  sweep(): void {
    const now = this.#now();
    for (const id of this.#retention.expired(now)) this.#dropImages(id);
    for (const id of this.#retention.forgettable(now)) this.remove(id);
  }

  // Effects.

  #now(): number {
    return this.#parts.clock.nowMs();
  }

  #keep(record: StoreRecord): void {
    this.#parts.store?.append(record);
  }

  /** What nodes are asked is nobody's call: it outlives the one, of a driver or a node, that brought it about. */
  #carry(effects: readonly SchedulerEffect[], reader: AttemptReader | null = null): void {
    if (effects.length > 0) detached(() => this.#carryAll(effects, reader));
    this.#setTimer();
  }

  #carryAll(effects: readonly SchedulerEffect[], reader: AttemptReader | null): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'dispatch':
          this.#dispatch(effect);
          break;
        case 'cancel': {
          const node = this.#parts.nodes.get(effect.node);
          node?.link.cancel(node.serial, effect.attempt);
          break;
        }
        case 'rendered':
          this.#rendered(effect, reader);
          break;
        case 'failed':
          this.#failed(effect);
          break;
        case 'blocked':
          this.#parts.logger.warn(
            { job: effect.job, node: this.#parts.nodes.get(effect.node)?.name },
            `a worker node gets nothing more of job ${effect.job}: ${effect.error}`,
          );
          this.#parts.tell({ kind: 'job', job: effect.job });
          break;
        case 'finished':
          this.#finished(effect);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  #dispatch(effect: Of<'dispatch'>): void {
    const { node: key, job, attempt: id, version, first, count, timeoutMs } = effect;
    const node = this.#parts.nodes.get(key);
    const record = this.#records.get(job);
    if (node === undefined || record === undefined || this.#isClosed) {
      // Not within this turn: the scheduler is in the middle of its effects.
      queueMicrotask(() => this.#carry(this.#scheduler.answered(this.#now(), key, id, { kind: 'lost' })));
      return;
    }
    const dispatchedAt = this.#now();
    for (let index = first; index < first + count; index += 1) {
      const facts = record.facts(index);
      facts.attempt = id;
      facts.nodeKey = key;
      facts.nodeName = node.name;
      facts.nodeSerial = node.serial;
      facts.dispatchedAt = dispatchedAt;
    }
    this.#parts.tell({ kind: 'job', job });
    void this.#attempt(node, record.spec, { id, version, first, count }, timeoutMs);
  }

  async #attempt(
    node: NodeEntry,
    spec: JobSpec,
    attempt: { id: number; version: number; first: number; count: number },
    timeoutMs: number,
  ): Promise<void> {
    this.#attemptsOpen += 1;
    try {
      const { answer, reader } = await node.link.render(spec, attempt, timeoutMs);
      if (this.#isClosed) return;
      this.#carry(this.#scheduler.answered(this.#now(), node.key, attempt.id, answer), reader);
    } finally {
      this.#attemptsOpen -= 1;
    }
  }

  #rendered({ job, first, count, node: key, attempts }: Of<'rendered'>, reader: AttemptReader | null): void {
    const record = this.#records.get(job)!; // the scheduler tells of jobs that are there
    const node = this.#parts.nodes.get(key);
    for (let index = first; index < first + count; index += 1) {
      const { pixels, status, elapsedMs } = reader!.images.get(index)!; // it told the scheduler of these
      const facts = record.facts(index);
      facts.attempts = attempts;
      facts.renderMs = status.renderMs;
      facts.times = stageTimes(facts.dispatchedAt - record.submittedAt, elapsedMs, status.times);
      this.#parts.results.put(job, index, pixels);
      record.settle(index);
      this.#parts.tell({ kind: 'image', job, index, state: 'rendered' });
    }
    if (this.#parts.results.isFull) this.#holdBack();
    if (node !== undefined) node.imagesRendered += count;
    record.tellChange();
    this.#parts.tell({ kind: 'job', job });
  }

  /** While the results take nothing more nothing is given out; what nodes have is taken, or it would be taken for lost. */
  #holdBack(): void {
    if (this.#isHeldBack) return;
    this.#isHeldBack = true;
    this.#scheduler.holdBack();
    void this.#parts.results.ready().then(() => {
      this.#isHeldBack = false;
      if (!this.#isClosed) this.#carry(this.#scheduler.goOn(this.#now()));
    });
  }

  #failed({ job, first, count, code, error, attempts }: Of<'failed'>): void {
    const record = this.#records.get(job)!; // as above
    for (let index = first; index < first + count; index += 1) {
      const facts = record.facts(index);
      Object.assign(facts, { code, error, attempts });
      const node = this.#parts.nodes.get(facts.nodeKey);
      if (node !== undefined) node.imagesFailed += 1;
      record.settle(index);
      this.#parts.tell({ kind: 'image', job, index, state: 'missing' });
    }
    this.#keep({ kind: 'missing', job, first, count, code, error, attempts });
    record.tellChange();
  }

  #finished({ job, code, message }: Of<'finished'>): void {
    const record = this.#records.get(job)!; // as above
    const at = this.#scheduler.status(job).finishedAt!; // it has just finished
    record.end = { code, message };
    record.finishedAt = at;
    this.#retention.finished(job, at, this.#parts.results.bytesOf(job));
    this.#keep({ kind: 'end', job, code, message, at });
    record.tellChange();
    this.#parts.tell({ kind: 'job', job });
  }

  /** So that the job may be taken: what was kept longest goes first. @throws RenderError */
  #makeRoom(spec: JobSpec): void {
    if (this.#parts.results.isStuck) {
      const text = 'the disk takes no images, and those that wait for it fill the memory';
      throw new RenderError('RENDER_OVERLOAD', text, { retryAfterMs: DISK_RETRY_MS });
    }
    const bytes = spec.images * imageBytesAtMost(spec);
    const { drop, forget, problem } = this.#retention.roomFor(bytes, this.#scheduler.figures().jobs);
    if (problem !== null) throw problem;
    for (const id of drop) this.#dropImages(id);
    for (const id of forget) this.remove(id);
  }

  #dropImages(id: number): void {
    this.#retention.dropped(id);
    this.#scheduler.forgetRequest(id);
    this.#parts.results.drop(id);
    this.#keep({ kind: 'dropped', job: id });
    this.#parts.tell({ kind: 'job', job: id });
  }

  #setTimer(): void {
    const at = this.#isClosed ? null : this.#scheduler.nextAt;
    if (at === null || at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#parts.clock.after(Math.max(0, Math.ceil(at - this.#now())), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#cancelTimer = null;
      this.#carry(this.#scheduler.tick(this.#now()));
    });
  }
}
