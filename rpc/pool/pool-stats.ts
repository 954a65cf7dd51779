// What a host pool says of itself, for metrics and the status page.

import type { RpcError } from '../errors.js';

export type HostPoolState =
  | 'idle' // no connection, and none is being made
  | 'connecting' // no connection yet, a dial is under way
  | 'ready' // has connections that take calls
  | 'backoff' // no connection; the last dial failed and the next is due later
  | 'quarantine' // many failures at once: nobody is served until the clean-up is done
  | 'leaving' // not listed any more: finishes its calls
  | 'closed';

export interface HostPoolStats {
  readonly instanceId: string;
  readonly state: HostPoolState;
  /** Connections that exist: open, lent, verifying and draining. */
  readonly connections: number;
  readonly lent: number;
  readonly verifying: number;
  readonly draining: number;
  readonly dialling: number;
  readonly callsInFlight: number;
  readonly waiting: number;
  /** Milliseconds until the host may be dialled again; 0: now. */
  readonly backoffMs: number;
  readonly lastError: RpcError | null;
  /** Counts since the host pool was made. */
  readonly totals: Readonly<HostPoolTotals>;
}

export interface HostPoolTotals {
  dials: number;
  dialsFailed: number;
  /** Connections that ended with an error. */
  lost: number;
  /** Closed because nobody used them. */
  idled: number;
  /** Replaced because of their age. */
  expired: number;
  verified: number;
  quarantines: number;
  /** Acquires that had to wait, and how those ended that got nothing. */
  waited: number;
  timedOut: number;
  refused: number;
}

export function zeroTotals(): HostPoolTotals {
  return {
    dials: 0,
    dialsFailed: 0,
    lost: 0,
    idled: 0,
    expired: 0,
    verified: 0,
    quarantines: 0,
    waited: 0,
    timedOut: 0,
    refused: 0,
  };
}
