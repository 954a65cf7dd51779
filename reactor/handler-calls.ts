// Every call from one connection into the user's code, and the promises that come back.
// connection.ts makes the calls through it; router.ts knows whom to call; failures end the connection.
// A throw and a rejection are the same thing here: neither gets past this file.

import { inOwnScope } from './async-scope.js';
import type { Connection } from './connection.js';
import type { ConnectionHost } from './connection-host.js';
import { ReactorError } from './errors.js';
import { BorrowedFrame, type CloseReason } from './handlers.js';
import { NOT_SAMPLED } from './request-sample.js';
import { FRAMES_UNKNOWN, HANDLER_ERRORS } from './shared-counters.js';

export class HandlerCalls {
  readonly #connection: Connection;
  readonly #host: ConnectionHost;
  /** Frames whose handlers have not settled. */
  #pending = 0;
  /** Inside onError. */
  #isReporting = false;

  constructor(connection: Connection, host: ConnectionHost) {
    this.#connection = connection;
    this.#host = host;
  }

  /** Some frame's handler is at work. */
  get isAtWork(): boolean {
    return this.#pending > 0;
  }

  /**
   * Calls the handler of one frame, whose body is lent to it until it returns. False when as many handlers are
   * now at work as may be: `connection.handlerSettled` says when that is over.
   */
  frame(msgId: number, bytes: Buffer, start: number, end: number): boolean {
    const handler = this.#host.router.find(msgId);
    const frame = new BorrowedFrame(msgId, bytes, start, end);
    const ticket = this.#host.sampler.begin();
    const sampled = ticket === NOT_SAMPLED ? null : this.#startSample(ticket, frame);
    try {
      const result = handler === undefined ? this.#unknown(frame) : handler(this.#connection, frame);
      if (result !== undefined && isThenable(result)) return this.#track(result, sampled);
      sampled?.('ok');
    } catch (error) {
      sampled?.('REACTOR_HANDLER_FAILED');
      this.#failed(error);
    } finally {
      frame.revoke();
    }
    return true;
  }

  /** onConnect; false when it threw, and the connection is ending. */
  connected(): boolean {
    return this.#call(() => this.#host.router.connected(this.#connection));
  }

  /** onHalfClose; false when it threw, and the connection is ending. */
  halfClosed(): boolean {
    return this.#call(() => this.#host.router.halfClosed(this.#connection));
  }

  /** onDrain. */
  drained(): void {
    this.#call(() => this.#host.router.drained(this.#connection));
  }

  /** onError; not for an error that onError itself brought about. */
  report(error: ReactorError): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    this.#tell('onError', () => this.#host.router.failed(this.#connection, error));
    this.#isReporting = false;
  }

  /** onClose. */
  closed(reason: CloseReason): void {
    this.#tell('onClose', () => this.#host.router.closed(this.#connection, reason));
  }

  #unknown(frame: BorrowedFrame): unknown {
    this.#host.counters.values[FRAMES_UNKNOWN]! += 1;
    if (this.#host.router.handlesUnknown) return this.#host.router.unknown(this.#connection, frame);
    this.#connection.report(
      new ReactorError('REACTOR_UNKNOWN_MSG_ID', `no handler for message id ${frame.msgId}`),
    );
    return undefined;
  }

  /** Counts an async handler as at work until its promise settles. False when no further one may start. */
  #track(result: PromiseLike<unknown>, sampled: ((outcome: string) => void) | null): boolean {
    this.#pending += 1;
    result.then(
      () => {
        sampled?.('ok');
        this.#settled();
      },
      (error: unknown) => {
        sampled?.('REACTOR_HANDLER_FAILED');
        this.#failed(error);
        this.#settled();
      },
    );
    const { sequential, pendingHandlersMax } = this.#host.limits;
    return this.#pending < (sequential ? 1 : pendingHandlersMax);
  }

  #settled(): void {
    this.#pending -= 1;
    this.#connection.handlerSettled();
  }

  /** Times one of the few frames that are sampled; call what it returns when the frame is dealt with. */
  #startSample(ticket: number, frame: BorrowedFrame): (outcome: string) => void {
    const { loop, sampler } = this.#host;
    const startedMs = Date.now();
    const beganMs = loop.nowMs;
    const sentBefore = this.#bytesAccepted;
    return (outcome) => {
      sampler.finish(ticket, {
        name: `frame ${frame.msgId}`,
        thread: loop.threadIndex === 'main' ? 0 : loop.threadIndex,
        startedMs,
        durationUs: Math.round((loop.nowMs - beganMs) * 1000),
        bytesIn: frame.bodyBytes,
        bytesOut: this.#bytesAccepted - sentBefore,
        outcome,
      });
    };
  }

  /** Bytes of output the connection ever accepted. */
  get #bytesAccepted(): number {
    return this.#connection.stats.bytesWritten + this.#connection.outputBytes;
  }

  /** A hook that is not about a frame may be async too; only its failure matters. False when it threw. */
  #call(hook: () => unknown): boolean {
    try {
      const result = inOwnScope(this.#host.context, hook);
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.#failed(error));
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  /** Calls a hook whose own failure has nobody left to be told but the log. */
  #tell(name: 'onError' | 'onClose', hook: () => unknown): void {
    const failed = (cause: unknown): void => {
      this.#host.counters.values[HANDLER_ERRORS]! += 1;
      this.#host.hookFailed(handlerError(name, cause));
    };
    try {
      const result = inOwnScope(this.#host.context, hook);
      if (isThenable(result)) result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.#host.counters.values[HANDLER_ERRORS]! += 1;
    this.#connection.report(handlerError('handler', cause));
    this.#connection.endFor('handler-error'); // the frames before this one have earned their answers
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

function handlerError(what: string, cause: unknown): ReactorError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ReactorError('REACTOR_HANDLER_FAILED', `${what} failed: ${message}`, { cause });
}
