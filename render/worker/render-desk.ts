// Drives the task table of a worker node with real time and real renderers, and holds the requests that are here.
// slave-service.ts brings requests and reads their images; renderer-crew.ts has the renderers; task-table.ts decides.
// Bounded: images that wait, bytes that images may take, requests that are kept for callers that come again.

import assert from 'node:assert/strict';

import type { Logger } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import { Code, ErrCode, type SlaveRenderReq, type Status } from '../proto/render.js';
import type { Renderer } from '../renderer/renderer.js';
import { AttemptLogs } from './attempt-logs.js';
import { wrongImage } from './image-check.js';
import {
  bytesOf,
  checkNodeRequest,
  deadlineOf,
  imageKindOf,
  imageLights,
  imageRequest,
  isOwnScene,
} from './node-request.js';
import { RunStore } from './run-store.js';
import { endOf, goodImage, statusOf, withLastLines } from './results.js';
import type { RenderRun } from './render-run.js';
import type { TaskTableFigures, TaskTableOptions, WorkerEffect } from './render-task.js';
import { type CrewOutcome, type Flight, RendererCrew } from './renderer-crew.js';
import type { RendererPoolOptions } from './renderer-pool.js';
import { TASK_TABLE_DEFAULTS, TaskTable } from './task-table.js';
import type { DeskOptions } from './worker-options.js';

/** Where scenes come from. */
export interface SceneSource {
  /** Path of the file, which stays until `release`. @throws RenderError */
  acquire(sha256: string, signal: AbortSignal): Promise<string>;
  release(sha256: string): void;
}

export interface DeskParts {
  readonly logger: Logger;
  readonly random: () => number;
  readonly renderer: Renderer;
  readonly scenes: SceneSource;
  /** A renderer died more often than it may. */
  onUnfit(error: RenderError): void;
}

export interface DeskFigures extends TaskTableFigures {
  readonly requests: number;
  readonly reservedBytes: number;
  readonly refused: number;
}

interface Work {
  readonly effect: WorkerEffect;
  /** What the reply that brought it about was. */
  readonly outcome: CrewOutcome | null;
  readonly flight: Flight | null;
}

const RETRY_AFTER_MS = 200;

export class RenderDesk {
  readonly crew: RendererCrew;
  readonly logs: AttemptLogs;
  readonly #parts: DeskParts;
  readonly #options: Required<DeskOptions>;
  readonly #imagesMax: number;
  readonly #table: TaskTable;
  readonly #runs: RunStore;
  #fetchingImages = 0;
  #refused = 0;
  #isDraining = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  readonly #work: Work[] = [];
  #isWorking = false;
  #whenIdle: (() => void)[] = [];

  constructor(
    parts: DeskParts,
    pool: RendererPoolOptions,
    tasks: TaskTableOptions,
    options: Required<DeskOptions>,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#runs = new RunStore(options.resultBytesMax);
    this.logs = new AttemptLogs(options.logCharsMax, options.logImagesMax);
    this.#table = new TaskTable(parts.random, tasks);
    const { tasksMax, graceMs } = { ...TASK_TABLE_DEFAULTS, ...tasks };
    this.#imagesMax = tasksMax;
    const table = this.#table;
    // The table says when a renderer that was given up is killed; the process's own rule is for when it cannot.
    const cancelGraceMs = 2 * graceMs + 1000;
    this.crew = new RendererCrew(
      parts.logger,
      parts.random,
      parts.renderer,
      { ...pool, cancelGraceMs },
      {
        ready: (pid) => this.#apply(table.rendererReady(performance.now(), pid)),
        draining: (pid) => this.#apply(table.rendererDraining(performance.now(), pid)),
        gone: (pid) =>
          this.#apply(table.rendererGone(performance.now(), pid, ErrCode.EC_PEER_DEAD, 'the renderer ended')),
        ended: (pid, flight, outcome) => this.#onEnded(pid, flight, outcome),
        unfit: (error) => parts.onUnfit(error),
      },
    );
  }

  /**
   * The request, begun; or the same one that is here already.
   * @throws RenderError RENDER_OVERLOAD, RENDER_REQUEST_INVALID, RENDER_LIGHTS_MALFORMED, RENDER_REQUEST_TOO_LARGE,
   *   RENDER_NOT_FOUND: it was answered, and is not kept any more
   */
  take(request: SlaveRenderReq): RenderRun {
    const known = this.#runs.find(request.requestId);
    if (known !== undefined) return known;
    if (this.#runs.wasForgotten(request.requestId))
      throw new RenderError(
        'RENDER_NOT_FOUND',
        'the request was answered, and its images are not kept any more',
      );
    checkNodeRequest(request);
    const bytes = bytesOf(request);
    this.#admit(request, bytes);
    const run = this.#runs.make(performance.now(), request, bytes);
    if (isOwnScene(request.scene)) this.#submit(run);
    else void this.#fetchAndSubmit(run);
    this.#runs.add(run);
    this.#doWork();
    return run;
  }

  /** Whether there was anything to cancel. */
  cancel(requestId: bigint): boolean {
    const run = this.#runs.find(requestId);
    if (run === undefined || run.end !== null) return false;
    run.isCanceled = true;
    run.giveUp.abort(); // it may still wait for its scene
    this.#apply(this.#table.cancel(performance.now(), run.id));
    return true;
  }

  /** Nothing of what is here is wanted any more, and ids may be used again: they were those of another main node. */
  dropAll(): void {
    for (const run of this.#runs.values()) {
      this.cancel(run.request.requestId);
      if (run.end === null) this.#finish(run, statusOf(new RenderError('RENDER_CANCELED', 'canceled')));
      this.#forget(run);
    }
    this.#runs.clearForgotten();
  }

  /** No new requests. */
  drain(): void {
    this.#isDraining = true;
    this.#table.drain();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Resolves when every request is over, and nobody reads any more. */
  async whenIdle(): Promise<void> {
    while (this.openRequests().length > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Requests that are not answered yet, as heartbeats tell them. */
  openRequests(): bigint[] {
    return this.#runs.open();
  }

  /** A reader has gone. */
  left(run: RenderRun): void {
    run.leave(performance.now());
    this.#tellIdle();
  }

  loads(): ReturnType<TaskTable['loads']> {
    return this.#table.loads();
  }

  figures(): DeskFigures {
    const figures = this.#table.figures();
    return {
      ...figures,
      queued: figures.queued + this.#fetchingImages,
      requests: this.#runs.size,
      reservedBytes: this.#runs.bytes,
      refused: this.#refused,
    };
  }

  /** To be called about once a second: drops what nobody asks for any more. */
  sweep(): void {
    const now = performance.now();
    const { keptMs, orphanMs } = this.#options;
    for (const run of this.#runs.values()) {
      if (run.end !== null && !run.isOpen && now - run.endedAt! > keptMs) this.#forget(run);
      else if (run.end === null && run.unheardSince !== null && now - run.unheardSince > orphanMs)
        this.cancel(run.request.requestId);
    }
  }

  close(): void {
    this.dropAll();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  // Taking

  #admit({ taskCount }: SlaveRenderReq, bytes: number): void {
    const { resultBytesMax } = this.#options;
    if (bytes > resultBytesMax)
      throw new RenderError(
        'RENDER_REQUEST_TOO_LARGE',
        `images of ${bytes} bytes: at most ${resultBytesMax}`,
      );
    if (this.#isDraining) throw this.#overload('this node is draining');
    if (this.#fetchingImages + taskCount > this.#imagesMax) throw this.#overload('too many images wait here');
    if (!this.#runs.makeRoom(bytes)) throw this.#overload('the images that are here take the memory');
  }

  #submit(run: RenderRun): void {
    const { request, id } = run;
    let effects: WorkerEffect[];
    try {
      effects = this.#table.submit(performance.now(), {
        id,
        first: request.firstIndex,
        count: request.taskCount,
        imageKind: imageKindOf(request),
        deadlineMs: deadlineOf(request),
      });
    } catch (error) {
      this.#refused += 1;
      throw error;
    }
    for (const effect of effects) this.#work.push({ effect, outcome: null, flight: null });
  }

  async #fetchAndSubmit(run: RenderRun): Promise<void> {
    const { scene, taskCount } = run.request;
    const timer = setTimeout(() => run.giveUp.abort(), Math.min(2 ** 31 - 1, deadlineOf(run.request)));
    this.#fetchingImages += taskCount;
    try {
      if (this.#parts.renderer.hasScenes !== true)
        throw new RenderError(
          'RENDER_REQUEST_INVALID',
          `${this.#parts.renderer.name} has no scenes but its own`,
        );
      run.scene = await this.#parts.scenes.acquire(scene, run.giveUp.signal);
    } catch (error) {
      this.#fetchingImages -= taskCount;
      return this.#failAll(run, error as RenderError); // acquire throws nothing else
    } finally {
      clearTimeout(timer);
    }
    this.#fetchingImages -= taskCount;
    if (run.end !== null) return this.#parts.scenes.release(scene);
    try {
      this.#submit(run);
    } catch (error) {
      return this.#finish(run, statusOf(error as RenderError)); // submit throws nothing else
    }
    this.#doWork();
  }

  /** Without a scene there is no image. */
  #failAll(run: RenderRun, error: RenderError): void {
    const { firstIndex, taskCount } = run.request;
    if (run.isCanceled) return this.#finish(run, statusOf(new RenderError('RENDER_CANCELED', 'canceled')));
    const code = error.code === 'RENDER_REQUEST_INVALID' ? ErrCode.EC_BAD_MESSAGE : ErrCode.EC_RENDER_FAILED;
    const failed = { code, error: error.message, attempts: 1, renderMs: 0, times: {}, pixels: null };
    for (let index = firstIndex; index < firstIndex + taskCount; index += 1)
      run.add({ index, ...failed, atMs: performance.now() });
    this.#finish(run, { code: Code.INTERNAL, message: error.message, retryAfterMs: 0 });
  }

  // Doing what the table says

  #onEnded(pid: number, flight: Flight, outcome: CrewOutcome): void {
    const now = performance.now();
    const { task, version, run, index } = flight;
    if (outcome.err === ErrCode.EC_CHANNEL_FULL)
      return this.#apply(this.#table.channelFull(now, pid, version));
    const { code, error } = this.#judged(flight, outcome);
    const { log, tookMs } = outcome;
    const said = code === ErrCode.EC_OK ? '' : `error ${code}: ${error}`;
    this.logs.add(run.request.requestId, index, { pid, log, error: said, tookMs });
    const reason = code === ErrCode.EC_OK ? '' : withLastLines(error, log);
    this.#apply(this.#table.replied(now, pid, { task, version, code, error: reason }), outcome, flight);
  }

  /** What became of an image: what the renderer says, unless a look at the image says otherwise. */
  #judged({ run, index }: Flight, { err, text, reply }: CrewOutcome): { code: ErrCode; error: string } {
    if (err !== ErrCode.EC_OK || !this.#options.checkImages) return { code: err, error: text };
    const { format } = run.request;
    const wrong = wrongImage(reply?.body ?? new Uint8Array(0), format, imageLights(run.request, index));
    return wrong === null ? { code: err, error: '' } : { code: ErrCode.EC_BAD_IMAGE, error: wrong };
  }

  #apply(
    effects: readonly WorkerEffect[],
    outcome: CrewOutcome | null = null,
    flight: Flight | null = null,
  ): void {
    for (const effect of effects) this.#work.push({ effect, outcome, flight });
    this.#doWork();
  }

  /** One effect after the other: what an effect brings about comes behind those that are there. */
  #doWork(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    for (let work = this.#work.shift(); work !== undefined; work = this.#work.shift()) this.#do(work);
    this.#isWorking = false;
    this.#armTimer();
  }

  #do({ effect, outcome, flight }: Work): void {
    switch (effect.kind) {
      case 'send':
        return this.#send(effect);
      case 'rendered':
        assert(outcome !== null && flight !== null, 'an image comes with a reply');
        return flight.run.add(goodImage(effect.attempts, outcome, flight));
      case 'failed': {
        const { index, code, error, attempts } = effect;
        const failed = { renderMs: 0, times: {}, pixels: null, atMs: performance.now() };
        return this.#runs.get(effect.request)?.add({ index, code, error, attempts, ...failed });
      }
      case 'finished': {
        const run = this.#runs.get(effect.request);
        if (run !== undefined) this.#finish(run, endOf(run, effect));
        return;
      }
      case 'abandon':
        return this.crew.abandon(effect.pid, effect.version);
      case 'kill':
        return this.crew.kill(effect.pid, ErrCode.EC_CANCELED, effect.reason);
      default:
        effect satisfies never;
    }
  }

  #send({ pid, task, version, request, index }: Extract<WorkerEffect, { kind: 'send' }>): void {
    const run = this.#runs.get(request)!; // the table forgets a request before the desk does
    const flight = { run, index, task, version, sentAt: performance.now() };
    this.crew.send(pid, flight, imageRequest(run.request, index, flight, run.scene));
  }

  #finish(run: RenderRun, end: Status): void {
    run.finish(performance.now(), end);
    if (run.scene !== '') this.#parts.scenes.release(run.request.scene);
    run.scene = '';
    this.#tellIdle();
  }

  #forget(run: RenderRun): void {
    this.#runs.forget(run);
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#whenIdle.length === 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const wake of waiting) wake();
  }

  #armTimer(): void {
    const nextAt = this.#table.nextAt ?? Number.POSITIVE_INFINITY;
    // One that comes early looks again; only an earlier one is worth a new timer.
    if (nextAt >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = nextAt;
    const ms = Math.max(0, Math.min(2 ** 31 - 1, Math.ceil(nextAt - performance.now())));
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#apply(this.#table.tick(performance.now()));
    }, ms);
  }

  #overload(message: string): RenderError {
    this.#refused += 1;
    return new RenderError('RENDER_OVERLOAD', message, { retryAfterMs: RETRY_AFTER_MS });
  }
}
