// The 'smooth-weighted-round-robin' balancer, nginx's: weights 5, 1, 1 give A A B A C A A and not A A A A A B C.
// At each turn every candidate earns its weight; the richest is chosen and pays the sum of all. In one cycle (the sum of
// whole-number weights) each is chosen exactly as often as its weight says. What a candidate has earned stays with it
// when the list changes. Equal weights need none of this and cost a round robin.

import type { Balancer, Candidate } from './balancer.js';
import { RoundRobinBalancer } from './round-robin.js';
import { haveEqualWeights } from './weighted-sampler.js';

export class SmoothWeightedBalancer implements Balancer {
  readonly #equal: RoundRobinBalancer;
  /** What candidates that are not in the present array had earned. */
  readonly #saved = new WeakMap<Candidate, number>();
  #candidates: readonly Candidate[] = [];
  #areEqual = true;
  #weights: Float64Array = new Float64Array(0);
  #earned: Float64Array = new Float64Array(0);
  #weightTotal = 0;

  constructor(random: () => number) {
    this.#equal = new RoundRobinBalancer(random);
  }

  pick(candidates: readonly Candidate[]): Candidate {
    if (candidates !== this.#candidates) this.#take(candidates);
    if (this.#areEqual) return this.#equal.pick(candidates);
    const weights = this.#weights;
    const earned = this.#earned;
    let chosen = 0;
    let most = -Infinity;
    for (let at = 0; at < earned.length; at += 1) {
      const now = earned[at]! + weights[at]!;
      earned[at] = now;
      if (now > most) {
        most = now;
        chosen = at;
      }
    }
    earned[chosen] = most - this.#weightTotal;
    return candidates[chosen]!;
  }

  #take(candidates: readonly Candidate[]): void {
    if (!this.#areEqual) {
      for (const [at, candidate] of this.#candidates.entries()) this.#saved.set(candidate, this.#earned[at]!);
    }
    this.#candidates = candidates;
    this.#areEqual = haveEqualWeights(candidates);
    if (this.#areEqual) return;
    this.#weights = Float64Array.from(candidates, ({ instance }) => instance.weight);
    this.#earned = Float64Array.from(candidates, (candidate) => this.#saved.get(candidate) ?? 0);
    this.#weightTotal = this.#weights.reduce((sum, weight) => sum + weight, 0);
  }
}
