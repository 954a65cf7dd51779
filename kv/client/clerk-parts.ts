// What a clerk stands on besides its options: a clock, and a client for each member that it asks. REAL_PARTS are those of
// this process; a simulation brings its own, so that it plays with the clerk that programs use.

import type { KvClient } from '../proto/kv.js';
import type { CompleteClerkOptions } from './clerk-options.js';
import { MemberClients } from './member-clients.js';

export interface ClerkClock {
  /** Milliseconds that only grow, from no particular beginning. */
  nowMs(): number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. */
  after(delayMs: number, task: () => void): () => void;
  /** The same; a process does not stay for it. */
  afterIdle(delayMs: number, task: () => void): () => void;
}

/** Makes a client for each member that is asked, when it is first needed. */
export interface MemberStubs {
  /** @throws RpcError RPC_OPTION_INVALID */
  of(address: string): KvClient;
  close(drainMs: number): Promise<void>;
}

export interface ClerkParts {
  readonly clock: ClerkClock;
  readonly members: (options: CompleteClerkOptions) => MemberStubs;
}

const realClock: ClerkClock = {
  nowMs: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
  afterIdle: (delayMs, task) => {
    const timer = setTimeout(task, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

export const REAL_PARTS: ClerkParts = {
  clock: realClock,
  members: (options) => new MemberClients(options),
};
