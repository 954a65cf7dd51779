// Answers of the HTTP side as plain values, and how an error becomes one. Pure: web-server.ts writes them to sockets.

import { ReactorError } from '../../reactor/index.js';
import { RenderError, type RenderErrorCode } from '../errors.js';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const NO_STORE = { 'cache-control': 'no-store' };
const RETRY_S = 1;

const STATUS_OF: Readonly<Partial<Record<RenderErrorCode, number>>> = {
  RENDER_OPTION_INVALID: 400,
  RENDER_REQUEST_INVALID: 400,
  RENDER_LIGHTS_MALFORMED: 400,
  RENDER_REQUEST_TOO_LARGE: 413,
  RENDER_UNAUTHORIZED: 401,
  RENDER_NOT_FOUND: 404,
  RENDER_STATE: 409,
  RENDER_VERSION_MISMATCH: 409,
  RENDER_OVERLOAD: 503,
  RENDER_IDS_EXHAUSTED: 503,
  RENDER_UNAVAILABLE: 503,
  RENDER_QUEUE_FULL: 503,
  RENDER_CLOSED: 503,
  RENDER_TIMEOUT: 504,
};

export function jsonAnswer(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'content-type': JSON_TYPE, ...NO_STORE, ...headers },
    body: `${JSON.stringify(value)}\n`,
  };
}

export function textAnswer(status: number, text: string, type = 'text/plain; charset=utf-8'): Answer {
  return { status, headers: { 'content-type': type, ...NO_STORE }, body: text };
}

export function emptyAnswer(headers: Record<string, string> = {}): Answer {
  return { status: 204, headers: { ...NO_STORE, ...headers }, body: '' };
}

/** A refusal by HTTP's own rules: the status says more than the code. */
export function refusal(
  status: number,
  code: RenderErrorCode,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return jsonAnswer(status, { code, message }, headers);
}

/** What a handler threw. Nothing of it is told that is not meant for people. */
export function errorAnswer(error: unknown): Answer {
  if (error instanceof RenderError) {
    const status = STATUS_OF[error.code] ?? 500;
    const retry = status === 503 ? retryAfter(error.retryAfterMs) : {};
    return refusal(status, error.code, error.message, retry);
  }
  if (error instanceof ReactorError && error.code === 'REACTOR_TIMEOUT')
    return refusal(503, 'RENDER_TIMEOUT', 'it took too long: again later', retryAfter(null));
  if (error instanceof ReactorError) return jsonAnswer(500, { code: error.code, message: error.message });
  return refusal(500, 'RENDER_FAILED', 'something went wrong here; the log of the main node says what');
}

function retryAfter(ms: number | null): Record<string, string> {
  return { 'retry-after': String(ms === null ? RETRY_S : Math.max(1, Math.ceil(ms / 1000))) };
}
