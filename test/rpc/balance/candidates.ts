// Instances and candidates for the tests of this folder.

import type { CallOutcome, Candidate, Instance, PickRequest } from '../../../rpc/index.js';

export interface TestCandidate extends Candidate {
  instance: Instance;
  callsInFlight: number;
}

export function instance(id: string, more: Partial<Instance> = {}): Instance {
  return {
    id,
    host: '10.0.0.1',
    port: 1000,
    weight: 1,
    version: '',
    group: '',
    tags: {},
    resources: {},
    ...more,
  };
}

/** One candidate per weight, named a, b, c… or i0, i1… beyond 26. */
export function candidatesOf(...weights: number[]): TestCandidate[] {
  return weights.map((weight, at) => ({
    instance: instance(weights.length > 26 ? `i${at}` : String.fromCharCode(97 + at), { weight }),
    callsInFlight: 0,
    isConnected: true,
  }));
}

export function idOf(candidate: Candidate): string {
  return candidate.instance.id;
}

export function request(nowMs = 0, hashKey?: string): PickRequest {
  return { path: '/demo.Greeter/SayHello', hashKey, nowMs };
}

export function success(nowMs = 0, latencyMs = 1): CallOutcome {
  return { latencyMs, isFailure: false, nowMs };
}

export function failure(nowMs = 0, latencyMs = 1): CallOutcome {
  return { latencyMs, isFailure: true, nowMs };
}
