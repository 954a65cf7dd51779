// The 'smooth-weighted-round-robin' balancer, nginx's: weights 5, 1, 1 give A A B A C A A and not A A A A A B C.
// At each turn every candidate earns its weight; the richest is chosen and pays the sum of all. In one cycle (the sum of
// whole-number weights) each is chosen exactly as often as its weight says. What a candidate has earned stays with it
// when the list changes. A turn looks at every candidate; so the turns of a cycle are noted, and once everybody has again
// what it began with, they are repeated. Equal weights need none of this and cost a round robin.

import type { Balancer, Candidate } from './balancer.js';
import { RoundRobinBalancer } from './round-robin.js';
import { haveEqualWeights } from './weighted-sampler.js';

/** Longer cycles are not noted: 16 KiB per service and client thread. */
const CYCLE_MAX = 8192;

export class SmoothWeightedBalancer implements Balancer {
  readonly #equal: RoundRobinBalancer;
  /** What candidates that are not in the present array had earned. */
  readonly #saved = new WeakMap<Candidate, number>();
  #candidates: readonly Candidate[] = [];
  #areEqual = true;
  #weights: Float64Array = new Float64Array(0);
  #weightTotal = 0;
  #earned: Float64Array = new Float64Array(0);
  /** What was earned when the noted cycle began. */
  #earnedBefore: Float64Array = new Float64Array(0);
  /** The turns of one cycle, as positions; empty when there is no cycle short enough. */
  #cycle: Uint16Array = new Uint16Array(0);
  #cycleAt = 0;
  #isRepeating = false;

  constructor(random: () => number) {
    this.#equal = new RoundRobinBalancer(random);
  }

  pick(candidates: readonly Candidate[]): Candidate {
    if (candidates !== this.#candidates) this.#take(candidates);
    if (this.#areEqual) return this.#equal.pick(candidates);
    if (!this.#isRepeating) return candidates[this.#turn()]!;
    const at = this.#cycleAt;
    this.#cycleAt = at + 1 === this.#cycle.length ? 0 : at + 1;
    return candidates[this.#cycle[at]!]!;
  }

  #turn(): number {
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
    if (this.#cycle.length > 0) this.#note(chosen);
    return chosen;
  }

  #note(chosen: number): void {
    this.#cycle[this.#cycleAt] = chosen;
    this.#cycleAt += 1;
    if (this.#cycleAt < this.#cycle.length) return;
    this.#cycleAt = 0;
    const before = this.#earnedBefore;
    this.#isRepeating = this.#earned.every((amount, at) => amount === before[at]);
    this.#earnedBefore.set(this.#earned);
  }

  #take(candidates: readonly Candidate[]): void {
    if (!this.#areEqual) this.#save();
    this.#candidates = candidates;
    this.#areEqual = haveEqualWeights(candidates);
    if (this.#areEqual) return;
    this.#weights = Float64Array.from(candidates, ({ instance }) => instance.weight);
    this.#weightTotal = this.#weights.reduce((sum, weight) => sum + weight, 0);
    this.#earned = Float64Array.from(candidates, (candidate) => this.#saved.get(candidate) ?? 0);
    this.#earnedBefore = this.#earned.slice();
    this.#cycle = new Uint16Array(cycleLength(this.#weights));
    this.#cycleAt = 0;
    this.#isRepeating = false;
  }

  #save(): void {
    if (this.#isRepeating) {
      // Turns that were repeated from the notes were not entered: they are now.
      for (const [at, weight] of this.#weights.entries()) this.#earned[at]! += this.#cycleAt * weight;
      for (const chosen of this.#cycle.subarray(0, this.#cycleAt)) this.#earned[chosen]! -= this.#weightTotal;
    }
    for (const [at, candidate] of this.#candidates.entries()) this.#saved.set(candidate, this.#earned[at]!);
  }
}

/** 0 when it is too long, or when the weights are no whole numbers and so rounding would keep it from closing. */
function cycleLength(weights: Float64Array): number {
  if (!weights.every((weight) => Number.isSafeInteger(weight))) return 0;
  const divisor = weights.reduce((a, b) => greatestCommonDivisor(a, b));
  const length = weights.reduce((sum, weight) => sum + weight, 0) / divisor;
  return length <= CYCLE_MAX ? length : 0;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
