import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lightsAt } from '../../../examples/light-search/light-point.js';
import { type Generation, runSearch } from '../../../examples/light-search/run-search.js';
import { brightness, likeness } from '../../../examples/light-search/scores.js';
import type { Point } from '../../../examples/light-search/search.js';
import { type Pixels, PixelFormat } from '../../../render/index.js';

function image(...values: number[]): Pixels {
  return { width: values.length / 3, height: 1, format: PixelFormat.RGB8, pixels: Uint8Array.from(values) };
}

test('likeness is 1 for the image itself, 0 for its opposite, and no number for another size', () => {
  const target = image(0, 255, 0);
  assert.equal(likeness(target)(image(0, 255, 0)), 1);
  assert.equal(likeness(target)(image(255, 0, 255)), 0);
  assert.equal(likeness(target)(image(0, 255, 0, 0, 255, 0)), Number.NaN);
});

test('brightness prefers the wanted mean, and of two with that mean the one with more contrast', () => {
  const score = brightness(0.5);
  const flat = score(image(128, 128, 128, 128, 128, 128));
  assert.ok(score(image(0, 0, 0, 255, 255, 255)) > flat);
  assert.ok(flat > score(image(0, 0, 0, 0, 0, 0)));
});

test('four coordinates are a light, from dark to full', () => {
  assert.deepEqual(lightsAt([0, 1, 0.5, 0, 1, 0, 0, 1]), [
    { intensity: 0, r: 255, g: 128, b: 0 },
    { intensity: 255, r: 0, g: 0, b: 255 },
  ]);
});

test('images that are missing or cannot be judged are counted, and the best of the others is kept', async () => {
  const points: readonly Point[] = [[0.1], [0.2], [0.3], [0.4]];
  const told: (readonly number[])[] = [];
  const generations: Generation[] = [];
  const run = await runSearch({
    search: { ask: () => points, tell: (scores) => void told.push(scores) },
    render: async () => [image(10, 10, 10), null, image(30, 30, 30), image(40, 40, 40)],
    score: ({ pixels }) => (pixels[0] === 40 ? Number.NaN : pixels[0]!),
    generations: 2,
    onGeneration: (generation) => generations.push(generation),
  });
  const scores = [10, -Infinity, 30, -Infinity];
  assert.deepEqual(told, [scores, scores]);
  assert.deepEqual(generations[1], { number: 2, best: 30, bestHere: 30, mean: 20, failed: 2 });
  assert.deepEqual(run.found?.point, [0.3]);
});

test('a search of which no image comes ends with nothing found', async () => {
  const run = await runSearch({
    search: { ask: () => [[0.5]], tell: () => {} },
    render: async () => [null],
    score: () => 1,
    generations: 1,
  });
  assert.equal(run.found, null);
  assert.deepEqual(run.generations, [
    { number: 1, best: -Infinity, bestHere: -Infinity, mean: -Infinity, failed: 1 },
  ]);
});
