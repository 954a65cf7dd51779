// The arithmetic of repeated measurements: medians, quartiles, ratios of interleaved pairs.
// Pure; suites hand it plain numbers and print what comes out.

import assert from 'node:assert/strict';

export interface Summary {
  median: number;
  q1: number;
  q3: number;
  /** How many values it was taken from. */
  count: number;
}

/** The value below which `fraction` of `sorted` lies, interpolated between neighbours. Not empty. */
export function quantile(sorted: readonly number[], fraction: number): number {
  assert(sorted.length > 0, 'a quantile needs a value');
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)] as number; // within bounds: 0 <= fraction <= 1
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    count: sorted.length,
  };
}

export function median(values: readonly number[]): number {
  return summarize(values).median;
}

/** One ratio per pair: both lists hold the rounds in the same order. */
export function pairRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  assert(ours.length === theirs.length, 'a pair has two halves');
  return ours.map((value, round) => value / (theirs[round] as number)); // equal lengths
}

/**
 * The order in which a round visits its subjects: every second round runs backwards, so that neither half
 * of a pair profits from always being the first after a pause.
 */
export function roundOrder(subjectCount: number, round: number): number[] {
  const order = Array.from({ length: subjectCount }, (_, index) => index);
  return round % 2 === 0 ? order : order.toReversed();
}
