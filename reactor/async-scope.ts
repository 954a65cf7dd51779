// Async scopes for user code: what one handler enters into an AsyncLocalStorage, the next one does not see.
// connection.ts opens one for every delivery of frames, handler-calls.ts for every hook, http1/session.ts for every
// request, task-runner.ts for every task. Node has one for each call out of libuv, and ours bring news of many: a batch
// of the native transport, a turn of the event loop.

import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

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

/** What is entered where a service or a client is made; its handlers start with it. */
export class HandlerContext extends AsyncResource {
  /** Nothing is. */
  readonly isEmpty: boolean;

  constructor() {
    super(NAME, OPTIONS);
    this.isEmpty = !hasEntries(this);
  }
}

/**
 * The scope that one call out of libuv comes with, watched: as long as no handler has entered anything, they may all
 * run in it as it is. Once one has, each gets a scope of its own from then on. `resource` is to be its async resource.
 */
export class BatchScope {
  readonly resource: object;
  readonly #entries: Record<PropertyKey, unknown> = {};
  #isUntouched = CLINGS_TO_RESOURCE;

  constructor() {
    this.resource = new Proxy(this.#entries, {
      set: (entries, key, value): boolean => {
        this.#isUntouched = false;
        return Reflect.set(entries, key, value);
      },
    });
  }

  /** The resource is in use: what was entered where that happened is none of the handlers' business. */
  begin(): void {
    this.#clear();
    this.#isUntouched = CLINGS_TO_RESOURCE;
  }

  /** Whether handlers that start with what is entered in `context` may run in it. */
  suits(context: HandlerContext): boolean {
    return this.#isUntouched && context.isEmpty;
  }

  /** Such handlers have run. */
  leave(): void {
    if (!this.#isUntouched) this.#clear();
  }

  #clear(): void {
    for (const key of Reflect.ownKeys(this.#entries)) delete this.#entries[key];
  }
}

/**
 * An AsyncLocalStorage keeps what is entered on the async resource that runs, and so we hear of it. From Node 24 on it
 * does not: nothing is shared there.
 */
const CLINGS_TO_RESOURCE = '_propagate' in AsyncLocalStorage.prototype;

/** Of an AsyncResource that nothing was run in. Its ids differ from those of one that is made in it, stores do not. */
function hasEntries(resource: AsyncResource): boolean {
  const inner = resource.runInAsyncScope(captureContext) as unknown as Record<PropertyKey, unknown>;
  const outer = resource as unknown as Record<PropertyKey, unknown>; // by symbols that have no other name
  return Object.getOwnPropertySymbols(outer).some(
    (key) => outer[key] !== undefined && Object.is(outer[key], inner[key]),
  );
}
