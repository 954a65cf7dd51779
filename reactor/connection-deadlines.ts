// When a peer has been waited for long enough: which deadlines count in a state, and which comes first.
// connection.ts asks when it arms its timer and when that fires, never per frame.
// Pure: every time comes in as an argument, so a test needs neither a clock nor a socket.

import type { ConnectionState } from './connection.js';
import type { ConnectionTimeouts } from './connection-host.js';
import type { CloseReason } from './handlers.js';
import { LINGER_MS } from './limits.js';

export type DeadlineReason = Extract<CloseReason, `${string}-timeout`>;

/** What a connection's deadlines depend on. Times are those of its loop's clock, in milliseconds. */
export interface ConnectionActivity {
  readonly state: ConnectionState;
  /** Start of the handshake, later of the drain. */
  readonly stateSinceMs: number;
  /** When the peer was last heard, or could first be heard again. */
  readonly lastReadMs: number;
  /** When the kernel last took output, or began not to. */
  readonly lastWriteMs: number;
  /** At least one byte has come. */
  readonly wasHeard: boolean;
  /** Nobody listens: the peer's silence means nothing. */
  readonly isPaused: boolean;
  /** The kernel has not taken everything it was given. */
  readonly isBehind: boolean;
  /** The server closes and the peer has got everything: its FIN is not waited for much longer. */
  readonly isLingering: boolean;
}

/** When to look again; Infinity when no deadline counts now. */
export function nextDeadlineMs(activity: ConnectionActivity, timeouts: ConnectionTimeouts): number {
  let nextMs = Infinity;
  for (const [, dueMs] of deadlines(activity, timeouts)) if (dueMs < nextMs) nextMs = dueMs;
  return nextMs;
}

/** The deadline that has passed, or null. Of several it is the one that `deadlines` lists first. */
export function passedDeadline(
  activity: ConnectionActivity,
  timeouts: ConnectionTimeouts,
  nowMs: number,
): DeadlineReason | null {
  return deadlines(activity, timeouts).find(([, dueMs]) => dueMs <= nowMs)?.[0] ?? null;
}

function deadlines(
  activity: ConnectionActivity,
  timeouts: ConnectionTimeouts,
): [reason: DeadlineReason, dueMs: number][] {
  const { state, stateSinceMs, lastReadMs, lastWriteMs } = activity;
  const found: [DeadlineReason, number][] = [];
  const add = (reason: DeadlineReason, sinceMs: number, timeoutMs: number): void => {
    if (timeoutMs > 0) found.push([reason, sinceMs + timeoutMs]);
  };
  if (state === 'connecting') add('handshake-timeout', stateSinceMs, timeouts.handshakeTimeoutMs);
  if (state === 'draining') {
    add('drain-timeout', stateSinceMs, activity.isLingering ? LINGER_MS : timeouts.drainTimeoutMs);
  }
  if (state === 'open' || state === 'half-closed') {
    add('idle-timeout', Math.max(lastReadMs, lastWriteMs), timeouts.idleTimeoutMs);
  }
  if (state === 'open' && !activity.isPaused) {
    if (!activity.wasHeard) add('first-byte-timeout', lastReadMs, timeouts.firstByteTimeoutMs);
    add('read-timeout', lastReadMs, timeouts.readTimeoutMs);
  }
  if (activity.isBehind) add('write-timeout', lastWriteMs, timeouts.writeTimeoutMs);
  return found;
}
