// The 'random' balancer: chance in proportion to weight. Needs no state, so it is right for short-lived clients.

import type { Balancer, Candidate } from './balancer.js';
import { WeightedSampler } from './weighted-sampler.js';

export class WeightedRandomBalancer implements Balancer {
  readonly #sampler: WeightedSampler;

  constructor(random: () => number) {
    this.#sampler = new WeightedSampler(random);
  }

  pick(candidates: readonly Candidate[]): Candidate {
    return candidates[this.#sampler.draw(candidates)]!;
  }
}
