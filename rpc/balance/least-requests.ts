// The 'least-requests' balancer: of a few drawn by chance, the one with the fewest calls of ours under way (gRPC A48).
// Two choices are enough to keep the longest queue short, and cost the same for 3 instances and for 3,000.

import { checkNumber } from '../option-checks.js';
import type { Balancer, Candidate } from './balancer.js';
import { WeightedSampler } from './weighted-sampler.js';

export class LeastRequestsBalancer implements Balancer {
  readonly #sampler: WeightedSampler;
  readonly #choiceCount: number;

  /** @param choiceCount how many are drawn; gRPC A48 has 2, and 10 at most */
  constructor(random: () => number, choiceCount: number) {
    checkNumber('balancer', 'choiceCount', choiceCount, { min: 2, max: 10, whole: true });
    this.#sampler = new WeightedSampler(random);
    this.#choiceCount = choiceCount;
  }

  pick(candidates: readonly Candidate[]): Candidate {
    const sampler = this.#sampler;
    const count = candidates.length;
    let at = sampler.draw(candidates);
    if (count === 1) return candidates[0]!;
    let chosen = candidates[at]!;
    for (let draw = 1; draw < this.#choiceCount; draw += 1) {
      let otherAt = sampler.draw(candidates);
      // Never the same twice: a slow instance among few would be its own only rival too often.
      if (otherAt === at) otherAt = at + 1 === count ? 0 : at + 1;
      const other = candidates[otherAt]!;
      // Draws go by weight already, so that equals (all idle, say) are chosen by weight too.
      if (load(other) < load(chosen)) {
        at = otherAt;
        chosen = other;
      }
    }
    return chosen;
  }
}

function load(candidate: Candidate): number {
  return candidate.callsInFlight / candidate.instance.weight;
}
