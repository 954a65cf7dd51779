// Which failures are the instance's own: those that outlier detection, breakers and balancers hear of.
// An answer such as NOT_FOUND, or a handler that threw, would have come from every other instance too.

import type { RpcError, RpcErrorCode } from '../errors.js';
import type { StatusName } from '../status.js';

const BLAMED: ReadonlySet<StatusName> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
  'DATA_LOSS',
]);

/** Of those statuses, but not the instance's fault. */
const NOT_BLAMED: ReadonlySet<RpcErrorCode> = new Set<RpcErrorCode>([
  'RPC_SHUTTING_DOWN', // it said so in time: draining, not broken
  'RPC_RATE_LIMITED', // the caller's quota
  'RPC_MESSAGE_TOO_LARGE', // the caller's message
  'RPC_METADATA_TOO_LARGE',
  'RPC_NO_INSTANCE', // no instance was asked
  'RPC_ALL_EJECTED',
  'RPC_ALL_CONNECTING',
  'RPC_BREAKER_OPEN',
  'RPC_RESOLVE_FAILED',
  'RPC_LIST_STALE',
  'RPC_REGISTRY_FULL', // it serves those it has
]);

/** For `CallOutcome.isFailure`. */
export function isInstanceFailure({ code, status, executed }: RpcError): boolean {
  if (code === 'RPC_CONNECTION_LOST' && executed === 'no') return false; // renewed because of its age
  return BLAMED.has(status) && !NOT_BLAMED.has(code);
}
