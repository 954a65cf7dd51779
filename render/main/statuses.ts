// How an error of ours is told in the contract: the `Status` that every answer to a driver or node carries.

import type { MessageInit } from '../../rpc/index.js';
import { RenderError, type RenderErrorCode } from '../errors.js';
import { Code, type Status } from '../proto/render.js';

const EXHAUSTED_RETRY_MS = 1000;

const CODES: Readonly<Partial<Record<RenderErrorCode, Code>>> = {
  RENDER_OPTION_INVALID: Code.INVALID_ARGUMENT,
  RENDER_REQUEST_INVALID: Code.INVALID_ARGUMENT,
  RENDER_REQUEST_TOO_LARGE: Code.INVALID_ARGUMENT,
  RENDER_LIGHTS_MALFORMED: Code.INVALID_ARGUMENT,
  RENDER_STATE: Code.INVALID_ARGUMENT,
  RENDER_UNAUTHORIZED: Code.UNAUTHORIZED,
  RENDER_VERSION_MISMATCH: Code.VERSION_MISMATCH,
  RENDER_NOT_FOUND: Code.NOT_FOUND,
  RENDER_OVERLOAD: Code.OVERLOAD,
  RENDER_QUEUE_FULL: Code.OVERLOAD,
  RENDER_IDS_EXHAUSTED: Code.EXHAUSTED,
  RENDER_UNAVAILABLE: Code.UNAVAILABLE,
  RENDER_CLOSED: Code.UNAVAILABLE,
  RENDER_TIMEOUT: Code.TIMEOUT,
  RENDER_CANCELED: Code.CANCELED,
};

export const OK: MessageInit<Status> = { code: Code.OK };

export const UNAUTHORIZED: MessageInit<Status> = {
  code: Code.UNAUTHORIZED,
  message: 'nobody is registered under this serial and epoch: register again',
};

/** @throws what is no RenderError */
export function statusOfError(error: unknown): MessageInit<Status> {
  if (!(error instanceof RenderError)) throw error;
  const code = CODES[error.code] ?? Code.INTERNAL;
  const retryAfterMs = error.retryAfterMs ?? (code === Code.EXHAUSTED ? EXHAUSTED_RETRY_MS : 0);
  return { code, message: error.message, retryAfterMs };
}
