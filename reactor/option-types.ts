// What kind of value each option takes, judged where the user gives it: a wrong one would fail later and elsewhere.
// server.ts, reactor-options.ts, udp-server.ts and tcp-client.ts list their options. Pure.

import { ReactorError } from './errors.js';
import { isModule } from './handler-module.js';

export type OptionKind = 'boolean' | 'number' | 'object' | 'string';

/** Options that were left out are right. @throws ReactorError REACTOR_OPTION_INVALID naming the option. */
export function checkOptionTypes<Options extends object>(
  options: Options,
  kinds: { readonly [Name in keyof Options]?: OptionKind },
): void {
  const listed = kinds as Readonly<Record<string, OptionKind>>; // a name that is not listed is not there
  for (const [name, kind] of Object.entries(listed)) {
    const value: unknown = options[name as keyof Options];
    if (value === undefined || (typeof value === kind && value !== null)) continue;
    const article = kind === 'object' ? 'an' : 'a';
    throw invalid(`${name} must be ${article} ${kind}, not ${kindOf(value)}`);
  }
}

/** A module, a function or handlers: which of them may be given is the caller's to say. @throws as above */
export function checkHandlersOption(handlers: unknown): void {
  if (handlers === '') throw invalid('handlers must be the URL or path of a module, not empty');
  if (isModule(handlers) || typeof handlers === 'function') return;
  if (typeof handlers === 'object' && handlers !== null) return;
  throw invalid(`handlers must be the URL or path of a module, not ${kindOf(handlers)}`);
}

/** What was given instead, for messages. */
export function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
