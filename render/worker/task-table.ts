// All images on a worker node: a queue for each renderer and one image in flight at each, so that a slow one blocks nobody
// and no channel has two writers. A renderer without work takes what waits longest at the others.
// The node tells it what happened and carries out the effects. Pure: time is an argument, chance a function.
// Every image has one result, whatever crash, late reply, cancel and time-out come together.

import assert from 'node:assert/strict';
import { backoffMs } from '../backoff.js';
import { RenderError } from '../errors.js';
import { type Deadline, Deadlines } from '../main/deadlines.js';
import { RenderTimes } from '../main/render-times.js';
import { ErrCode } from '../proto/render.js';
import { SerialAllocator } from '../serials.js';
import type {
  NodeRequest,
  Renderer,
  RenderTask,
  TaskTableFigures,
  TaskTableOptions,
  WorkerDeadline,
  WorkerEffect,
} from './render-task.js';
import { loadOf, RendererQueues } from './renderer-queues.js';

export const TASK_TABLE_DEFAULTS: Required<TaskTableOptions> = {
  tasksMax: 4096,
  retriesMax: 1,
  backoffBaseMs: 50,
  backoffCapMs: 2000,
  timeoutFactor: 3,
  timeoutMinMs: 5000,
  timeoutUnknownMs: 300_000,
  graceMs: 5000,
  channelPauseMs: 5,
};
const RETRY_AFTER_MS = 200;
const ERROR_CHARS_MAX = 2048;

export class TaskTable {
  readonly #random: () => number;
  readonly #options: Required<TaskTableOptions>;
  readonly #renderers = new Map<number, Renderer>();
  readonly #queues = new RendererQueues(this.#renderers);
  readonly #requests = new Map<number, NodeRequest>();
  readonly #serials: SerialAllocator<'task'>;
  readonly #deadlines = new Deadlines<WorkerDeadline>();
  readonly #times = new RenderTimes();
  #effects: WorkerEffect[] = [];
  #now = 0;
  #version = 0;
  #open = 0;
  #resting = 0;
  #isDraining = false;
  #rendered = 0;
  #failed = 0;
  #retries = 0;
  #timeouts = 0;
  #staleReplies = 0;
  #channelsFull = 0;

  constructor(random: () => number, options: TaskTableOptions = {}) {
    this.#random = random;
    this.#options = { ...TASK_TABLE_DEFAULTS, ...options };
    for (const [name, value] of Object.entries(this.#options)) {
      if (!(Number.isFinite(value) && value >= (name === 'retriesMax' ? 0 : Number.MIN_VALUE)))
        throw new RenderError('RENDER_OPTION_INVALID', `${name}: ${value} is too small or no number`);
    }
    // Renderers may still be at images that nobody waits for: those hold their ids too.
    this.#serials = new SerialAllocator(() => 1n, { task: 2 * this.#options.tasksMax });
  }

  // Renderers.

  rendererReady(now: number, pid: number): WorkerEffect[] {
    this.#now = now;
    assert(!this.#renderers.has(pid), 'a renderer becomes ready once');
    this.#renderers.set(pid, {
      kind: 'renderer',
      pid,
      isDraining: false,
      queue: [],
      flight: null,
      deadline: null,
      rendered: 0,
      idleSince: now,
    });
    return this.#end();
  }

  /** It ended: what it rendered has failed, what waited there goes to others. */
  rendererGone(now: number, pid: number, code: ErrCode, error: string): WorkerEffect[] {
    this.#now = now;
    const renderer = this.#renderers.get(pid);
    if (renderer === undefined) return [];
    this.#renderers.delete(pid);
    this.#clear(renderer);
    const { flight } = renderer;
    renderer.flight = null;
    const waiting = renderer.queue.splice(0);
    if (flight !== null) {
      if (flight.task === null) this.#serials.release('task', flight.serial);
      else this.#attemptFailed(flight.task, renderer, code, error);
    }
    this.#queues.place(waiting);
    return this.#end();
  }

  /** It gets nothing new; what waits there goes to others, what it renders may end. */
  rendererDraining(now: number, pid: number): WorkerEffect[] {
    this.#now = now;
    const renderer = this.#renderers.get(pid);
    if (renderer === undefined) return [];
    renderer.isDraining = true;
    this.#queues.place(renderer.queue.splice(0));
    return this.#end();
  }

  // Requests.

  /**
   * Images to be rendered. The same request again is the same work.
   * @throws RenderError RENDER_OVERLOAD: nothing of it was begun
   */
  submit(
    now: number,
    request: { id: number; first: number; count: number; imageKind?: string; deadlineMs: number },
  ): WorkerEffect[] {
    this.#now = now;
    const { id, first, count, imageKind = '', deadlineMs } = request;
    if (this.#requests.has(id)) return [];
    if (!Number.isInteger(count) || count < 1 || !(deadlineMs > 0))
      throw new RenderError('RENDER_REQUEST_INVALID', `${count} images within ${deadlineMs} ms`);
    if (this.#isDraining) throw this.#overload('this node is draining');
    if (this.#open + count > this.#options.tasksMax)
      throw this.#overload(`${this.#open} images are here already`);
    const made: NodeRequest = {
      kind: 'request',
      id,
      first,
      count,
      imageKind,
      tasks: [],
      done: 0,
      failed: 0,
      deadline: null,
    };
    made.deadline = this.#deadlines.set(now + deadlineMs, made);
    for (let index = first; index < first + count; index += 1) made.tasks.push(this.#newTask(made, index));
    this.#requests.set(id, made);
    this.#open += count;
    this.#queues.place(made.tasks);
    return this.#end();
  }

  /** Nobody waits for the request any more. Its images fail with EC_CANCELED; what renders is dropped when it comes. */
  cancel(now: number, id: number): WorkerEffect[] {
    this.#now = now;
    const request = this.#requests.get(id);
    if (request !== undefined) this.#giveUp(request, ErrCode.EC_CANCELED, 'canceled');
    return this.#end();
  }

  /** No new requests; those that are here are finished. */
  drain(): void {
    this.#isDraining = true;
  }

  /** A renderer's reply. One that nobody waits for is counted, and the renderer is free again. */
  replied(
    now: number,
    pid: number,
    reply: { task: number; version: number; code: ErrCode; error?: string },
  ): WorkerEffect[] {
    this.#now = now;
    const renderer = this.#renderers.get(pid);
    const flight = renderer?.flight ?? null;
    if (
      renderer === undefined ||
      flight === null ||
      flight.version !== reply.version ||
      flight.serial.serial !== reply.task
    ) {
      this.#staleReplies += 1;
      return [];
    }
    this.#clear(renderer);
    renderer.flight = null;
    renderer.idleSince = now;
    const { task } = flight;
    if (task === null) {
      this.#staleReplies += 1;
      this.#serials.release('task', flight.serial);
    } else if (reply.code === ErrCode.EC_OK) {
      renderer.rendered += 1;
      this.#times.observe(task.request.imageKind, now - flight.sentAt);
      this.#finishTask(task, renderer, null);
    } else {
      this.#attemptFailed(task, renderer, reply.code, reply.error ?? '');
    }
    return this.#end();
  }

  /** What `send` asked for did not fit into the channel: it waits a little, and that costs no retry. */
  channelFull(now: number, pid: number, version: number): WorkerEffect[] {
    this.#now = now;
    const renderer = this.#renderers.get(pid);
    const flight = renderer?.flight ?? null;
    if (renderer === undefined || flight === null || flight.version !== version) return [];
    this.#channelsFull += 1;
    this.#clear(renderer);
    renderer.flight = null;
    if (flight.task === null) {
      this.#serials.release('task', flight.serial);
    } else {
      flight.task.state = 'queued';
      renderer.queue.unshift(flight.task);
    }
    renderer.deadline = this.#deadlines.set(now + this.#options.channelPauseMs, renderer);
    return this.#end();
  }

  // Time.

  /** Does what is due. To be called at `nextAt`, and not before. */
  tick(now: number): WorkerEffect[] {
    this.#now = now;
    for (;;) {
      const due = this.#deadlines.takeDue(now);
      if (due === null) return this.#end();
      due.deadline = null;
      switch (due.kind) {
        case 'task':
          this.#resting -= 1;
          due.state = 'queued';
          this.#queues.place([due]);
          break;
        case 'request':
          this.#giveUp(due, ErrCode.EC_TIMEOUT, 'the deadline of its request passed');
          break;
        case 'renderer':
          this.#rendererDue(due);
          break;
        default:
          due satisfies never;
      }
    }
  }

  get nextAt(): number | null {
    return this.#deadlines.nextAt;
  }

  // Views.

  /** Requests that are not finished, as a heartbeat tells them. */
  running(): number[] {
    return [...this.#requests.keys()];
  }

  /** What each renderer has, for the autoscaler. */
  loads(): { pid: number; tasks: number; idleSince: number; isDraining: boolean; rendered: number }[] {
    return Array.from(this.#renderers.values(), (renderer) => ({
      pid: renderer.pid,
      tasks: loadOf(renderer),
      idleSince: renderer.idleSince,
      isDraining: renderer.isDraining,
      rendered: renderer.rendered,
    }));
  }

  /** Ids that are out; 0 when nothing is here and no renderer is at anything. */
  get idsInUse(): number {
    return this.#serials.inUse('task');
  }

  figures(): TaskTableFigures {
    let running = 0;
    for (const { flight } of this.#renderers.values())
      if (flight !== null && flight.task !== null) running += 1;
    return {
      renderers: this.#renderers.size,
      queued: this.#queues.waiting,
      running,
      resting: this.#resting,
      rendered: this.#rendered,
      failed: this.#failed,
      retries: this.#retries,
      stolen: this.#queues.stolen,
      timeouts: this.#timeouts,
      staleReplies: this.#staleReplies,
      channelsFull: this.#channelsFull,
    };
  }

  // Placing and sending.

  #newTask(request: NodeRequest, index: number): RenderTask {
    return {
      kind: 'task',
      serial: this.#serials.generate('task'),
      request,
      index,
      state: 'queued',
      renderer: null,
      failures: 0,
      failedOn: new Set(),
      deadline: null,
    };
  }

  /** Every renderer that can gets something to do. */
  #end(): WorkerEffect[] {
    this.#queues.placeHomeless();
    for (const renderer of this.#renderers.values()) {
      if (renderer.flight !== null || renderer.deadline !== null) continue;
      const task = this.#queues.next(renderer);
      if (task !== null) this.#send(task, renderer);
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #send(task: RenderTask, renderer: Renderer): void {
    this.#version = (this.#version + 1) >>> 0;
    task.state = 'running';
    task.renderer = renderer;
    renderer.flight = { version: this.#version, serial: task.serial, sentAt: this.#now, task };
    renderer.deadline = this.#deadlines.set(this.#now + this.#timeoutMs(task), renderer);
    this.#effects.push({
      kind: 'send',
      pid: renderer.pid,
      task: task.serial.serial,
      version: this.#version,
      request: task.request.id,
      index: task.index,
    });
  }

  #timeoutMs({ request }: RenderTask): number {
    const estimateMs = this.#times.estimateMs(request.imageKind);
    const { timeoutFactor, timeoutMinMs, timeoutUnknownMs } = this.#options;
    return estimateMs === null ? timeoutUnknownMs : Math.max(timeoutMinMs, estimateMs * timeoutFactor);
  }

  // Ending.

  #rendererDue(renderer: Renderer): void {
    const { flight, pid } = renderer;
    if (flight === null) return; // The pause after a full channel is over.
    const ms = Math.round(this.#now - flight.sentAt);
    if (flight.task === null) {
      this.#effects.push({
        kind: 'kill',
        pid,
        reason: `no reply for ${ms} ms to an image that was given up`,
      });
      return;
    }
    this.#timeouts += 1;
    const { task } = flight;
    this.#abandon(renderer);
    this.#attemptFailed(task, renderer, ErrCode.EC_TIMEOUT, `renderer ${pid} did not reply within ${ms} ms`);
  }

  /** Nobody waits for its reply any more. It is free when that comes, and killed when it takes too long. */
  #abandon(renderer: Renderer): void {
    const flight = renderer.flight!;
    // The old id stays with the reply that may come; the task goes on under another.
    flight.task!.serial = this.#serials.generate('task');
    flight.task = null;
    this.#effects.push({ kind: 'abandon', pid: renderer.pid, version: flight.version });
    this.#clear(renderer);
    renderer.deadline = this.#deadlines.set(this.#now + this.#options.graceMs, renderer);
    this.#queues.place(renderer.queue.splice(0));
  }

  #attemptFailed(task: RenderTask, renderer: Renderer, code: ErrCode, error: string): void {
    task.failures += 1;
    task.failedOn.add(renderer.pid);
    task.renderer = null;
    if (task.failures > this.#options.retriesMax) {
      this.#finishTask(task, renderer, { code, error: error.slice(0, ERROR_CHARS_MAX) });
      return;
    }
    this.#retries += 1;
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = this.#options;
    task.state = 'resting';
    this.#resting += 1;
    task.deadline = this.#deadlines.set(
      this.#now + backoffMs(this.#random, task.failures, { baseMs, capMs }),
      task,
    );
  }

  #finishTask(
    task: RenderTask,
    renderer: Renderer | null,
    failure: { code: ErrCode; error: string } | null,
  ): void {
    assert(task.state !== 'done' && task.state !== 'failed', 'an image has one result');
    const { request, index } = task;
    const attempts = task.failures + (failure === null ? 1 : 0);
    task.state = failure === null ? 'done' : 'failed';
    task.renderer = null;
    this.#clear(task);
    this.#serials.release('task', task.serial);
    this.#open -= 1;
    if (failure === null) {
      request.done += 1;
      this.#rendered += 1;
      this.#effects.push({ kind: 'rendered', request: request.id, index, pid: renderer!.pid, attempts });
    } else {
      request.failed += 1;
      this.#failed += 1;
      this.#effects.push({ kind: 'failed', request: request.id, index, ...failure, attempts });
    }
    if (request.done + request.failed < request.count) return;
    this.#clear(request);
    this.#requests.delete(request.id);
    const { id, done, failed } = request;
    this.#effects.push({ kind: 'finished', request: id, done, failed });
  }

  #giveUp(request: NodeRequest, code: ErrCode, error: string): void {
    for (const task of request.tasks) {
      const { state, renderer } = task;
      if (state === 'done' || state === 'failed') continue;
      if (state === 'resting') this.#resting -= 1;
      if (state === 'queued') this.#queues.withdraw(task);
      if (state === 'running' && renderer !== null) this.#abandon(renderer);
      this.#finishTask(task, renderer, { code, error });
    }
  }

  #clear(owner: { deadline: Deadline<WorkerDeadline> | null }): void {
    if (owner.deadline !== null) this.#deadlines.clear(owner.deadline);
    owner.deadline = null;
  }

  #overload(message: string): RenderError {
    return new RenderError('RENDER_OVERLOAD', message, { retryAfterMs: RETRY_AFTER_MS });
  }
}
