// What the sessions of one service on one thread share: the user's handlers, limits, counters, samples and the date.
// http1-service.ts makes it and replaces the handlers; it calls the hooks that have nobody else to tell of a failure.

import type { AsyncResource } from 'node:async_hooks';

import { captureContext, inOwnScope } from '../async-scope.js';
import { ReactorError } from '../errors.js';
import type { EventLoop } from '../event-loop.js';
import { isThenable } from '../handler-calls.js';
import { NOT_SAMPLED, type RequestSampler } from '../request-sample.js';
import { type CounterRow, HANDLER_ERRORS, REQUESTS } from '../shared-counters.js';
import type { Exchange } from './exchange.js';
import { checkHttp1Handlers, type Http1Handlers } from './handlers.js';
import type { Http1Limits } from './options.js';
import { DateLine, keepAliveLines } from './response-head.js';
import type { Session } from './session.js';

export class SessionHost {
  readonly limits: Http1Limits;
  /** Header lines of an answer after which the connection goes on. */
  readonly keepAliveLines: string;
  /** The server closes: an answer that nothing follows is its connection's last. */
  isDraining: boolean = false;
  #handlers: Http1Handlers;
  readonly #loop: EventLoop;
  readonly #counters: CounterRow;
  readonly #sampler: RequestSampler;
  readonly #logError: (error: unknown) => void;
  readonly #date: DateLine = new DateLine();
  /** What is entered where the service was made is entered in every request. */
  readonly context: AsyncResource = captureContext();

  /** `logError` counts what it is given. @throws ReactorError REACTOR_HANDLERS_INVALID */
  constructor(
    loop: EventLoop,
    counters: CounterRow,
    sampler: RequestSampler,
    logError: (error: unknown) => void,
    limits: Http1Limits,
    application: unknown,
  ) {
    this.#loop = loop;
    this.#counters = counters;
    this.#sampler = sampler;
    this.#logError = logError;
    this.limits = limits;
    this.keepAliveLines = keepAliveLines(limits.keepAliveTimeoutMs);
    this.#handlers = checkHttp1Handlers(application);
  }

  get handlers(): Http1Handlers {
    return this.#handlers;
  }

  /** Requests under way are finished by the code that began them. @throws ReactorError REACTOR_HANDLERS_INVALID */
  replaceHandlers(application: unknown): void {
    const replaced = this.#handlers;
    this.#handlers = checkHttp1Handlers(application);
    this.#call('onClose', () => replaced.onClose?.());
  }

  /** Draining begins. */
  close(): void {
    this.isDraining = true;
    this.#call('onClose', () => this.#handlers.onClose?.());
  }

  /** A line for every answer's head. */
  get dateLine(): string {
    return this.#date.at(Date.now());
  }

  /** Whether this request is sampled; see RequestSampler. */
  beginSample(): number {
    return this.#sampler.begin();
  }

  /** The answer was given to the connection whole. */
  answered({ request, status, startedMs, ticket, bodyBytes, answerBytes }: Exchange): void {
    if (request === null) return;
    this.#counters.values[REQUESTS]! += 1;
    if (ticket === NOT_SAMPLED) return;
    const { threadIndex, nowMs } = this.#loop;
    this.#sampler.finish(ticket, {
      name: `${request.method} ${request.target}`,
      thread: threadIndex === 'main' ? 0 : threadIndex,
      startedMs: Date.now() - (nowMs - startedMs),
      durationUs: Math.round((nowMs - startedMs) * 1000),
      bytesIn: bodyBytes,
      bytesOut: answerBytes,
      outcome: String(status),
    });
  }

  /** Counts an error and tells the handlers' onError. */
  failed(error: ReactorError): void {
    if (error.code === 'REACTOR_HANDLER_FAILED') {
      this.#counters.values[HANDLER_ERRORS]! += 1;
      this.#logError(error);
    } else {
      this.#counters.countError(error.code); // a client's doing: no line in the log for each
    }
    this.tell(error);
  }

  /** Tells the handlers' onError of an error that is counted. */
  tell(error: ReactorError): void {
    this.#call('onError', () => this.#handlers.onError?.(error));
  }

  /** Calls `session.goOn` soon, not inside the handler that runs now. */
  goOnSoon(session: Session): void {
    process.nextTick(() => session.goOn());
  }

  /** Calls a hook whose own failure has nobody left to be told but the log. */
  #call(name: 'onClose' | 'onError', hook: () => unknown): void {
    const failed = (cause: unknown): void => {
      this.#counters.values[HANDLER_ERRORS]! += 1;
      this.#logError(new ReactorError('REACTOR_HANDLER_FAILED', `the HTTP ${name} failed`, { cause }));
    };
    try {
      const result = inOwnScope(this.context, hook);
      if (isThenable(result)) result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }
}
