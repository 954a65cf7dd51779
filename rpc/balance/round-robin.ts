// The 'round-robin' balancer: one after the other, weights aside.

import type { Balancer, Candidate } from './balancer.js';

export class RoundRobinBalancer implements Balancer {
  readonly #random: () => number;
  #next = -1;

  /** @param random where it begins, so that a thousand clients that start together do not all begin with the first */
  constructor(random: () => number) {
    this.#random = random;
  }

  pick(candidates: readonly Candidate[]): Candidate {
    let next = this.#next;
    if (next === -1) next = Math.trunc(this.#random() * candidates.length);
    else if (next >= candidates.length) next = 0;
    this.#next = next + 1;
    return candidates[next]!;
  }
}
