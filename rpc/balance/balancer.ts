// What a balancer is: it chooses one of the instances that may be chosen, and is told how the calls went.
// Pure: time and chance come in; who is ejected, draining or already tried was taken out before it is asked.
// client/ keeps the candidates up to date; a user's own class may be a balancer.

import type { Instance } from '../instance.js';

/** An instance with what the client knows of it now. One object per instance for as long as it is listed. */
export interface Candidate {
  readonly instance: Instance;
  /** Calls of this client under way on it. */
  readonly callsInFlight: number;
  /** It has a connection that can take a call at once. */
  readonly isConnected: boolean;
}

export interface PickRequest {
  readonly path: string;
  readonly hashKey: string | undefined;
  readonly nowMs: number;
}

export interface CallOutcome {
  readonly latencyMs: number;
  /** The instance is to blame: unreachable, overloaded, broken; not an application's NOT_FOUND. */
  readonly isFailure: boolean;
  readonly nowMs: number;
}

export interface Balancer {
  /** One of `candidates`, which has at least one; the same array as long as nothing has changed. */
  pick(candidates: readonly Candidate[], request: PickRequest): Candidate;
  /** An attempt on `candidate` has ended. */
  finished?(candidate: Candidate, outcome: CallOutcome): void;
  /** An attempt on `candidate` was given up after `waitedMs` without an answer: it would have taken longer. */
  abandoned?(candidate: Candidate, waitedMs: number, nowMs: number): void;
  /** The instance is not listed any more: forget it. */
  removed?(candidate: Candidate): void;
}

/** @param random uniform in [0, 1) */
export type BalancerFactory = (random: () => number) => Balancer;
