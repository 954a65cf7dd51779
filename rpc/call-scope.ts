// The call that the running code answers, so that what it calls in turn inherits its deadline and its cancellation.
// server/server-stream.ts enters handlers into it; client/ asks. One per thread, by AsyncLocalStorage.

import { AsyncLocalStorage } from 'node:async_hooks';

import type { ServerCall } from './call.js';

/** What a call made inside a handler inherits. */
export interface EnclosingCall extends ServerCall {
  /** It is itself a repetition, or part of one: what it calls is not repeated. */
  readonly isRepetition: boolean;
  /** A call is made inside its handler. */
  callMade(): void;
}

const scope = new AsyncLocalStorage<EnclosingCall | null>();

/** The call whose handler runs here; null outside of handlers. */
export function enclosingCall(): EnclosingCall | null {
  return scope.getStore() ?? null;
}

/** Runs `handler(first, second)` as part of `call`. */
export function runInCall<A, B, R>(
  call: EnclosingCall,
  handler: (first: A, second: B) => R,
  first: A,
  second: B,
): R {
  return scope.run(call, handler, first, second);
}

/** Runs `work` outside of any call: what it calls has deadlines of its own. */
export function detached<R>(work: () => R): R {
  return scope.run(null, work);
}
