// A value that does not fit its field, on its way out of nested messages: each level puts its step before the path.
// encoder.ts, decoder.ts and json-mapping.ts throw it; their doors turn it into an RpcError RPC_MESSAGE_INVALID.

import { RpcError } from '../errors.js';

export class FieldError extends Error {
  /** `items[3].price`; empty for the message itself. */
  path: string;

  constructor(path: string, reason: string) {
    super(reason);
    this.path = path;
  }
}

/** Puts `step` before the path of a FieldError; other errors pass. */
export function at(error: unknown, step: string): unknown {
  if (error instanceof FieldError) {
    error.path =
      error.path === '' ? step : error.path.startsWith('[') ? step + error.path : `${step}.${error.path}`;
  }
  return error;
}

/** What stands at the wrong place, for people: never long, never secret bytes. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 40 ? `a string of ${value.length}` : JSON.stringify(value);
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      return `${value}n`;
    case 'object':
      if (value === null) return 'null';
      if (Array.isArray(value)) return 'an array';
      return value instanceof Uint8Array ? 'bytes' : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

/** Turns what encoding or decoding threw into the error callers know. */
export function messageInvalid(error: unknown, typeName: string, verb: string): RpcError {
  if (!(error instanceof FieldError)) {
    // A getter of the caller's object threw, or memory ran out: no more can be said.
    const reason = error instanceof Error ? error.message : String(error);
    return new RpcError('RPC_MESSAGE_INVALID', `cannot ${verb} ${typeName}: ${reason}`, { cause: error });
  }
  const where = error.path === '' ? typeName : `${typeName}: ${error.path}`;
  return new RpcError('RPC_MESSAGE_INVALID', `cannot ${verb} ${where}: ${error.message}`);
}
