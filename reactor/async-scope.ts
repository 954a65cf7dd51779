// Async scopes for user code: what one handler enters into an AsyncLocalStorage, the next one does not see.
// connection.ts opens one for every delivery of frames, handler-calls.ts for every hook, http1/session.ts for every
// request, task-runner.ts for every task. Node has one for each call out of libuv, and ours bring news of many: a batch
// of the native transport, a turn of the event loop.

import { AsyncResource } from 'node:async_hooks';

const NAME = 'ReactorNet';
/** Nobody is told when a scope ends: it lasts as long as something that was begun in it. */
const OPTIONS = { requireManualDestroy: true };

/** What is entered where this is called. Only for `inOwnScope`: run directly in it, user code would enter into it. */
export function captureContext(): AsyncResource {
  return new AsyncResource(NAME, OPTIONS);
}

/** What was entered when this module was loaded, which is nothing as a rule: for what was begun on another thread. */
export const NOBODYS_CONTEXT: AsyncResource = captureContext();

/**
 * Calls `run` in a scope of its own, which starts with what is entered in `context`. Some 50 ns. Arguments save a
 * closure for each call.
 */
export function inOwnScope<A extends unknown[], R>(
  context: AsyncResource,
  run: (...args: A) => R,
  ...args: A
): R {
  return context.runInAsyncScope(captureContext).runInAsyncScope(run, undefined, ...args);
}
