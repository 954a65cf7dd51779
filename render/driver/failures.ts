// What a status of the contract, or a failed call, means to those who ask: one RenderError, and whether asking again may help.
// Everything in render/driver that calls the main node words its failures here. Pure.

import { type RpcClient, RpcError, type RpcErrorCode } from '../../rpc/index.js';
import { RenderError, type RenderErrorCode } from '../errors.js';
import { Code, type Status } from '../proto/render.js';

const OF_STATUS: Readonly<Record<Exclude<Code, typeof Code.OK>, RenderErrorCode>> = {
  [Code.UNAUTHORIZED]: 'RENDER_UNAUTHORIZED',
  [Code.OVERLOAD]: 'RENDER_OVERLOAD',
  [Code.TIMEOUT]: 'RENDER_TIMEOUT',
  [Code.NOT_FOUND]: 'RENDER_NOT_FOUND',
  [Code.INVALID_ARGUMENT]: 'RENDER_REQUEST_INVALID',
  [Code.CANCELED]: 'RENDER_CANCELED',
  [Code.EXHAUSTED]: 'RENDER_IDS_EXHAUSTED',
  [Code.UNAVAILABLE]: 'RENDER_UNAVAILABLE',
  [Code.INTERNAL]: 'RENDER_FAILED',
  [Code.VERSION_MISMATCH]: 'RENDER_VERSION_MISMATCH',
  [Code.PARTIAL]: 'RENDER_PARTIAL',
};

/** The error that a status tells; null for OK. A main node that sends none has sent OK. */
export function errorOfStatus(status: Status | undefined): RenderError | null {
  if (status === undefined || status.code === Code.OK) return null;
  const { code, message, retryAfterMs } = status;
  const known: RenderErrorCode | undefined = OF_STATUS[code];
  const text = message === '' ? `the main node answered ${nameOf(code)}` : message;
  return new RenderError(known ?? 'RENDER_FAILED', text, retryAfterMs > 0 ? { retryAfterMs } : {});
}

/** `PARTIAL`; the number where a newer main node knows more codes. */
export function nameOf(code: Code): string {
  return Object.entries(Code).find(([, value]) => value === code)?.[0] ?? `code ${String(code)}`;
}

const OF_CALL: Readonly<Partial<Record<RpcErrorCode | RpcError['status'], RenderErrorCode>>> = {
  RPC_CLOSED: 'RENDER_CLOSED',
  RPC_MESSAGE_TOO_LARGE: 'RENDER_REQUEST_TOO_LARGE',
  RPC_MESSAGE_INVALID: 'RENDER_MESSAGE_INVALID',
  RPC_OPTION_INVALID: 'RENDER_OPTION_INVALID',
  CANCELLED: 'RENDER_CANCELED',
  INVALID_ARGUMENT: 'RENDER_REQUEST_INVALID',
  DEADLINE_EXCEEDED: 'RENDER_TIMEOUT',
  NOT_FOUND: 'RENDER_NOT_FOUND',
  PERMISSION_DENIED: 'RENDER_UNAUTHORIZED',
  UNAUTHENTICATED: 'RENDER_UNAUTHORIZED',
  RESOURCE_EXHAUSTED: 'RENDER_OVERLOAD',
  FAILED_PRECONDITION: 'RENDER_STATE',
  UNAVAILABLE: 'RENDER_UNAVAILABLE',
};

/** What a failed call tells; everything else passes unchanged. */
export function errorOfCall(error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  const known = OF_CALL[error.code] ?? OF_CALL[error.status] ?? 'RENDER_FAILED';
  // What surely never got there within its time says nothing of how long it would have taken.
  const code = known === 'RENDER_TIMEOUT' && error.executed === 'no' ? 'RENDER_UNAVAILABLE' : known;
  const retryAfterMs = error.retryPushbackMs ?? 0;
  return new RenderError(code, error.message, {
    cause: error,
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  });
}

/** Whether no answer came at all: the main node was not reached, was lost, or is going away, or the time was over. */
export function isUnanswered(error: unknown): error is RpcError {
  // RPC_UNAVAILABLE is an answer: somebody behind the main node is away.
  if (!(error instanceof RpcError) || error.code === 'RPC_UNAVAILABLE') return false;
  return ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED'].includes(error.status);
}

/** Of an action that got no answer, and may have been carried out. */
export function unknownOutcome(error: RpcError): RenderError {
  const { code, message } = errorOfCall(error) as RenderError; // which it makes of every RpcError
  return new RenderError(code, `${message}; whether it was done is unknown, look before asking again`, {
    cause: error,
  });
}

/** The error with why there is no connection, where it says no more than that there is none. */
export function withReason(error: unknown, rpc: RpcClient): unknown {
  if (!(error instanceof RenderError && error.cause instanceof RpcError)) return error;
  if (error.cause.code !== 'RPC_ALL_CONNECTING') return error;
  const reason = rpc.figures().hosts.find(({ lastError }) => lastError !== null)?.lastError;
  if (reason == null) return error;
  return new RenderError(error.code, `${error.message}: ${reason.message}`, { cause: reason });
}

/** Whether the main node may answer otherwise in a moment: it was not reached, or is going away. */
export function isPassing(error: unknown): boolean {
  return error instanceof RenderError && error.code === 'RENDER_UNAVAILABLE';
}
