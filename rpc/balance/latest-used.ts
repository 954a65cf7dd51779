// The 'latest-used' balancer, the design notes' "most recently received": stays with the instance that answered well last.
// Keeps one instance's caches warm and its connection busy; spreads nothing while that instance is well.

import type { Balancer, CallOutcome, Candidate } from './balancer.js';

export class LatestUsedBalancer implements Balancer {
  readonly #random: () => number;
  /** Candidates that answered well and did not fail since, the latest last. */
  readonly #good = new Set<Candidate>();
  #latest: Candidate | null = null;
  #chosen: Candidate | null = null;
  #candidates: readonly Candidate[] | null = null;

  constructor(random: () => number) {
    this.#random = random;
  }

  pick(candidates: readonly Candidate[]): Candidate {
    if (candidates === this.#candidates && this.#chosen !== null) return this.#chosen;
    this.#candidates = candidates;
    this.#chosen = this.#latestOf(candidates);
    return this.#chosen;
  }

  finished(candidate: Candidate, outcome: CallOutcome): void {
    if (outcome.isFailure) return this.#forget(candidate);
    if (candidate === this.#latest) return;
    this.#good.delete(candidate);
    this.#good.add(candidate);
    this.#latest = candidate;
    this.#chosen = null;
  }

  removed(candidate: Candidate): void {
    this.#forget(candidate);
  }

  #forget(candidate: Candidate): void {
    this.#good.delete(candidate);
    if (this.#latest === candidate) this.#latest = null;
    this.#chosen = null;
  }

  /** Without any that answered well, one by chance: clients that start together do not choose the same. */
  #latestOf(candidates: readonly Candidate[]): Candidate {
    const allowed = new Set(candidates);
    let latest: Candidate | undefined;
    for (const candidate of this.#good) if (allowed.has(candidate)) latest = candidate;
    return latest ?? candidates[Math.trunc(this.#random() * candidates.length)]!;
  }
}
