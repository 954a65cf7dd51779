// What a user of the small HTTP API writes: the shape of the handlers, and what they answer with.
// http1-service.ts checks the shape once per thread; exchange.ts is what `respond` talks to.

import { ReactorError } from '../errors.js';
import { kindOf } from '../option-types.js';
import type { SendOutcome } from '../sending-half.js';
import type { Http1Request } from './request.js';
import type { Http1ResponseHeaders } from './response-head.js';
import type { Http1Writer } from './writer.js';

/** Answers one request, once: by calling it, or by `stream`. */
export interface Http1Respond {
  /**
   * The whole answer; content-length, date and connection are added. Strings go out as UTF-8. A body of more than
   * 64 KiB must not be changed until it is out. HEAD, 204 and 304 send none.
   * @throws ReactorError REACTOR_ANSWER_INVALID: answered before, or a head that cannot be sent; nothing was sent
   */
  (status: number, headers?: Http1ResponseHeaders, body?: string | Uint8Array): SendOutcome;
  /**
   * Begins an answer whose body follows: of the length that a `content-length` header says, or else in chunks.
   * @throws ReactorError REACTOR_ANSWER_INVALID
   */
  stream(status: number, headers?: Http1ResponseHeaders): Http1Writer;
}

/**
 * May be async: a rejection counts like a throw, and is answered with 500. An async handler answers before its
 * promise settles; one that returns nothing may answer later.
 */
export type Http1RequestHandler = (request: Http1Request, respond: Http1Respond) => unknown;

/** What the default export of an HTTP handler module may return; both transports serve it. */
export interface Http1Handlers {
  readonly request: Http1RequestHandler;
  /** Coded errors of handlers, refused requests and connections. They are counted without it too. */
  onError?(error: ReactorError): unknown;
  /** Draining began, or a reload replaced this code: end streams that do not end by themselves. */
  onClose?(): unknown;
}

/** Whether this is the small API's shape, judged by its one member that is not optional. */
export function isHttp1Handlers(application: unknown): application is Http1Handlers {
  return (
    typeof application === 'object' &&
    application !== null &&
    'request' in application &&
    typeof application.request === 'function'
  );
}

/** @throws ReactorError REACTOR_HANDLERS_INVALID saying what would be right. */
export function checkHttp1Handlers(application: unknown): Http1Handlers {
  if (!isHttp1Handlers(application)) {
    throw invalid(
      `must return { request(request, respond) {…} } here, not ${describe(application)}: ` +
        "node:http handlers, Express, Fastify and http.Server need transport 'net', from the server's start",
    );
  }
  for (const hook of ['onError', 'onClose'] as const) {
    const value: unknown = application[hook];
    if (value !== undefined && typeof value !== 'function')
      throw invalid(`has an ${hook} that is no function`);
  }
  return application;
}

function describe(application: unknown): string {
  if (typeof application === 'function') return 'a function';
  if (typeof application !== 'object' || application === null) return kindOf(application);
  return 'onRequest' in application ? '{ onRequest }' : 'another object';
}

function invalid(what: string): ReactorError {
  return new ReactorError('REACTOR_HANDLERS_INVALID', `the HTTP handler module ${what}`);
}
