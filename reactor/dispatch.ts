// Chooses the sub-reactor that gets a new connection. Pure: loads come in, a thread number goes out.
// hand-off.ts asks it for every connection the main reactor accepts.

import { ReactorError } from './errors.js';

/** A sub-reactor that can take a connection now. */
export interface ThreadLoad {
  readonly thread: number;
  /** Connections it holds, those on their way included. */
  readonly connections: number;
}

export interface PeerAddress {
  /** undefined for Unix sockets. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/**
 * Returns the position of its choice in `candidates`, which is never empty and is ordered by thread; threads
 * that restart are left out. A custom function may return any integer: it counts modulo the length.
 */
export type DispatchFunction = (candidates: readonly ThreadLoad[], peer: PeerAddress) => number;

/** The policies that have a name. */
export const DISPATCH_POLICIES = ['round-robin', 'least-connections', 'hash'] as const;
export type DispatchName = (typeof DISPATCH_POLICIES)[number];

export type DispatchPolicy = DispatchName | DispatchFunction;

/** @throws ReactorError REACTOR_OPTION_INVALID */
export function createDispatch(policy: DispatchPolicy): DispatchFunction {
  if (typeof policy === 'function') return policy;
  switch (policy) {
    case 'round-robin':
      return roundRobin();
    case 'least-connections':
      return leastConnections;
    case 'hash':
      return (candidates, peer) => hashOf(peer.address ?? '') % candidates.length;
    default:
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        `dispatch must be one of ${DISPATCH_POLICIES.join(', ')} or a function, not ${String(policy satisfies never)}`,
      );
  }
}

/** Goes by thread number, so that a thread that is missing for a while does not shift the others' turns. */
function roundRobin(): DispatchFunction {
  let next = 0;
  return (candidates) => {
    const position = candidates.findIndex(({ thread }) => thread >= next);
    const chosen = position === -1 ? 0 : position;
    next = candidates[chosen]!.thread + 1;
    return chosen;
  };
}

function leastConnections(candidates: readonly ThreadLoad[]): number {
  let chosen = 0;
  for (let position = 1; position < candidates.length; position += 1) {
    if (candidates[position]!.connections < candidates[chosen]!.connections) chosen = position;
  }
  return chosen;
}

/** FNV-1a, so that one address always meets the same thread while the set of threads stays the same. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let position = 0; position < text.length; position += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(position), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
