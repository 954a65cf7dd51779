// The one check that what a handler module returned has the shape of handlers, for TCP and UDP alike.
// router.ts and udp-handlers.ts call it where their router is made; after it the types hold.

import { ReactorError } from './errors.js';
import { kindOf } from './option-types.js';

const MSG_ID_MAX = 0xffff_ffff;

/** @throws ReactorError REACTOR_HANDLERS_INVALID naming the member that is wrong. */
export function checkHandlerShape(handlers: unknown, hooks: readonly string[]): void {
  if (typeof handlers !== 'object' || handlers === null) {
    throw invalid(`the handler module must return an object of handlers, not ${kindOf(handlers)}`);
  }
  const members = handlers as Readonly<Record<string, unknown>>; // whatever it is, it is an object
  checkOnFrame(members['onFrame']);
  for (const hook of hooks) {
    const value = members[hook];
    if (value !== undefined && typeof value !== 'function') throw invalid(`${hook} must be a function`);
  }
}

function checkOnFrame(onFrame: unknown): void {
  if (onFrame === undefined || typeof onFrame === 'function') return;
  if (typeof onFrame !== 'object' || onFrame === null) {
    throw invalid(`onFrame must be a function or an object by msgId, not ${kindOf(onFrame)}`);
  }
  for (const [key, handler] of Object.entries(onFrame)) {
    const msgId = Number(key);
    // Compared as text too: Number('') is 0 and Number('0x10') is 16, and neither was meant.
    if (!Number.isInteger(msgId) || msgId < 0 || msgId > MSG_ID_MAX || String(msgId) !== key) {
      throw invalid(`onFrame has the key '${key}'; message ids are integers from 0 to ${MSG_ID_MAX}`);
    }
    if (typeof handler !== 'function') throw invalid(`onFrame[${key}] must be a function`);
  }
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_HANDLERS_INVALID', message);
}
