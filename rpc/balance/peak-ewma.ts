// The 'peak-ewma' balancer: of two drawn by chance, the one that would answer sooner.
// score = estimated latency × (calls under way + 1) ÷ weight. The estimate is a moving average that jumps to every higher
// latency at once and forgets it with time constant tau, so that one slow answer is enough to be avoided.
// An instance nobody has asked is tried with one call at a time; one that was slow is tried again as its estimate fades,
// and each such trial uses the fading up: neither is flooded before it has answered.

import { checkNumber } from '../option-checks.js';
import type { Balancer, CallOutcome, Candidate, PickRequest } from './balancer.js';

export interface PeakEwmaOptions {
  readonly tauMs: number;
  readonly failurePenaltyMs: number;
}

/** Above every score that can be measured: for those that have a call under way and never answered. */
const UNKNOWN_SCORE = 1e12;

interface Estimate {
  /** -1 before the first answer. */
  latencyMs: number;
  answeredMs: number;
  pickedMs: number;
}

export class PeakEwmaBalancer implements Balancer {
  readonly #random: () => number;
  readonly #options: PeakEwmaOptions;
  readonly #estimates = new WeakMap<Candidate, Estimate>();
  #candidates: readonly Candidate[] | null = null;
  /** Of the candidates of `#candidates`, at the same positions. */
  #row: Estimate[] = [];

  constructor(random: () => number, options: PeakEwmaOptions) {
    checkNumber('balancer', 'tauMs', options.tauMs, { above: 0 });
    checkNumber('balancer', 'failurePenaltyMs', options.failurePenaltyMs, { min: 0 });
    this.#random = random;
    this.#options = options;
  }

  pick(candidates: readonly Candidate[], request: PickRequest): Candidate {
    if (candidates !== this.#candidates) {
      this.#candidates = candidates;
      this.#row = candidates.map((candidate) => this.#estimateOf(candidate));
    }
    const { nowMs } = request;
    const count = candidates.length;
    let chosen = Math.trunc(this.#random() * count);
    if (count > 1) {
      let other = Math.trunc(this.#random() * (count - 1));
      if (other >= chosen) other += 1;
      const scoreOfChosen = this.#score(candidates[chosen]!, this.#row[chosen]!, nowMs);
      if (this.#score(candidates[other]!, this.#row[other]!, nowMs) < scoreOfChosen) chosen = other;
    }
    this.#row[chosen]!.pickedMs = nowMs;
    return candidates[chosen]!;
  }

  finished(candidate: Candidate, outcome: CallOutcome): void {
    const { tauMs, failurePenaltyMs } = this.#options;
    const estimate = this.#estimateOf(candidate);
    // A failure that comes quickly must not look like a quick answer.
    const latencyMs = outcome.isFailure ? Math.max(outcome.latencyMs, failurePenaltyMs) : outcome.latencyMs;
    if (latencyMs >= estimate.latencyMs) {
      estimate.latencyMs = latencyMs;
    } else {
      const kept = Math.exp(-Math.max(0, outcome.nowMs - estimate.answeredMs) / tauMs);
      estimate.latencyMs = estimate.latencyMs * kept + latencyMs * (1 - kept);
    }
    estimate.answeredMs = outcome.nowMs;
  }

  /** What loses against a hedge every time never finishes: it must not stay unknown, and so attractive. */
  abandoned(candidate: Candidate, waitedMs: number, nowMs: number): void {
    const estimate = this.#estimateOf(candidate);
    if (waitedMs <= estimate.latencyMs) return;
    estimate.latencyMs = waitedMs;
    estimate.answeredMs = nowMs;
  }

  removed(candidate: Candidate): void {
    this.#estimates.delete(candidate);
  }

  #estimateOf(candidate: Candidate): Estimate {
    let estimate = this.#estimates.get(candidate);
    if (estimate === undefined) {
      estimate = { latencyMs: -1, answeredMs: 0, pickedMs: 0 };
      this.#estimates.set(candidate, estimate);
    }
    return estimate;
  }

  #score(candidate: Candidate, estimate: Estimate, nowMs: number): number {
    const { callsInFlight, instance } = candidate;
    if (estimate.latencyMs < 0)
      return callsInFlight === 0 ? 0 : (UNKNOWN_SCORE * callsInFlight) / instance.weight;
    const restedMs = nowMs - Math.max(estimate.answeredMs, estimate.pickedMs);
    const faded = restedMs > 0 ? Math.exp(-restedMs / this.#options.tauMs) : 1;
    return (estimate.latencyMs * faded * (callsInFlight + 1)) / instance.weight;
  }
}
