// A genetic algorithm on real numbers: tournaments choose parents, a child lies around them (blend crossover) and is
// changed a little; the best of a generation go on unchanged. Changes grow smaller as the search goes on.

import {
  type Chance,
  checkedScores,
  checkSize,
  gaussian,
  type Point,
  randomPoint,
  type Search,
  type SearchSize,
} from './search.js';

export interface GeneticOptions extends SearchSize {
  readonly chance: Chance;
  /** Points that go on unchanged. Default 2. */
  readonly elite?: number;
  /** Points of which the best becomes a parent. Default 3. */
  readonly tournament?: number;
  /** How far beyond its parents a child may lie, in parts of their distance. Default 0.3. */
  readonly blend?: number;
  /** Chance that a coordinate is changed. Default 0.2. */
  readonly mutation?: number;
  /** Standard deviation of a change at first, and what is left of it from one generation to the next. Default 0.2 and 0.95. */
  readonly spread?: number;
  readonly cooling?: number;
}

/** Below this a change moves no light by a step of its 256. */
const SPREAD_MIN = 0.004;

interface Judged {
  readonly point: Point;
  readonly score: number;
}

export class GeneticSearch implements Search {
  readonly #options: Required<GeneticOptions>;
  #points: readonly Point[];
  #spread: number;

  /** @throws RangeError */
  constructor(options: GeneticOptions) {
    checkSize(options);
    this.#options = {
      elite: 2,
      tournament: 3,
      blend: 0.3,
      mutation: 0.2,
      spread: 0.2,
      cooling: 0.95,
      ...options,
    };
    const { population, dimensions, chance, spread } = this.#options;
    this.#spread = spread;
    this.#points = Array.from({ length: population }, () => randomPoint(dimensions, chance));
  }

  ask(): readonly Point[] {
    return this.#points;
  }

  tell(scores: readonly number[]): void {
    const checked = checkedScores(scores, this.#points.length);
    const judged = this.#points.map((point, index): Judged => ({ point, score: checked[index]! }));
    const best = judged.toSorted((a, b) => b.score - a.score);
    const next = best.slice(0, this.#options.elite).map(({ point }) => point);
    while (next.length < this.#points.length)
      next.push(this.#child(this.#parent(judged), this.#parent(judged)));
    this.#points = next;
    this.#spread = Math.max(SPREAD_MIN, this.#spread * this.#options.cooling);
  }

  #parent(judged: readonly Judged[]): Point {
    const { chance, tournament } = this.#options;
    const draw = (): Judged => judged[Math.floor(chance() * judged.length)]!;
    let winner = draw();
    for (let round = 1; round < tournament; round += 1) {
      const rival = draw();
      if (rival.score > winner.score) winner = rival;
    }
    return winner.point;
  }

  #child(mother: Point, father: Point): Point {
    const { chance, blend, mutation } = this.#options;
    return mother.map((own, axis) => {
      const other = father[axis]!;
      const reach = blend * Math.abs(own - other);
      const low = Math.min(own, other) - reach;
      const mixed = low + chance() * (Math.abs(own - other) + 2 * reach);
      const changed = chance() < mutation ? mixed + this.#spread * gaussian(chance) : mixed;
      return Math.min(1, Math.max(0, changed));
    });
  }
}
