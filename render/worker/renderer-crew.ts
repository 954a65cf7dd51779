// The renderers of a worker node as the desk sees them: which take work, under the process id they have now, and what each is at.
// renderer-pool.ts keeps them running; the desk's task table decides what goes where. Here states of processes become what the
// table is told, each once and in the right order: a process is gone only after the outcome of what it had.

import assert from 'node:assert/strict';

import { Backoff, type Logger } from '../../reactor/index.js';
import type { RenderError } from '../errors.js';
import { ErrCode, type ProcessUse } from '../proto/render.js';
import type { Renderer } from '../renderer/renderer.js';
import type { RendererRequest } from '../renderer/message.js';
import type { RenderRun } from './render-run.js';
import { RendererPool, type RendererPoolOptions } from './renderer-pool.js';
import type { RendererProcess, RenderOutcome } from './renderer-process.js';

/** What a renderer was given: an image of a request. */
export interface Flight {
  readonly run: RenderRun;
  readonly index: number;
  readonly task: number;
  readonly version: number;
  readonly sentAt: number;
}

export interface CrewEvents {
  ready(pid: number): void;
  /** It gets nothing new. */
  draining(pid: number): void;
  /** After `draining`, and after the outcome of what it had. */
  gone(pid: number): void;
  ended(pid: number, flight: Flight, outcome: CrewOutcome): void;
  /** It died more often than it may, and is not started any more. */
  unfit(error: RenderError): void;
}

export type CrewOutcome = Pick<RenderOutcome, 'err' | 'text' | 'log' | 'tookMs' | 'writeMs'> & {
  /** Undefined when the renderer did not reply. */
  readonly reply: RenderOutcome['reply'] | undefined;
};

interface Member {
  readonly process: RendererProcess;
  readonly pid: number;
  flight: MemberFlight | null;
  isDraining: boolean;
  /** It is to be stopped once it is at nothing. */
  isLeaving: boolean;
}

interface MemberFlight extends Flight {
  isAbandoned: boolean;
  /** Its outcome came, but the process is still at it. */
  isSettled: boolean;
}

/** The task table has the deadlines. */
const DEADLINE_MS = Number.POSITIVE_INFINITY;
/** Before another renderer is started after a start that failed. */
const START_BACKOFF = { firstMs: 2000, capMs: 60_000 } as const;

export class RendererCrew {
  readonly pool: RendererPool;
  readonly #logger: Logger;
  readonly #events: CrewEvents;
  readonly #byPid = new Map<number, Member>();
  readonly #byProcess = new Map<RendererProcess, Member>();
  readonly #cpu = new Map<number, { cpuMs: number; atMs: number; share: number; rssBytes: number }>();
  readonly #startBackoff: Backoff;
  #startNotBeforeMs = 0;
  #cpuMs = 0;

  constructor(
    logger: Logger,
    random: () => number,
    renderer: Renderer,
    options: RendererPoolOptions,
    events: CrewEvents,
  ) {
    this.#logger = logger;
    this.#events = events;
    this.#startBackoff = new Backoff(random, START_BACKOFF);
    this.pool = new RendererPool(renderer, options, (process) => this.#onState(process));
  }

  /** Renderers that take work. */
  get slots(): number {
    let slots = 0;
    for (const { isDraining } of this.#byPid.values()) slots += isDraining ? 0 : 1;
    return slots;
  }

  /** Processes that will take work, but do not yet. */
  get starting(): number {
    return this.pool.processes.filter(
      (process) => process.state !== 'failed' && !this.#byProcess.has(process),
    ).length;
  }

  /** CPU time of all renderers that there were. */
  get cpuMs(): number {
    return this.#cpuMs;
  }

  send(pid: number, flight: Flight, request: RendererRequest): void {
    const member = this.#byPid.get(pid);
    assert(
      member !== undefined && member.flight === null,
      'one request at a time, to a renderer that is there',
    );
    const { run, index, task, version, sentAt } = flight;
    const own: MemberFlight = { run, index, task, version, sentAt, isAbandoned: false, isSettled: false };
    member.flight = own;
    try {
      member.process.begin(request, { deadlineMs: DEADLINE_MS }, (outcome) =>
        this.#onOutcome(member, own, outcome),
      );
    } catch (error) {
      const outcome = refused(error as RenderError); // it throws nothing else
      queueMicrotask(() => this.#onOutcome(member, own, outcome));
    }
  }

  /** Nobody waits for the outcome any more: it may break off. Its end is told all the same. */
  abandon(pid: number, version: number): void {
    const member = this.#byPid.get(pid);
    const flight = member?.flight ?? null;
    if (member === undefined || flight === null || flight.version !== version || flight.isAbandoned) return;
    flight.isAbandoned = true;
    // A process that has another pid by now has lost the image already.
    if (member.process.pid === pid) member.process.cancel();
  }

  kill(pid: number, err: ErrCode, why: string): void {
    this.#logger.warn({ renderer: pid }, `a renderer is ended: ${why}`);
    this.#byPid.get(pid)?.process.kill(err, why);
  }

  /** Starts one more, unless the last start failed a moment ago. */
  async grow(nowMs: number, reason: string): Promise<void> {
    if (nowMs < this.#startNotBeforeMs || this.pool.processes.length >= this.pool.max) return;
    this.#logger.info({}, `one more renderer is started: ${reason}`);
    try {
      await this.pool.grow();
      this.#startBackoff.reset();
    } catch (error) {
      const { code, message } = error as RenderError; // the pool throws nothing else
      if (code === 'RENDER_CLOSED') return;
      this.#startNotBeforeMs = performance.now() + this.#startBackoff.nextDelayMs();
      this.#logger.error({ code }, `no further renderer: ${message}`);
    }
  }

  /** Takes its work away and stops it, once it has finished what it is at. */
  retire(pid: number, reason: string): void {
    const member = this.#byPid.get(pid);
    if (member === undefined || member.isLeaving) return;
    this.#logger.info({ renderer: pid }, `a renderer is stopped: ${reason}`);
    member.isLeaving = true;
    this.#drain(member);
    this.#leaveIfIdle(member);
  }

  /** Looks at every process; ends those that have grown beyond `rssBytesKill` in the middle of an image. */
  measure(nowMs: number, rssBytesKill: number): void {
    const seen = new Set<number>();
    for (const process of this.pool.processes) {
      const { pid } = process;
      const usage = process.usage();
      if (pid === undefined || usage === undefined) continue;
      seen.add(pid);
      const before = this.#cpu.get(pid);
      const cpuMs = usage.cpuMs - (before?.cpuMs ?? 0);
      this.#cpuMs += Math.max(0, cpuMs);
      const ms = before === undefined ? 0 : nowMs - before.atMs;
      const share = ms > 0 ? Math.max(0, cpuMs) / ms : 0;
      this.#cpu.set(pid, { cpuMs: usage.cpuMs, atMs: nowMs, share, rssBytes: usage.rssBytes });
      if (usage.rssBytes > rssBytesKill && process.state === 'busy')
        this.kill(pid, ErrCode.EC_OOM, `it has ${usage.rssBytes} bytes, and may have ${rssBytesKill}`);
    }
    for (const pid of this.#cpu.keys()) if (!seen.has(pid)) this.#cpu.delete(pid);
  }

  /** As heartbeats tell it; `measure` was called before. */
  uses(gpuOf: (pid: number) => number): ProcessUse[] {
    return this.pool.processes.flatMap(({ pid, figures }) => {
      const use = pid === undefined ? undefined : this.#cpu.get(pid);
      if (pid === undefined || use === undefined) return [];
      return [
        { pid, cpu: use.share, rssBytes: BigInt(use.rssBytes), gpu: gpuOf(pid), renders: figures.rendered },
      ];
    });
  }

  get rssBytesMax(): number {
    return Math.max(0, ...Array.from(this.#cpu.values(), ({ rssBytes }) => rssBytes));
  }

  #onState(process: RendererProcess): void {
    const member = this.#byProcess.get(process);
    switch (process.state) {
      case 'new':
      case 'starting':
      case 'busy':
        return;
      case 'idle':
        if (member === undefined) this.#join(process);
        else if (member.flight?.isSettled === true) this.#complete(member, member.flight, GIVEN_UP);
        return;
      case 'ending':
      case 'waiting':
      case 'failed':
      case 'stopped':
        if (member !== undefined) {
          this.#drain(member);
          if (member.flight === null) this.#leave(member);
          else if (member.flight.isSettled) this.#complete(member, member.flight, GIVEN_UP);
        }
        if (process.state === 'failed' && process.failure !== undefined) this.#events.unfit(process.failure);
        return;
      default:
        process.state satisfies never;
    }
  }

  #join(process: RendererProcess): void {
    const { pid } = process;
    assert(pid !== undefined, 'an idle renderer has a process');
    const member: Member = { process, pid, flight: null, isDraining: false, isLeaving: false };
    this.#byPid.set(pid, member);
    this.#byProcess.set(process, member);
    this.#events.ready(pid);
  }

  #onOutcome(member: Member, flight: MemberFlight, outcome: CrewOutcome): void {
    // Of an image that was given up the outcome comes at once; the process may still be at it.
    if (flight.isAbandoned && member.process.pid === member.pid && member.process.state === 'busy')
      flight.isSettled = true;
    else this.#complete(member, flight, outcome);
  }

  #complete(member: Member, flight: MemberFlight, outcome: CrewOutcome): void {
    const { process, pid } = member;
    const isHere = process.pid === pid && process.state === 'idle';
    if (!isHere || member.isLeaving) this.#drain(member);
    member.flight = null;
    this.#events.ended(pid, flight, outcome);
    if (!isHere) this.#leave(member);
    else this.#leaveIfIdle(member);
  }

  #drain(member: Member): void {
    if (member.isDraining) return;
    member.isDraining = true;
    this.#events.draining(member.pid);
  }

  #leave(member: Member): void {
    if (this.#byProcess.get(member.process) !== member) return;
    this.#byProcess.delete(member.process);
    this.#byPid.delete(member.pid);
    this.#events.gone(member.pid);
  }

  #leaveIfIdle(member: Member): void {
    if (!member.isLeaving || member.flight !== null || this.#byPid.get(member.pid) !== member) return;
    this.pool.remove(member.process).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'a renderer could not be stopped');
    });
  }
}

/** Of an image that nobody waits for any more. */
const GIVEN_UP: CrewOutcome = {
  err: ErrCode.EC_CANCELED,
  text: 'given up',
  log: '',
  tookMs: 0,
  writeMs: 0,
  reply: undefined,
};

function refused({ message }: RenderError): CrewOutcome {
  return { ...GIVEN_UP, err: ErrCode.EC_BAD_MESSAGE, text: message };
}
