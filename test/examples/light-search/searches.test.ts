import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GeneticSearch } from '../../../examples/light-search/genetic-search.js';
import { ParticleSwarm } from '../../../examples/light-search/particle-swarm.js';
import type { Point, Search, SearchSize } from '../../../examples/light-search/search.js';
import { seededChance } from '../../../examples/light-search/seeded-chance.js';

const SIZE: SearchSize = { dimensions: 8, population: 24 };
const SEEDS = [1, 2, 3, 4, 5];

type Make = (size: SearchSize, seed: number) => Search;
const MAKES: Readonly<Record<string, Make>> = {
  genetic: (size, seed) => new GeneticSearch({ ...size, chance: seededChance(seed) }),
  swarm: (size, seed) => new ParticleSwarm({ ...size, chance: seededChance(seed) }),
};

/** Highest, 0, at 0.3 on every axis. */
const bowl = (point: Point): number => -point.reduce((sum, part) => sum + (part - 0.3) ** 2, 0);
/** The same with a hundred lesser tops around it. */
const ripples = (point: Point): number =>
  bowl(point) - point.reduce((sum, part) => sum + 0.02 * (1 - Math.cos(60 * (part - 0.3))), 0);

function best(search: Search, score: (point: Point) => number, generations: number): number {
  let highest = -Infinity;
  for (let generation = 0; generation < generations; generation += 1) {
    const scores = search.ask().map(score);
    highest = Math.max(highest, ...scores.filter((one) => !Number.isNaN(one)));
    search.tell(scores);
  }
  return highest;
}

for (const [name, make] of Object.entries(MAKES)) {
  test(`${name}: 80 generations find the top of a bowl`, () => {
    for (const seed of SEEDS) assert.ok(best(make(SIZE, seed), bowl, 80) > -0.01, `seed ${seed}`);
  });

  test(`${name}: among many tops it finds a higher one than as many points by chance`, () => {
    for (const seed of SEEDS) {
      const chance = seededChance(seed + 1000);
      const tries = Array.from({ length: 80 * SIZE.population }, () =>
        ripples(Array.from({ length: SIZE.dimensions }, chance)),
      );
      assert.ok(best(make(SIZE, seed), ripples, 80) > Math.max(...tries), `seed ${seed}`);
    }
  });

  test(`${name}: a seed brings the whole search back, and another seed another one`, () => {
    const points = (seed: number): readonly Point[] => {
      const search = make(SIZE, seed);
      best(search, bowl, 5);
      return search.ask();
    };
    assert.deepEqual(points(7), points(7));
    assert.notDeepEqual(points(7), points(8));
  });

  test(`${name}: points stay in the box, as many in each generation, when the top lies in a corner`, () => {
    const search = make(SIZE, 1);
    for (let generation = 0; generation < 30; generation += 1) {
      const points = search.ask();
      assert.equal(points.length, SIZE.population);
      assert.ok(points.flat().every((part) => part >= 0 && part <= 1));
      search.tell(points.map((point) => point.reduce((sum, part) => sum + part, 0)));
    }
  });

  test(`${name}: points that cannot be judged count least, a whole generation of them included`, () => {
    const search = make(SIZE, 2);
    search.tell(search.ask().map(() => Number.NaN));
    const everyThird = (point: Point): number =>
      Math.floor(point[0]! * 1000) % 3 === 0 ? Number.NaN : bowl(point);
    assert.ok(best(search, everyThird, 80) > -0.05);
  });

  test(`${name}: a wrong number of scores is refused and changes nothing`, () => {
    const search = make(SIZE, 1);
    const before = search.ask();
    assert.throws(() => search.tell([1, 2]), RangeError);
    assert.deepEqual(search.ask(), before);
  });

  test(`${name}: a size that cannot be is refused`, () => {
    assert.throws(() => make({ dimensions: 0, population: 24 }, 1), /dimensions/);
    assert.throws(() => make({ dimensions: 8, population: 3 }, 1), /population/);
  });
}
