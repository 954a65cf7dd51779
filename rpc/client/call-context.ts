// What is true of one call, whatever attempts it takes: its deadline, who may cancel it, what is sent along.
// rpc-client.ts makes it from the caller's options, the client's defaults and the call in whose handler it is made.

import type { CallOptions } from '../call.js';
import { enclosingCall } from '../call-scope.js';
import { type Executed, RpcError } from '../errors.js';
import { CALL_TIMEOUT_MS_MAX } from '../limits.js';
import { Metadata } from '../metadata.js';
import { shown } from '../option-checks.js';
import { CALL_NO_RETRY } from '../wire/call-frames.js';

export interface CallContext {
  /** When the call was made. */
  readonly begunMs: number;
  /** On the same clock; Infinity: none. */
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly signals: readonly AbortSignal[];
  readonly metadata: Metadata | null;
  readonly hashKey: string | undefined;
  /** The caller says that the call may be repeated. */
  readonly isIdempotent: boolean;
  /** Attempts further up the chain of calls; above 0 nothing is repeated here. */
  readonly previousAttempts: number;
  readonly callFlags: number;
  readonly onHeaders: ((headers: Metadata) => void) | undefined;
  readonly onTrailers: ((trailers: Metadata) => void) | undefined;
}

const NO_SIGNALS: readonly AbortSignal[] = [];
const NO_OPTIONS: CallOptions = {};

/** @throws RpcError RPC_OPTION_INVALID; RPC_DEADLINE_EXCEEDED or RPC_CANCELLED: the enclosing call is over */
export function callContext(
  options: CallOptions = NO_OPTIONS,
  defaultTimeoutMs: number,
  nowMs: number,
): CallContext {
  checkOptions(options);
  let timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  let signals: readonly AbortSignal[] = options.signal === undefined ? NO_SIGNALS : [options.signal];
  const enclosing = enclosingCall();
  let isRepetition = false;
  if (enclosing !== null) {
    enclosing.callMade();
    timeoutMs = Math.min(timeoutMs, enclosing.remainingMs());
    signals = [...signals, enclosing.signal];
    isRepetition = enclosing.isRepetition;
    if (timeoutMs <= 0) {
      throw new RpcError(
        'RPC_DEADLINE_EXCEEDED',
        'the call in whose handler this one is made has no time left',
        {
          executed: 'no',
        },
      );
    }
  }
  if (signals.some(({ aborted }) => aborted)) throw cancelled(signals.find(({ aborted }) => aborted)!, 'no');
  const hasDeadline = timeoutMs <= CALL_TIMEOUT_MS_MAX;
  return {
    begunMs: nowMs,
    timeoutMs,
    deadlineMs: hasDeadline ? nowMs + timeoutMs : Infinity,
    signals,
    metadata: options.metadata === undefined || options.metadata.size === 0 ? null : options.metadata,
    hashKey: options.hashKey,
    isIdempotent: options.idempotent === true,
    previousAttempts: isRepetition ? Math.max(1, enclosing!.previousAttempts) : 0,
    callFlags: isRepetition ? CALL_NO_RETRY : 0,
    onHeaders: options.onHeaders,
    onTrailers: options.onTrailers,
  };
}

/** Why the call was cancelled; a deadline further up stays a deadline. */
export function cancelled(signal: AbortSignal, executed: 'no' | 'unknown'): RpcError {
  const { reason } = signal as { reason: unknown };
  if (reason instanceof RpcError && reason.code === 'RPC_DEADLINE_EXCEEDED')
    return new RpcError('RPC_DEADLINE_EXCEEDED', reason.message, { cause: reason, executed });
  const why = reason instanceof Error ? reason.message : String(reason);
  return new RpcError('RPC_CANCELLED', `the call was cancelled: ${why}`, { cause: reason, executed });
}

/** Tells the caller; what its function throws is the end of this call, and not of the connection: it is returned. */
export function tellCaller(
  tell: ((metadata: Metadata) => void) | undefined,
  metadata: Metadata,
): RpcError | null {
  if (tell === undefined) return null;
  try {
    tell(metadata);
    return null;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : 'something that is no Error';
    return new RpcError('RPC_CANCELLED', `onHeaders or onTrailers of the caller failed: ${text}`, { cause });
  }
}

/** What came of an attempt, as an error of ours: code of the user's, a balancer or a codec, may throw anything. */
export function asCallError(error: unknown, path: string): RpcError {
  if (error instanceof RpcError) return error;
  const text = error instanceof Error ? error.message : 'something that is no Error';
  return new RpcError('RPC_INTERNAL', `${path} could not be sent: ${text}`, { cause: error, executed: 'no' });
}

/** The same error, but for what it says of whether the call was carried out. */
export function withExecuted(error: RpcError, executed: Executed): RpcError {
  return error.executed === executed ? error : remade(error, error.message, executed);
}

/** An error of the same kind with another text. `cause` is what is underneath, by default the error itself. */
export function remade(
  error: RpcError,
  message: string,
  executed: Executed,
  cause: RpcError | null = error,
): RpcError {
  const { code, details, trailers, retryPushbackMs } = error;
  return new RpcError(code, message, {
    executed,
    details,
    ...(cause === null ? {} : { cause }),
    ...(trailers === null ? {} : { trailers }),
    ...(retryPushbackMs === null ? {} : { retryPushbackMs }),
  });
}

/** What would otherwise fail in the middle of a call, as an error that names the option. */
function checkOptions(options: CallOptions): void {
  if (typeof options !== 'object' || options === null)
    throw invalid(`must be an object, not ${shown(options)}`);
  const { timeoutMs, signal, metadata } = options;
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0))
    throw invalid(`timeoutMs must be a number above 0, not ${shown(timeoutMs)}`);
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw invalid('signal must be an AbortSignal');
  if (metadata !== undefined && !(metadata instanceof Metadata))
    throw invalid('metadata must be a Metadata: Metadata.from({ key: value })');
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', `call option ${message}`, { executed: 'no' });
}
