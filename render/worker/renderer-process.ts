// A renderer that is kept running: started, asked, watched, restarted when it dies, replaced when it has grown old, stopped.
// renderer-pool.ts has several; whoever assigns tasks gives each one task at a time. renderer-child.ts is one life of it.
// Whatever becomes of a task, its outcome comes exactly once, after the process that failed it has really ended.

import type { JbusError, KeptMessage } from '../../addon/jbus/index.js';
import { Backoff } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import { ErrCode } from '../proto/render.js';
import {
  decodeRendererReply,
  encodeRendererRequest,
  RENDERER_MESSAGE,
  RENDERER_OPS,
  rendererReply,
  type RendererReply,
  rendererRequest,
  type RendererRequest,
  replyText,
} from '../renderer/message.js';
import type { Renderer, RendererFacts } from '../renderer/renderer.js';
import { type ProcessUsage, processUsage } from './process-usage.js';
import { exitText, RendererChild } from './renderer-child.js';
import { completeRendererOptions, type RendererProcessOptions } from './renderer-options.js';
import { oomKills } from './oom-kills.js';
import { RestartBudget } from './restart-budget.js';

export type RendererState =
  | 'new'
  | 'starting' // not READY yet, also again after a crash or a recycling
  | 'idle' // takes a task
  | 'busy' // has one, or still has one whose outcome nobody waits for any more
  | 'ending' // its process is being ended; another one follows unless it was stopped
  | 'waiting' // until it is time to start again
  | 'failed' // it died more often than it may: the worker node should drain
  | 'stopped';

export interface RenderOutcome {
  readonly err: ErrCode;
  /** Why there is no image; '' with EC_OK. */
  readonly text: string;
  /** What the renderer said; of an error that it did not tell itself, only the ids mean anything. */
  readonly reply: RendererReply;
  /** The end of what it printed meanwhile, also about how it died. */
  readonly log: string;
  readonly pid: number;
  /** From handing over the request to the reply. */
  readonly tookMs: number;
  /** How much of that it took to write the request into shared memory. */
  readonly writeMs: number;
  /** Of the process, at most a second old; undefined when it is gone. */
  readonly usage: ProcessUsage | undefined;
}

export interface RenderCall {
  /** Milliseconds until the process is killed and the outcome is EC_TIMEOUT; Infinity: the caller sees to that. */
  readonly deadlineMs: number;
  /** The outcome is EC_CANCELED at once; the process has `cancelGraceMs` to give the task up, or is killed. */
  readonly signal?: AbortSignal;
}

export interface RendererFigures {
  readonly rendered: number;
  readonly failed: number;
  /** Starts after it had died. */
  readonly restarts: number;
  /** Starts because it had grown old. */
  readonly recycled: number;
  /** Replies that nobody waited for any more. */
  readonly stale: number;
}

interface Task {
  readonly request: RendererRequest;
  readonly msgId: number;
  readonly beganMs: number;
  writeMs: number;
  readonly onOutcome: (outcome: RenderOutcome) => void;
  timer: NodeJS.Timeout | undefined;
  readonly detach: () => void;
  isSettled: boolean;
}

/** Such a request fits any ring whole. */
const SMALL_BYTES = 1024;
const USAGE_AGE_MS_MAX = 1000;
const TIMER_MS_MAX = 2 ** 31 - 1;

export class RendererProcess {
  readonly renderer: Renderer;
  /** Within its pool. */
  readonly id: number;
  readonly #options: Required<RendererProcessOptions>;
  readonly #onState: (process: RendererProcess) => void;
  readonly #backoff: Backoff;
  readonly #budget: RestartBudget;
  readonly #stop = new AbortController();
  readonly #figures = { rendered: 0, failed: 0, restarts: 0, recycled: 0, stale: 0 };
  #state: RendererState = 'new';
  #child: RendererChild | undefined;
  #task: Task | undefined;
  /** Requests that this child was given. */
  #given = 0;
  #usage: { readonly atMs: number; readonly value: ProcessUsage | undefined } | undefined;
  /** The end of a child, and the start of the next one: one at a time. */
  #turning: Promise<void> = Promise.resolve();
  #restartTimer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;
  #failure: RenderError | undefined;
  readonly #oomKills: () => number;
  /** Before this child began. */
  #oomKillsBefore = 0;

  /** @throws RenderError RENDER_OPTION_INVALID */
  constructor(
    renderer: Renderer,
    options: RendererProcessOptions = {},
    onState: (process: RendererProcess) => void = () => {},
    id = 0,
    random: () => number = Math.random,
    ooms: () => number = oomKills,
  ) {
    this.#oomKills = ooms;
    this.renderer = renderer;
    this.id = id;
    const { rendersMax } = renderer;
    this.#options = completeRendererOptions({
      ...(rendersMax === undefined ? {} : { rendersMax }),
      ...options,
    });
    this.#onState = onState;
    const { restartFirstMs: firstMs, restartCapMs: capMs } = this.#options;
    this.#backoff = new Backoff(random, { firstMs, capMs });
    this.#budget = new RestartBudget(this.#options.restartsPerMinute);
  }

  get state(): RendererState {
    return this.#state;
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get facts(): RendererFacts | undefined {
    return this.#child?.facts;
  }

  /** Why it is 'failed'. */
  get failure(): RenderError | undefined {
    return this.#failure;
  }

  get figures(): RendererFigures {
    return { ...this.#figures };
  }

  /** Read now, from /proc. */
  usage(): ProcessUsage | undefined {
    const pid = this.pid;
    const value = pid === undefined ? undefined : processUsage(pid);
    this.#usage = { atMs: performance.now(), value };
    return value;
  }

  /**
   * Resolves when it is ready for the first time. A start that fails is not repeated: there, the reason is a wrong
   * command line or a missing program far more often than bad luck.
   * @throws RenderError (as rejection) RENDER_START_FAILED, RENDER_STATE: it was started before, RENDER_CLOSED.
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new RenderError('RENDER_STATE', `the renderer is ${this.#state}`);
    const launching = this.#launch();
    this.#turning = launching.catch(() => {}); // it is told below
    try {
      await launching;
    } catch (error) {
      if (this.#stop.signal.aborted) throw new RenderError('RENDER_CLOSED', 'stopped before it was ready');
      this.#fail(error as RenderError); // launch throws nothing else
      throw error;
    }
  }

  /**
   * Renders one request. Rejects only for faults of the caller; whatever goes wrong at the renderer is an outcome.
   * @throws RenderError (as rejection) RENDER_STATE: not idle; RENDER_REQUEST_INVALID.
   */
  render(request: RendererRequest, call: RenderCall): Promise<RenderOutcome> {
    return new Promise((resolve) => this.begin(request, call, resolve));
  }

  /**
   * As `render`, for callers with many tasks: a promise for each costs more than the smallest of them. `onOutcome` is called
   * once and never before this returns; the renderer is idle by then, or on its way to an end.
   * @throws RenderError RENDER_STATE, RENDER_REQUEST_INVALID
   */
  begin(
    request: RendererRequest,
    { deadlineMs, signal }: RenderCall,
    onOutcome: (outcome: RenderOutcome) => void,
  ): void {
    const child = this.#child;
    if (this.#state !== 'idle' || child === undefined)
      throw new RenderError('RENDER_STATE', `the renderer is ${this.#state}`);
    const data = encodeRendererRequest(request);
    this.#given += 1;
    const msgId = this.#given;
    const cancel = (): void => this.#cancel(child, msgId);
    const task: Task = {
      request,
      msgId,
      beganMs: performance.now(),
      writeMs: 0,
      onOutcome,
      timer: undefined,
      detach: () => signal?.removeEventListener('abort', cancel),
      isSettled: false,
    };
    this.#task = task;
    if (deadlineMs < TIMER_MS_MAX)
      this.#armTask(task, deadlineMs, () =>
        this.#lose(child, ErrCode.EC_TIMEOUT, `no image within ${deadlineMs} ms`),
      );
    signal?.addEventListener('abort', cancel);
    if (signal?.aborted === true) queueMicrotask(cancel);
    child.log.take(); // what it printed between two tasks belongs to neither
    this.#become('busy');
    this.#write(child, data, msgId);
  }

  /** At once where there is room, which costs a fraction of a promise. */
  #write(child: RendererChild, data: Buffer, msgId: number): void {
    const options = { type: RENDERER_MESSAGE.request, msgId, timeoutMs: this.#options.writeTimeoutMs };
    const task = this.#task;
    const written = (): void => {
      if (task !== undefined) task.writeMs = performance.now() - task.beganMs;
    };
    try {
      if (data.length <= SMALL_BYTES && child.channel.tryWrite(data, options)) return written();
    } catch (error) {
      return this.#onWriteFailed(child, error);
    }
    child.channel.writeAsync(data, options).then(written, (error) => this.#onWriteFailed(child, error));
  }

  /** As `signal` of a call does, for callers with many tasks: a signal for each costs more than the smallest of them. */
  cancel(): void {
    if (this.#child !== undefined && this.#task !== undefined) this.#cancel(this.#child, this.#task.msgId);
  }

  /** Kills the process it has; a task fails with `err`. Another one follows, as after any other death. */
  kill(err: ErrCode, why: string): void {
    if (this.#child !== undefined) this.#lose(this.#child, err, why, err === ErrCode.EC_CANCELED);
  }

  /** Ends it for good: asks first, then tells, then kills. A task that it still has is canceled. May be repeated. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  // Starting and ending

  async #launch(): Promise<void> {
    this.#become('starting');
    this.#oomKillsBefore = this.#oomKills();
    const child = await RendererChild.start(this.renderer, this.#options, this.#stop.signal);
    if (this.#stop.signal.aborted) {
      await child.end(true);
      throw new RenderError('RENDER_CLOSED', 'stopped before it was ready');
    }
    this.#child = child;
    this.#given = 0;
    this.#usage = undefined;
    child.channel.listen(
      (lease) => this.#onMessage(child, lease.keep()),
      ({ code, message }) =>
        this.#lose(child, ErrCode.EC_PEER_DEAD, code === 'JBUS_CLOSED' ? 'it closed its channel' : message),
    );
    this.#become('idle');
  }

  /** Gives a child up: it is killed, its task fails with `err`, and another one is started if that is allowed. */
  #lose(child: RendererChild, err: ErrCode, why: string, isOurDoing = false): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#become('ending');
    this.#turning = this.#replace(child, err, why, isOurDoing);
  }

  async #replace(child: RendererChild, err: ErrCode, why: string, isOurDoing: boolean): Promise<void> {
    let ending: string;
    let told = err;
    try {
      const exit = await child.dispose();
      ending = exitText(exit);
      const isKilled = err === ErrCode.EC_PEER_DEAD && exit.signal === 'SIGKILL';
      if (isKilled && this.#oomKills() > this.#oomKillsBefore) {
        told = ErrCode.EC_OOM;
        ending += ', and the system has ended processes for want of memory meanwhile';
      }
    } catch (error) {
      ending = (error as RenderError).message; // dispose throws nothing else
    }
    this.#settle(child, told, `${why}; ${ending}`);
    if (this.#stop.signal.aborted) return;
    if (isOurDoing) await this.#relaunch();
    else this.#restartLater(why);
  }

  /** An old child is ended politely, and followed by a young one at once. */
  async #recycle(child: RendererChild): Promise<void> {
    this.#figures.recycled += 1;
    try {
      await child.end(true);
    } catch (error) {
      return this.#fail(error as RenderError); // end throws nothing else
    }
    if (!this.#stop.signal.aborted) await this.#relaunch();
  }

  async #relaunch(): Promise<void> {
    try {
      await this.#launch();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#restartLater((error as RenderError).message);
    }
  }

  #restartLater(why: string): void {
    if (!this.#budget.take(performance.now())) {
      const often = `it died more than ${this.#options.restartsPerMinute} times in a minute, lastly: ${why}`;
      return this.#fail(new RenderError('RENDER_RENDERER_DIED', often));
    }
    this.#become('waiting');
    this.#restartTimer = setTimeout(() => {
      this.#figures.restarts += 1;
      this.#turning = this.#relaunch();
    }, this.#backoff.nextDelayMs());
  }

  #fail(error: RenderError): void {
    this.#failure = error;
    this.#become('failed');
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    this.#child = undefined;
    if (this.#state !== 'failed') this.#become('ending');
    const isRendering = this.#task !== undefined;
    if (child !== undefined) {
      this.#settle(child, ErrCode.EC_CANCELED, 'the renderer was stopped');
      await child.end(!isRendering);
    }
    await this.#turning;
    this.#become('stopped');
  }

  // The task

  #onMessage(child: RendererChild, { type, msgId, data }: KeptMessage): void {
    if (this.#child !== child) return;
    const task = this.#task;
    if (type !== RENDERER_MESSAGE.reply || task?.msgId !== msgId) {
      return this.#lose(child, ErrCode.EC_BAD_MESSAGE, `a message of type ${type} that nobody waits for`);
    }
    let reply: RendererReply;
    try {
      reply = decodeRendererReply(data);
    } catch (error) {
      return this.#lose(child, ErrCode.EC_BAD_MESSAGE, (error as RenderError).message);
    }
    const wrong = mismatch(task.request, reply);
    if (wrong !== undefined) return this.#lose(child, ErrCode.EC_BAD_MESSAGE, wrong);
    clearTimeout(task.timer);
    // What it printed before the reply has arrived, but may not have been read: that takes one whole turn of the loop.
    if (child.hasUnreadOutput) setImmediate(() => setImmediate(() => this.#onReply(child, task, reply)));
    else this.#onReply(child, task, reply);
  }

  #onReply(child: RendererChild, task: Task, reply: RendererReply): void {
    if (this.#task !== task) return;
    if (task.isSettled) this.#figures.stale += 1;
    this.#backoff.reset();
    this.#task = undefined;
    clearTimeout(task.timer);
    const outcome = this.#outcome(
      task,
      child,
      reply.err,
      reply.err === ErrCode.EC_OK ? '' : replyText(reply),
      reply,
    );
    if (this.#child === child) this.#goOn(child); // else it ended right after its reply
    if (outcome !== undefined) task.onOutcome(outcome);
  }

  #goOn(child: RendererChild): void {
    if (!this.#isOld()) return this.#become('idle');
    this.#child = undefined;
    this.#become('ending');
    this.#turning = this.#recycle(child);
  }

  #onWriteFailed(child: RendererChild, error: unknown): void {
    const { code, message } = error as JbusError; // the channel rejects with nothing else
    const isFull = code === 'JBUS_TIMEOUT' || code === 'JBUS_CHANNEL_FULL';
    // That it is dead the listener is told as well, who reads first what it had sent.
    if (isFull) this.#lose(child, ErrCode.EC_CHANNEL_FULL, message);
  }

  #cancel(child: RendererChild, msgId: number): void {
    const task = this.#task;
    if (this.#child !== child || task?.msgId !== msgId || task.isSettled) return;
    const { cancelGraceMs } = this.#options;
    this.#announce(task, child, ErrCode.EC_CANCELED, 'canceled');
    this.#armTask(task, cancelGraceMs, () =>
      this.#lose(child, ErrCode.EC_CANCELED, `canceled, and not given up within ${cancelGraceMs} ms`, true),
    );
    const data = encodeRendererRequest(rendererRequest({ ...idsOf(task.request), op: RENDERER_OPS.cancel }));
    child.channel
      .writeAsync(data, { type: RENDERER_MESSAGE.request, timeoutMs: cancelGraceMs })
      .catch((error: unknown) => this.#onWriteFailed(child, error));
  }

  #armTask(task: Task, ms: number, onTime: () => void): void {
    clearTimeout(task.timer);
    task.timer = setTimeout(onTime, Math.min(ms, TIMER_MS_MAX));
  }

  /** The task is over: nothing of it is left here. */
  #settle(child: RendererChild, err: ErrCode, text: string): void {
    const task = this.#task;
    if (task === undefined) return;
    this.#task = undefined;
    clearTimeout(task.timer);
    this.#announce(task, child, err, text);
  }

  /** Tells the outcome, once, when the process has come to the state that belongs to it. */
  #announce(task: Task, child: RendererChild, err: ErrCode, text: string): void {
    const outcome = this.#outcome(task, child, err, text);
    if (outcome !== undefined) queueMicrotask(() => task.onOutcome(outcome));
  }

  /** Undefined when it was told before. */
  #outcome(
    task: Task,
    child: RendererChild,
    err: ErrCode,
    text: string,
    reply?: RendererReply,
  ): RenderOutcome | undefined {
    if (task.isSettled) return undefined;
    task.isSettled = true;
    task.detach();
    if (err === ErrCode.EC_OK) this.#figures.rendered += 1;
    else this.#figures.failed += 1;
    return {
      err,
      text,
      reply: reply ?? rendererReply(task.request, { err, text }),
      log: child.log.take(),
      pid: child.pid,
      tookMs: performance.now() - task.beganMs,
      writeMs: task.writeMs,
      usage: this.#recentUsage(),
    };
  }

  #isOld(): boolean {
    if (this.#given >= this.#options.rendersMax) return true;
    return (this.#recentUsage()?.rssBytes ?? 0) > this.#options.rssBytesMax;
  }

  /** Reading /proc takes longer than the smallest tasks. */
  #recentUsage(): ProcessUsage | undefined {
    const known = this.#usage;
    if (known !== undefined && performance.now() - known.atMs < USAGE_AGE_MS_MAX) return known.value;
    return this.usage();
  }

  #become(state: RendererState): void {
    this.#state = state;
    this.#onState(this);
  }
}

function idsOf({ requestId, serial, version }: RendererRequest): {
  requestId: bigint;
  serial: number;
  version: number;
} {
  return { requestId, serial, version };
}

/** What in a reply does not belong to the request; undefined when everything does. */
function mismatch(request: RendererRequest, reply: RendererReply): string | undefined {
  const { requestId, serial, version, taskCount, width, height, format } = request;
  if (reply.requestId !== requestId || reply.serial !== serial || reply.version !== version)
    return `a reply to request ${reply.requestId}, task ${reply.serial}, version ${reply.version}`;
  if (reply.err !== ErrCode.EC_OK || request.op !== RENDERER_OPS.render) return undefined;
  const isSame =
    reply.taskCount === taskCount &&
    reply.width === width &&
    reply.height === height &&
    reply.format === format;
  if (isSame) return undefined;
  return `${reply.taskCount} images of ${reply.width} × ${reply.height}, not ${taskCount} of ${width} × ${height}`;
}
