// Draws positions of an array of candidates with a chance in proportion to their weights, in constant time.
// Walker's alias method: every position has a share of its own column and gives the rest to one other.
// weighted-random.ts and least-requests.ts draw from it. Pure: chance comes in.

import type { Candidate } from './balancer.js';

export class WeightedSampler {
  readonly #random: () => number;
  #candidates: readonly Candidate[] | null = null;
  #areEqual = true;
  #keep: Float64Array = new Float64Array(0);
  #alias: Int32Array = new Int32Array(0);

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A position of `candidates`. An array that was drawn from before is taken to be as it was. */
  draw(candidates: readonly Candidate[]): number {
    if (candidates !== this.#candidates) this.#prepare(candidates);
    const column = this.#random() * candidates.length;
    const position = Math.trunc(column);
    if (this.#areEqual) return position;
    return column - position < this.#keep[position]! ? position : this.#alias[position]!;
  }

  #prepare(candidates: readonly Candidate[]): void {
    this.#candidates = candidates;
    this.#areEqual = haveEqualWeights(candidates);
    if (this.#areEqual) return;
    const count = candidates.length;
    let total = 0;
    for (const { instance } of candidates) total += instance.weight;
    const shares = candidates.map(({ instance }) => (instance.weight * count) / total);
    this.#keep = new Float64Array(count).fill(1);
    this.#alias = Int32Array.from(shares.keys());
    const small: number[] = [];
    const large: number[] = [];
    for (let at = 0; at < count; at += 1) (shares[at]! < 1 ? small : large).push(at);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large.at(-1)!;
      this.#keep[less] = shares[less]!;
      this.#alias[less] = more;
      shares[more]! -= 1 - shares[less]!;
      if (shares[more]! < 1) small.push(large.pop()!);
    }
    // What is left over differs from 1 by rounding only: it keeps its whole column.
  }
}

export function haveEqualWeights(candidates: readonly Candidate[]): boolean {
  const weight = candidates[0]!.instance.weight;
  return candidates.every(({ instance }) => instance.weight === weight);
}
