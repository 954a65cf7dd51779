// What a search is to the program that runs it: it asks for points to try, and is told how good they were.
// genetic-search.ts and particle-swarm.ts are two; run-search.ts drives them. Pure: chance comes from outside, so a seed
// brings a whole search back.

/** A place in the box that is searched: each coordinate from 0 to 1. */
export type Point = readonly number[];

export interface Search {
  /** Points to try next; as many in every generation. */
  ask(): readonly Point[];
  /** How good each of them was, in their order; higher is better. What could not be judged is -Infinity. */
  tell(scores: readonly number[]): void;
}

/** A number from 0 up to 1, exclusive. */
export type Chance = () => number;

export interface SearchSize {
  readonly dimensions: number;
  /** Points in a generation, at least 4. */
  readonly population: number;
}

/** @throws RangeError naming what is wrong */
export function checkSize({ dimensions, population }: SearchSize): void {
  if (!Number.isInteger(dimensions) || dimensions < 1)
    throw new RangeError(`dimensions must be a whole number from 1, not ${dimensions}`);
  if (!Number.isInteger(population) || population < 4)
    throw new RangeError(`population must be a whole number from 4, not ${population}`);
}

/** @throws RangeError when they are not as many as the points; NaN counts as -Infinity */
export function checkedScores(scores: readonly number[], points: number): number[] {
  if (scores.length !== points)
    throw new RangeError(`${points} points have ${points} scores, not ${scores.length}`);
  return scores.map((score) => (Number.isNaN(score) ? -Infinity : score));
}

export function randomPoint(dimensions: number, chance: Chance): number[] {
  return Array.from({ length: dimensions }, chance);
}

/** Mean 0, standard deviation 1, by the polar method of Marsaglia. */
export function gaussian(chance: Chance): number {
  for (;;) {
    const x = 2 * chance() - 1;
    const y = 2 * chance() - 1;
    const square = x * x + y * y;
    if (square > 0 && square < 1) return x * Math.sqrt((-2 * Math.log(square)) / square);
  }
}
