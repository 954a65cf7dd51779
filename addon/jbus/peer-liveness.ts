// Whether the peer lives, from what is known of it. Pure: facts and the time come in.
// A process is alive when its pid and start time are found; a heartbeat that is late only means that it is busy or
// stopped, for a peer may compute for minutes. A process that is not found may live in another pid namespace: it is
// gone when its heartbeat is late as well.

import type { PeerFacts } from './link.js';

/** 'unknown': it has not come yet. 'stalled': it lives, or seems to, and has been silent for three heartbeats. */
export type PeerState = 'unknown' | 'alive' | 'stalled' | 'gone';

const BEATS_UNTIL_STALLED = 3;

/** @param heardMs when anything last came from the peer; for backings without heartbeats in memory. */
export function judgePeer(facts: PeerFacts, nowMs: number, heartbeatMs: number, heardMs: number): PeerState {
  const silentBeats = (nowMs - Math.max(facts.heartbeatMs, heardMs)) / heartbeatMs;
  if (facts.isAlive === false) return silentBeats >= 1 ? 'gone' : 'alive';
  if (facts.isAlive === undefined && heardMs === 0) return 'unknown';
  const hasBeaten = facts.heartbeatMs > 0 || facts.isAlive === undefined;
  return hasBeaten && silentBeats >= BEATS_UNTIL_STALLED ? 'stalled' : 'alive';
}
