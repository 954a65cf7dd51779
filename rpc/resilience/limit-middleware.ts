// The limits as middleware: on a server around its handlers, on a client around its calls.
// concurrency-limiter.ts and rate-limiter.ts decide; this file has the clock, the timers of those that wait, and the end
// of streams. A call that is refused was surely not executed.

import { RpcError } from '../errors.js';
import type { MethodContract } from '../contract.js';
import type { Middleware, MiddlewareRequest, MiddlewareResponse, Next } from '../middleware.js';
import { checkNumber, invalidOption } from '../option-checks.js';
import { isStreamed, untilEnd } from './answer-end.js';
import { ConcurrencyLimiter, type ConcurrencyLimitOptions } from './concurrency-limiter.js';
import { isInstanceFailure } from './instance-failure.js';
import { RateLimiter, type RateLimitOptions } from './rate-limiter.js';

const monotonicMs = (): number => performance.now();

/**
 * Lets so many calls run at once and others wait in turn.
 * @param limits options, or a limiter whose figures you want to read or that several servers share
 * @throws RpcError RPC_OPTION_INVALID
 */
export function limitConcurrency(
  limits: ConcurrencyLimitOptions | ConcurrencyLimiter = {},
  clock: () => number = monotonicMs,
): Middleware {
  const limiter = limits instanceof ConcurrencyLimiter ? limits : new ConcurrencyLimiter(limits);
  return async (request, next) => {
    if (!limiter.tryAcquire()) await turn(limiter, request, clock());
    const startMs = clock();
    return isStreamed(request)
      ? runStream(limiter, request, next, clock)
      : runUnary(limiter, request, next, clock, startMs);
  };
}

export interface CallRateOptions extends RateLimitOptions {
  /** Calls with one key share a limit: `(request) => request.call?.peer.identity ?? ''`. Default: all share one. */
  key?: (request: MiddlewareRequest) => string;
  /** Keys remembered at once; above it the one that called longest ago is forgotten. Default 10,000. */
  keysMax?: number;
}

/**
 * Refuses calls above a rate with RPC_RATE_LIMITED, and says in `retryPushbackMs` when there will be room.
 * @throws RpcError RPC_OPTION_INVALID
 */
export function limitRate(options: CallRateOptions = {}, clock: () => number = monotonicMs): Middleware {
  const { key = (): string => '', keysMax = 10_000, ...limits } = options;
  if (typeof key !== 'function') throw invalidOption('rate limit', 'key', 'must be a function');
  checkNumber('rate limit', 'keysMax', keysMax, { min: 1, whole: true });
  const limiters = new Map<string, RateLimiter>([['', new RateLimiter(limits)]]); // made now to check the options
  return async (request, next) => {
    const name = key(request);
    const limiter = limiters.get(name) ?? new RateLimiter(limits);
    limiters.delete(name);
    limiters.set(name, limiter); // the latest is last
    if (limiters.size > keysMax) limiters.delete(limiters.keys().next().value!);
    const waitMs = limiter.take(clock());
    if (waitMs === 0) return next(request);
    throw new RpcError('RPC_RATE_LIMITED', `${request.method.path}: more calls than the rate limit allows`, {
      executed: 'no',
      retryPushbackMs: Math.ceil(waitMs),
    });
  };
}

/** Gives every method a middleware of its own: `perMethod(() => limitConcurrency({ limit: 10 }))`. */
export function perMethod(make: (method: MethodContract) => Middleware): Middleware {
  const made = new Map<string, Middleware>();
  return (request, next) => {
    const { method } = request;
    let middleware = made.get(method.path);
    if (middleware === undefined) {
      middleware = make(method);
      made.set(method.path, middleware);
    }
    return middleware(request, next);
  };
}

function turn(limiter: ConcurrencyLimiter, request: MiddlewareRequest, nowMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal } = request;
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    };
    const waiter = {
      admitted: (): void => {
        settle();
        resolve();
      },
      dropped: (error: RpcError): void => {
        settle();
        reject(error);
      },
    };
    const leave = (): void => {
      settle();
      limiter.leave(waiter);
      const late = request.remainingMs() <= 0;
      const code = late ? 'RPC_DEADLINE_EXCEEDED' : 'RPC_CANCELLED';
      reject(new RpcError(code, `${request.method.path} ended while it waited its turn`, { executed: 'no' }));
    };
    const waitMs = limiter.enqueue(waiter, request.remainingMs(), nowMs); // throwing rejects
    const timer = setTimeout(() => limiter.drop(waiter), waitMs);
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
  });
}

async function runUnary(
  limiter: ConcurrencyLimiter,
  request: MiddlewareRequest,
  next: Next,
  clock: () => number,
  startMs: number,
): Promise<MiddlewareResponse> {
  let isFailure = false;
  try {
    return await next(request);
  } catch (error) {
    isFailure = !(error instanceof RpcError) || isInstanceFailure(error);
    throw error;
  } finally {
    const nowMs = clock();
    limiter.release(nowMs - startMs, isFailure, nowMs);
  }
}

async function runStream(
  limiter: ConcurrencyLimiter,
  request: MiddlewareRequest,
  next: Next,
  clock: () => number,
): Promise<MiddlewareResponse> {
  const release = (): void => limiter.release(null, false, clock());
  let response: MiddlewareResponse;
  try {
    response = await next(request);
  } catch (error) {
    release();
    throw error;
  }
  return untilEnd(request, response, release);
}
