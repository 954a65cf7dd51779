// The one timer of an HTTP connection. Requests do not touch it: it looks again often enough to be never too late.
// session.ts says what it waits for and is told what took too long; session-deadlines.ts knows which deadline counts.

import type { EventLoop } from '../event-loop.js';
import { TimerNode } from '../timer-wheel.js';
import type { Http1Limits } from './options.js';
import {
  nextSessionDeadline,
  type SessionActivity,
  type SessionDeadlineKind,
  shortestTimeoutMs,
} from './session-deadlines.js';

export interface TimedSession {
  readonly activity: SessionActivity;
  /** The connection has ended, or waits for its end: it has deadlines of its own for that. */
  readonly isOver: boolean;
  /** This deadline has passed. */
  late(kind: SessionDeadlineKind): void;
}

export class SessionTimer extends TimerNode {
  readonly #loop: EventLoop;
  readonly #session: TimedSession;
  readonly #limits: Http1Limits;

  constructor(loop: EventLoop, session: TimedSession, limits: Http1Limits) {
    super();
    this.#loop = loop;
    this.#session = session;
    this.#limits = limits;
  }

  start(): void {
    if (this.#session.isOver) return;
    const leftMs = nextSessionDeadline(this.#session.activity, this.#limits).atMs - this.#loop.nowMs;
    const delayMs = Math.min(Math.max(leftMs, 0), shortestTimeoutMs(this.#limits));
    if (delayMs !== Infinity) this.#loop.timers.schedule(this, delayMs);
  }

  stop(): void {
    this.#loop.timers.cancel(this);
  }

  /** TimerNode. @internal */
  override onTimer(): void {
    const { kind, atMs } = nextSessionDeadline(this.#session.activity, this.#limits);
    if (atMs <= this.#loop.nowMs) this.#session.late(kind);
    this.start();
  }
}
