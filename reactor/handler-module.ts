// Imports a user's handler module on this thread and runs its default export.
// A reload imports it under a new version, because Node never forgets a module: the query makes it new.
// Modules that it imports itself stay cached (docs/supervision.md): what changes belongs into the handler module.

import { pathToFileURL } from 'node:url';

import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';

/** Whether handlers are given as a module, by URL or path, rather than as a value. */
export function isModule(handlers: unknown): handlers is URL | string {
  return typeof handlers === 'string' || handlers instanceof URL;
}

/** The URL of a module given by URL or file path; plain text, so that it can cross to other threads. */
export function moduleUrl(handlers: URL | string): string {
  if (handlers instanceof URL) return handlers.href;
  return /^[a-z][a-z0-9+.-]+:/i.test(handlers) ? handlers : pathToFileURL(handlers).href;
}

/**
 * Returns what the default export returned for this loop.
 * @throws ReactorError REACTOR_HANDLERS_INVALID
 */
export async function loadHandlers(
  loop: EventLoop,
  source: { readonly handlersUrl: string; readonly version: number; readonly handlerData?: unknown },
): Promise<unknown> {
  const { handlersUrl, version } = source;
  const url = new URL(handlersUrl);
  if (version > 0) url.searchParams.set('reload', String(version));
  const module = await importModule(url.href);
  if (typeof module.default !== 'function') {
    throw new ReactorError(
      'REACTOR_HANDLERS_INVALID',
      `${handlersUrl} has no default export that is a function`,
    );
  }
  try {
    return await module.default(loop, source.handlerData);
  } catch (cause) {
    if (cause instanceof ReactorError) throw cause;
    throw invalid(handlersUrl, 'its default export failed', cause);
  }
}

async function importModule(href: string): Promise<{ default?: unknown }> {
  try {
    return (await import(href)) as { default?: unknown };
  } catch (cause) {
    throw invalid(href, 'it cannot be imported', cause);
  }
}

function invalid(href: string, what: string, cause: unknown): ReactorError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ReactorError('REACTOR_HANDLERS_INVALID', `handler module ${href}: ${what}: ${reason}`, {
    cause,
  });
}
