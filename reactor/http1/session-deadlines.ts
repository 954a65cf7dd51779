// Which deadline of an HTTP connection comes next: for the head, the whole request, the answer, or the next request.
// session.ts asks when its timer is armed and when it fires, never per request. Pure: times are arguments.

import type { Http1Limits } from './options.js';

/** Times are those of the loop's clock, in ms. */
export interface SessionActivity {
  /** A request line or header has begun and is not whole. */
  readonly isHeadUnderWay: boolean;
  /** A body is being received. */
  readonly isBodyUnderWay: boolean;
  /** When that request began. */
  readonly requestSinceMs: number;
  /** When the oldest request without an answer was given to its handler; null: there is none. */
  readonly unansweredSinceMs: number | null;
  /** Answers are being sent, or wait for it. */
  readonly isAnswering: boolean;
  /** When the connection was last used. */
  readonly idleSinceMs: number;
  /** A first request has come: before it, the time for headers counts. */
  readonly wasHeard: boolean;
}

export type SessionDeadlineKind = 'head' | 'request' | 'answer' | 'idle';

export interface SessionDeadline {
  readonly kind: SessionDeadlineKind;
  /** Infinity: none counts now. */
  readonly atMs: number;
}

export function nextSessionDeadline(activity: SessionActivity, limits: Http1Limits): SessionDeadline {
  const { headersTimeoutMs, requestTimeoutMs, answerTimeoutMs, keepAliveTimeoutMs } = limits;
  const { requestSinceMs, unansweredSinceMs } = activity;
  if (activity.isHeadUnderWay) {
    const timeoutMs = Math.min(orForever(headersTimeoutMs), orForever(requestTimeoutMs));
    return { kind: 'head', atMs: requestSinceMs + timeoutMs };
  }
  const answer = unansweredSinceMs === null ? Infinity : unansweredSinceMs + orForever(answerTimeoutMs);
  const request = activity.isBodyUnderWay ? requestSinceMs + orForever(requestTimeoutMs) : Infinity;
  if (answer < request) return { kind: 'answer', atMs: answer };
  if (activity.isBodyUnderWay || activity.isAnswering) return { kind: 'request', atMs: request };
  const idleTimeoutMs = activity.wasHeard ? keepAliveTimeoutMs : headersTimeoutMs;
  return { kind: 'idle', atMs: activity.idleSinceMs + orForever(idleTimeoutMs) };
}

/** Looking this often is never too late, whatever a connection begins to wait for meanwhile. Infinity: never. */
export function shortestTimeoutMs(limits: Http1Limits): number {
  const { headersTimeoutMs, requestTimeoutMs, answerTimeoutMs, keepAliveTimeoutMs } = limits;
  return Math.min(
    ...[headersTimeoutMs, requestTimeoutMs, answerTimeoutMs, keepAliveTimeoutMs].map(orForever),
  );
}

function orForever(timeoutMs: number): number {
  return timeoutMs === 0 ? Infinity : timeoutMs;
}
