// Drives a search: has its points rendered, judges the images, and remembers the best and how it went.

import type { Pixels } from 'reactor-net/render';
import type { Score } from './scores.js';
import type { Point, Search } from './search.js';

/** Renders an image for each point, in their order; null where there is none. */
export type Render = (points: readonly Point[]) => Promise<readonly (Pixels | null)[]>;

export interface Generation {
  /** From 1. */
  readonly number: number;
  /** The best image until then, and the best and the mean of this generation; -Infinity when no image came. */
  readonly best: number;
  readonly bestHere: number;
  readonly mean: number;
  /** Points without an image or a score. */
  readonly failed: number;
}

export interface Found {
  readonly point: Point;
  readonly image: Pixels;
  readonly score: number;
}

export interface SearchRun {
  readonly generations: readonly Generation[];
  /** Null when not one image could be judged. */
  readonly found: Found | null;
}

export interface SearchRunOptions {
  readonly search: Search;
  readonly render: Render;
  readonly score: Score;
  readonly generations: number;
  readonly onGeneration?: (generation: Generation) => void;
}

export async function runSearch(options: SearchRunOptions): Promise<SearchRun> {
  const { search, render, score } = options;
  const generations: Generation[] = [];
  let found: Found | null = null;
  for (let number = 1; number <= options.generations; number += 1) {
    const points = search.ask();
    const images = await render(points);
    const scores = points.map((point, index) => {
      const image = images[index] ?? null;
      const value = image === null ? Number.NaN : score(image);
      if (image === null || Number.isNaN(value)) return -Infinity;
      if (found === null || value > found.score) found = { point, image, score: value };
      return value;
    });
    search.tell(scores);
    const generation = summary(number, scores, (found as Found | null)?.score ?? -Infinity);
    generations.push(generation);
    options.onGeneration?.(generation);
  }
  return { generations, found };
}

function summary(number: number, scores: readonly number[], best: number): Generation {
  const judged = scores.filter((score) => score > -Infinity);
  const sum = judged.reduce((total, score) => total + score, 0);
  return {
    number,
    best,
    bestHere: Math.max(-Infinity, ...judged),
    mean: judged.length === 0 ? -Infinity : sum / judged.length,
    failed: scores.length - judged.length,
  };
}
