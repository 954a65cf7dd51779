// Gives the images of jobs to worker nodes, and takes care that every image has exactly one result, whatever happens to
// nodes, answers and clocks. The main node tells it what happened and carries out the effects that it returns.
// Pure: time is an argument, chance a function. Who is fenced out: an answer counts only while its attempt is the current
// one of its task, and attempt ids are never used twice.
// What costs a retry: an attempt that failed or took too long. What does not: a node without room, a node that went away.

import assert from 'node:assert/strict';
import { backoffMs } from '../backoff.js';
import { RenderError } from '../errors.js';
import { Code, ErrCode } from '../proto/render.js';
import { Admission } from './admission.js';
import { Blocklist } from './blocklist.js';
import { Deadlines } from './deadlines.js';
import type { Answer, SchedulerEffect, SchedulerFigures } from './effects.js';
import { ImageResults } from './image-results.js';
import {
  type Attempt,
  type DeadlineOwner,
  type FailedImage,
  failureText,
  type ImageFailure,
  isFinished,
  isRunnable,
  type Job,
  type JobRequest,
  type JobStatus,
  type RestoredJob,
  statusOf,
  type Task,
} from './job.js';
import { JobTable } from './job-table.js';
import { RenderTimes } from './render-times.js';
import { RunQueue } from './run-queue.js';
import { type SchedulerOptions, schedulerOptions } from './scheduler-options.js';
import { runsOf, TaskCutter } from './task-cutter.js';
import { TaskSizes } from './task-sizes.js';
import { type NodeBeat, type NodeFacts, type WorkerNode, WorkerNodes } from './worker-nodes.js';

/** Tasks that wait again and that are looked at in one go for one that a node may take. */
const AGAIN_LOOKED_AT = 16;
const FAILED_SHARE_FROM = 10;

/** Nothing is wrong with the images: there was no room for them. */
const SHORTAGES: ReadonlySet<ErrCode> = new Set([ErrCode.EC_NO_BLENDER, ErrCode.EC_CHANNEL_FULL]);

export class Scheduler {
  readonly #random: () => number;
  readonly #options: Required<SchedulerOptions>;
  readonly #jobs: JobTable;
  readonly #queue = new RunQueue();
  readonly #nodes: WorkerNodes;
  readonly #times = new RenderTimes();
  readonly #sizes: TaskSizes;
  readonly #admission: Admission;
  readonly #tasks = new TaskCutter();
  readonly #results = new ImageResults((effect) => this.#effects.push(effect));
  readonly #blocklist: Blocklist;
  readonly #deadlines = new Deadlines<DeadlineOwner>();
  readonly #attempts = new Map<number, Attempt>();
  #effects: SchedulerEffect[] = [];
  #now = 0;
  #isHeldBack = false;
  #lastAttempt: number;
  #dispatched = 0;
  #staleAnswers = 0;
  #retries = 0;
  #timeouts = 0;
  #losses = 0;
  #refusals = 0;

  constructor(random: () => number, options: SchedulerOptions = {}) {
    this.#random = random;
    this.#options = schedulerOptions(options);
    this.#jobs = new JobTable(this.#options.firstJob);
    this.#nodes = new WorkerNodes(this.#options.handedPerSlot);
    this.#sizes = new TaskSizes(this.#options, this.#times, this.#nodes);
    this.#admission = new Admission(this.#options, this.#nodes);
    this.#blocklist = new Blocklist(this.#options.blockAfter, this.#nodes, (effect) =>
      this.#effects.push(effect),
    );
    this.#lastAttempt = this.#options.firstAttempt - 1;
  }

  // Nodes.

  nodeAdded(now: number, facts: NodeFacts): SchedulerEffect[] {
    this.#now = now;
    this.#nodes.add(facts);
    return this.#end();
  }

  /** The node is dead, or said good-bye: what it had goes to others at once, before all else. */
  nodeRemoved(now: number, id: number): SchedulerEffect[] {
    this.#now = now;
    const node = this.#nodes.get(id);
    if (node === undefined) return [];
    this.#nodes.remove(node);
    if (node.rest !== null) this.#deadlines.clear(node.rest);
    for (const attempt of node.attempts.values()) {
      const { isCurrent } = attempt;
      this.#close(attempt);
      if (isCurrent) this.#lost(attempt.task);
    }
    this.#giveUpWhereAllAreBlocked();
    return this.#end();
  }

  /** What a node tells of itself with every beat. */
  nodeBeat(now: number, id: number, beat: NodeBeat): SchedulerEffect[] {
    this.#now = now;
    const node = this.#nodes.get(id);
    if (node === undefined) return [];
    if (beat.load !== undefined) this.#nodes.setLoad(node, beat.load);
    if (beat.slots !== undefined) node.slots = beat.slots;
    if (beat.draining !== undefined && beat.draining !== node.isDraining) {
      node.isDraining = beat.draining;
      if (node.isDraining) this.#giveUpWhereAllAreBlocked();
    }
    if (beat.running !== undefined) this.#reconcile(node, beat.running);
    this.#nodes.refresh(node);
    return this.#end();
  }

  /** How an attempt ended. Answers that come too late, or twice, are counted and change no result. */
  answered(now: number, nodeId: number, attemptId: number, answer: Answer): SchedulerEffect[] {
    this.#now = now;
    const attempt = this.#attempts.get(attemptId);
    if (attempt === undefined || attempt.node.id !== nodeId) {
      this.#staleAnswers += 1;
      return [];
    }
    const { isCurrent } = attempt;
    this.#close(attempt);
    if (answer.kind !== 'lost') attempt.node.lostInARow = 0;
    if (isCurrent) this.#take(attempt, answer);
    else this.#staleAnswers += 1;
    return this.#end();
  }

  // Drivers.

  /**
   * A new job, or the one that this driver asked for under this request id before.
   * @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE; RENDER_OVERLOAD with `retryAfterMs`: nothing was begun
   */
  submit(
    now: number,
    request: JobRequest,
  ): { readonly job: number; readonly isNew: boolean; readonly effects: SchedulerEffect[] } {
    this.#now = now;
    if (request.requestId !== undefined) {
      const known = this.#jobs.asked(request.driver, request.requestId);
      if (known !== undefined) return { job: known.id, isNew: false, effects: [] };
    }
    this.#admission.check(request, { jobs: this.#jobs.size, imagesOpen: this.#results.open });
    const deadlineAt = now + (request.deadlineMs ?? this.#options.jobTimeoutMs);
    const job = this.#jobs.add(request, now, deadlineAt);
    job.deadline = this.#deadlines.set(deadlineAt, { kind: 'job', job });
    this.#results.opened(job);
    this.#queue.add(job);
    return { job: job.id, isNew: true, effects: this.#end() };
  }

  /** Takes up a job where an earlier life of the main node left it. */
  restore(now: number, restored: RestoredJob): SchedulerEffect[] {
    this.#now = now;
    const { id, request, submittedAt, deadlineAt, finished } = restored;
    const job = this.#jobs.add(request, submittedAt, deadlineAt, id);
    job.priority = restored.priority;
    job.next = job.images;
    const open = this.#results.restore(job, restored);
    job.lastError = [...job.failures.values()].at(-1)?.error ?? '';
    if (finished !== null) {
      assert(open.length === 0, 'every image of a finished job has a result');
      const state = job.failed === 0 ? 'completed' : finished.code === Code.CANCELED ? 'canceled' : 'failed';
      const { at: finishedAt, code, message } = finished;
      Object.assign(job, { state, code, message, finishedAt });
      return this.#end();
    }
    for (const run of runsOf(open)) job.again.push(this.#tasks.cut(job, run));
    job.deadline = this.#deadlines.set(deadlineAt, { kind: 'job', job });
    if (restored.isPaused) job.state = 'paused';
    else if (job.done + job.failed > 0) job.state = 'active';
    this.#finishIfDone(job);
    this.#wake(job);
    return this.#end();
  }

  cancel(now: number, id: number): SchedulerEffect[] {
    this.#now = now;
    const job = this.#jobs.expect(id);
    this.#giveUp(job, ErrCode.EC_CANCELED, 'canceled', Code.CANCELED);
    return this.#end();
  }

  /** The driver is gone: nobody waits for its jobs, but for those that are detached. */
  driverGone(now: number, driver: number): SchedulerEffect[] {
    this.#now = now;
    for (const job of this.#jobs.ofDriver(driver))
      if (job.request.isDetached !== true)
        this.#giveUp(job, ErrCode.EC_CANCELED, 'its driver is gone', Code.CANCELED);
    return this.#end();
  }

  /** Nothing more of it is given out; what is under way may end. */
  pause(now: number, id: number): SchedulerEffect[] {
    this.#now = now;
    const job = this.#jobs.expect(id);
    if (isFinished(job)) throw stateError(job, 'paused');
    job.state = 'paused';
    this.#queue.remove(job);
    return this.#end();
  }

  resume(now: number, id: number): SchedulerEffect[] {
    this.#now = now;
    const job = this.#jobs.expect(id);
    if (job.state !== 'paused') throw stateError(job, 'resumed');
    job.state = job.done + job.failed + job.running.size > 0 ? 'active' : 'queued';
    this.#wake(job);
    return this.#end();
  }

  /** The images of a finished job that failed are rendered again, with a new budget on nodes with a clean slate. */
  requeue(now: number, id: number, deadlineMs?: number): SchedulerEffect[] {
    this.#now = now;
    const job = this.#jobs.expect(id);
    if (!isFinished(job)) throw stateError(job, 'requeued');
    if (job.failed === 0) return [];
    for (const run of runsOf(this.#results.reopen(job))) job.again.push(this.#tasks.cut(job, run));
    job.lastError = '';
    this.#blocklist.clear(job);
    Object.assign(job, { state: 'queued', code: null, message: '', finishedAt: null });
    job.deadlineAt = now + (deadlineMs ?? this.#options.jobTimeoutMs);
    job.deadline = this.#deadlines.set(job.deadlineAt, { kind: 'job', job });
    this.#wake(job);
    return this.#end();
  }

  setPriority(now: number, id: number, priority: number): SchedulerEffect[] {
    this.#now = now;
    const job = this.#jobs.expect(id);
    this.#queue.remove(job);
    job.priority = priority;
    this.#wake(job);
    return this.#end();
  }

  /** @throws RenderError RENDER_STATE: it is not finished. */
  forget(id: number): void {
    this.#jobs.forget(this.#jobs.expect(id));
  }

  /** Its images are not kept any more: asked for again, they are rendered again. @throws RenderError RENDER_NOT_FOUND */
  forgetRequest(id: number): void {
    this.#jobs.forgetRequest(this.#jobs.expect(id));
  }

  // Room for what comes back.

  /** Nothing more is given out, until `goOn`. */
  holdBack(): void {
    this.#isHeldBack = true;
  }

  goOn(now: number): SchedulerEffect[] {
    this.#now = now;
    this.#isHeldBack = false;
    return this.#end();
  }

  // Time.

  /** Does what is due. To be called at `nextAt`, and not before. */
  tick(now: number): SchedulerEffect[] {
    this.#now = now;
    for (;;) {
      const due = this.#deadlines.takeDue(now);
      if (due === null) return this.#end();
      switch (due.kind) {
        case 'task':
          due.deadline = null;
          due.job.resting.delete(due);
          due.job.again.push(due);
          this.#wake(due.job);
          break;
        case 'attempt':
          due.deadline = null;
          this.#timedOut(due);
          break;
        case 'job':
          due.job.deadline = null;
          this.#giveUp(due.job, ErrCode.EC_TIMEOUT, 'the deadline of its job passed', Code.TIMEOUT);
          break;
        case 'node':
          due.node.rest = null;
          this.#nodes.refresh(due.node);
          break;
        default:
          due satisfies never;
      }
    }
  }

  /** When something is due next; null: nothing is. */
  get nextAt(): number | null {
    return this.#deadlines.nextAt;
  }

  // Views.

  status(id: number): JobStatus {
    return statusOf(this.#jobs.expect(id));
  }

  jobs(): JobStatus[] {
    return Array.from(this.#jobs.values(), statusOf);
  }

  /** Why images of a job failed, by index. */
  failures(id: number): ReadonlyMap<number, FailedImage> {
    return this.#jobs.expect(id).failures;
  }

  /** The job that this driver asked for under this id before. */
  asked(driver: number, requestId: bigint): number | undefined {
    return this.#jobs.asked(driver, requestId)?.id;
  }

  has(id: number): boolean {
    return this.#jobs.get(id) !== undefined;
  }

  /** The images of a job that nodes have now, as first and count. */
  running(id: number): { readonly first: number; readonly count: number }[] {
    return Array.from(this.#jobs.expect(id).running, ({ task: { first, count } }) => ({ first, count }));
  }

  /** What one image of the kind takes; null: nothing was measured yet. */
  imageMs(kind: string): number | null {
    return this.#times.estimateMs(kind);
  }

  figures(): SchedulerFigures {
    return {
      jobs: this.#jobs.size,
      imagesOpen: this.#results.open,
      attemptsRunning: this.#attempts.size,
      dispatched: this.#dispatched,
      rendered: this.#results.rendered,
      failed: this.#results.failed,
      staleAnswers: this.#staleAnswers,
      retries: this.#retries,
      timeouts: this.#timeouts,
      losses: this.#losses,
      refusals: this.#refusals,
      nodesBlocked: this.#blocklist.nodesBlocked,
    };
  }

  // Giving out.

  #end(): SchedulerEffect[] {
    while (!this.#isHeldBack && this.#nodes.openNodes > 0 && this.#queue.size > 0)
      if (!this.#queue.serve(this.#giveOut)) break;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Gives one task of the job to a node; returns what it is taken to cost, or 0. */
  readonly #giveOut = (job: Job): number => {
    for (let look = Math.min(job.again.length, AGAIN_LOOKED_AT); look > 0; look -= 1) {
      const task = job.again.shift()!;
      const node = this.#nodes.pick(job, task);
      if (node !== null) return this.#dispatch(job, this.#fit(task, this.#sizes.roomFor(job, node)), node);
      job.again.push(task);
    }
    if (job.next === job.images) return 0;
    const node = this.#nodes.pick(job, null);
    if (node === null) return 0;
    const count = Math.min(this.#sizes.roomFor(job, node), job.images - job.next);
    const task = this.#tasks.cut(job, { first: job.next, count });
    job.next += count;
    return this.#dispatch(job, task, node);
  };

  /** As much of a task as there is room for; the rest goes on waiting. */
  #fit(task: Task, room: number): Task {
    if (task.count <= room) return task;
    const rest = this.#tasks.part(task, { first: task.first + room, count: task.count - room });
    task.count = room;
    task.job.again.unshift(rest);
    return task;
  }

  #dispatch(job: Job, task: Task, node: WorkerNode): number {
    const imageMs = this.#times.estimateMs(job.kind);
    const timeoutMs = this.#sizes.timeoutMs(imageMs, node, task.count);
    this.#lastAttempt += 1;
    const attempt: Attempt = {
      kind: 'attempt',
      id: this.#lastAttempt,
      task,
      node,
      count: task.count,
      work: task.count * this.#sizes.imageWork(job),
      startedAt: this.#now,
      isCurrent: true,
      beatsMissed: 0,
      deadline: null,
    };
    attempt.deadline = this.#deadlines.set(this.#now + timeoutMs, attempt);
    task.version += 1;
    job.running.add(attempt);
    if (job.state === 'queued') job.state = 'active';
    this.#nodes.handedOut(node, attempt);
    this.#attempts.set(attempt.id, attempt);
    this.#dispatched += 1;
    this.#effects.push({
      kind: 'dispatch',
      node: node.id,
      attempt: attempt.id,
      job: job.id,
      task: task.id,
      version: task.version,
      first: task.first,
      count: task.count,
      timeoutMs,
    });
    if (!isRunnable(job)) this.#queue.remove(job);
    return this.#sizes.cost(imageMs, task.count);
  }

  #wake(job: Job): void {
    if (isRunnable(job)) this.#queue.add(job);
  }

  // Taking back.

  /** The attempt is over on its node: its room is free, and nothing more will come of it. */
  #close(attempt: Attempt): void {
    const { node, task } = attempt;
    this.#attempts.delete(attempt.id);
    this.#nodes.givenBack(node, attempt);
    this.#fence(attempt);
    task.job.running.delete(attempt);
  }

  /** From now on no answer of it counts. */
  #fence(attempt: Attempt): void {
    attempt.isCurrent = false;
    if (attempt.deadline !== null) this.#deadlines.clear(attempt.deadline);
    attempt.deadline = null;
  }

  /** Given up while the node still has it: it keeps its room there until the node says that it is over. */
  #abandon(attempt: Attempt): void {
    this.#fence(attempt);
    attempt.task.job.running.delete(attempt);
    this.#effects.push({ kind: 'cancel', node: attempt.node.id, attempt: attempt.id });
  }

  #take(attempt: Attempt, answer: Answer): void {
    const { task, node } = attempt;
    switch (answer.kind) {
      case 'rendered':
        this.#takeImages(attempt, answer.failures ?? [], answer.imageMs);
        break;
      case 'failed':
        if (SHORTAGES.has(answer.code)) this.#short(task, node, this.#options.backoffBaseMs);
        else this.#takeFailure(task, node, answer.code, answer.error);
        break;
      case 'refused':
        this.#short(task, node, answer.retryAfterMs);
        break;
      case 'lost':
        this.#nodes.failed(node);
        node.lostInARow += 1;
        this.#restNode(node, this.#options.backoffBaseMs * 2 ** (node.lostInARow - 1));
        this.#lost(task);
        break;
      default:
        answer satisfies never;
    }
  }

  #takeImages(attempt: Attempt, failures: readonly ImageFailure[], imageMs: number): void {
    const { task, node } = attempt;
    const { job, first, count } = task;
    if (failures.length === 0) {
      this.#times.observe(job.kind, imageMs);
      this.#blocklist.rendered(job, node);
      this.#results.settleRendered(attempt, first, count);
      this.#finishIfDone(job);
      return;
    }
    const byIndex = new Map(failures.map((failure) => [failure.index, failure]));
    const bad = [...byIndex.keys()].toSorted((a, b) => a - b);
    if (bad[0]! < first || bad.at(-1)! >= first + count || !bad.every(Number.isInteger)) {
      const error = `node ${node.id} told of images that were not asked of it`;
      this.#takeFailure(task, node, ErrCode.EC_BAD_MESSAGE, error);
      return;
    }
    if (bad.length < count) {
      this.#times.observe(job.kind, imageMs);
      this.#blocklist.rendered(job, node);
      let from = first;
      for (const index of [...bad, first + count]) {
        if (index > from) this.#results.settleRendered(attempt, from, index - from);
        from = index + 1;
      }
    }
    // The failed images go on in tasks of their own.
    const parts = runsOf(bad).map((run) => this.#tasks.part(task, run));
    if (bad.every((index) => SHORTAGES.has(byIndex.get(index)!.code))) {
      for (const part of parts) this.#short(part, node, this.#options.backoffBaseMs);
      return;
    }
    if (bad.length === count) this.#blocklist.failed(job, node, byIndex.get(bad[0]!)!.error);
    for (const part of parts) {
      const { code, error } = byIndex.get(part.first)!;
      if (SHORTAGES.has(code)) this.#short(part, node, this.#options.backoffBaseMs);
      else this.#failedOnce(part, node, code, error);
    }
    this.#judge(job);
  }

  #takeFailure(task: Task, node: WorkerNode, code: ErrCode, error: string): void {
    this.#blocklist.failed(task.job, node, error);
    this.#failedOnce(task, node, code, error);
    this.#judge(task.job);
  }

  #failedOnce(task: Task, node: WorkerNode, code: ErrCode, error: string): void {
    const { job } = task;
    task.failures += 1;
    task.failedOn ??= new Set();
    task.failedOn.add(node.id);
    job.lastError = failureText(error);
    if (task.failures > this.#options.retriesMax) {
      this.#results.settleFailed(task, code, job.lastError);
      return;
    }
    this.#retries += 1;
    job.retries += 1;
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = this.#options;
    this.#rest(task, backoffMs(this.#random, task.failures, { baseMs, capMs }));
  }

  #rest(task: Task, delayMs: number): void {
    task.job.resting.add(task);
    task.deadline = this.#deadlines.set(this.#now + delayMs, task);
  }

  /** No room on the node: the task waits for another one at once, and the node is left alone for a while. */
  #short(task: Task, node: WorkerNode, restMs: number): void {
    this.#refusals += 1;
    this.#restNode(node, restMs);
    this.#queueFirst(task);
  }

  #restNode(node: WorkerNode, restMs: number): void {
    if (node.rest !== null) this.#deadlines.clear(node.rest);
    const delayMs = Math.max(1, Math.min(restMs, this.#options.backoffCapMs));
    node.rest = this.#deadlines.set(this.#now + delayMs, { kind: 'node', node });
    this.#nodes.refresh(node);
  }

  #lost(task: Task): void {
    const { job } = task;
    this.#losses += 1;
    task.losses += 1;
    if (task.losses > this.#options.lossesMax) {
      job.lastError = `its worker node went away ${task.losses} times`;
      this.#results.settleFailed(task, ErrCode.EC_PEER_DEAD, job.lastError);
      this.#finishIfDone(job);
      return;
    }
    this.#queueFirst(task);
  }

  #queueFirst(task: Task): void {
    task.job.again.unshift(task);
    this.#wake(task.job);
  }

  #timedOut(attempt: Attempt): void {
    if (!attempt.isCurrent) return;
    this.#timeouts += 1;
    const { task, node, count, startedAt } = attempt;
    const tookMs = this.#now - startedAt;
    this.#times.exceeds(task.job.kind, (tookMs * Math.max(1, node.slots)) / count);
    this.#abandon(attempt);
    if (count > this.#sizes.chunkOf(node)) {
      // They travelled together because they were taken for short, which is nobody's failure but ours.
      this.#queueFirst(task);
      return;
    }
    const error = `node ${node.id} did not answer within ${Math.round(tookMs)} ms`;
    this.#takeFailure(task, node, ErrCode.EC_TIMEOUT, error);
  }

  /** What the node says it has is the truth. */
  #reconcile(node: WorkerNode, running: readonly number[]): void {
    const told = new Set(running);
    for (const attempt of node.attempts.values()) {
      if (told.has(attempt.id)) {
        attempt.beatsMissed = 0;
        continue;
      }
      attempt.beatsMissed += 1;
      if (attempt.beatsMissed < this.#options.beatsMissedMax) continue;
      const { isCurrent } = attempt;
      this.#close(attempt);
      if (isCurrent) this.#lost(attempt.task);
    }
    for (const id of told) {
      const attempt = node.attempts.get(id);
      if (attempt === undefined || !attempt.isCurrent)
        this.#effects.push({ kind: 'cancel', node: node.id, attempt: id });
    }
  }

  // Ending.

  /** After failures: whether the job is over, or the rest of it is to be given up. */
  #judge(job: Job): void {
    this.#finishIfDone(job);
    if (isFinished(job)) return;
    const blocked = this.#blocklist.reason(job);
    if (blocked !== null) this.#giveUp(job, ErrCode.EC_RENDER_FAILED, blocked, null);
    else if (job.failed >= FAILED_SHARE_FROM && job.failed > job.images * this.#options.failedShareMax) {
      const reason = `too many of its images failed, the last with: ${job.lastError}`;
      this.#giveUp(job, ErrCode.EC_CANCELED, reason, null);
    }
  }

  #finishIfDone(job: Job): void {
    if (job.done + job.failed === job.images && !isFinished(job)) this.#finish(job, null);
  }

  #finish(job: Job, cause: Code | null): void {
    if (job.deadline !== null) this.#deadlines.clear(job.deadline);
    job.deadline = null;
    this.#queue.remove(job);
    this.#results.finish(job, this.#now, cause);
  }

  /** Every image that has no result yet fails with this one. */
  #giveUp(job: Job, code: ErrCode, reason: string, cause: Code | null): void {
    if (isFinished(job)) return;
    for (const attempt of job.running) {
      this.#abandon(attempt);
      this.#results.settleFailed(attempt.task, code, reason);
    }
    for (const task of job.resting) {
      if (task.deadline !== null) this.#deadlines.clear(task.deadline);
      task.deadline = null;
      this.#results.settleFailed(task, code, reason);
    }
    job.resting.clear();
    for (const task of job.again) this.#results.settleFailed(task, code, reason);
    job.again.length = 0;
    if (job.next < job.images) {
      const rest = this.#tasks.cut(job, { first: job.next, count: job.images - job.next });
      job.next = job.images;
      this.#results.settleFailed(rest, code, reason);
    }
    job.message = job.failed > 0 ? `${job.failed} of ${job.images} images failed: ${reason}` : '';
    this.#finish(job, cause);
  }

  /** After a node went: the jobs for which only blocked ones are left. */
  #giveUpWhereAllAreBlocked(): void {
    for (const job of this.#jobs.values()) {
      if (isFinished(job)) continue;
      const reason = this.#blocklist.reason(job);
      if (reason !== null) this.#giveUp(job, ErrCode.EC_RENDER_FAILED, reason, null);
    }
  }
}

function stateError(job: Job, what: string): RenderError {
  return new RenderError('RENDER_STATE', `job ${job.id} is ${job.state} and cannot be ${what}`);
}
