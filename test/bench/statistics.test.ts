import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairRatios, quantile, roundOrder, summarize } from '../../bench/statistics.js';

test('the median and quartiles of eleven values are three of them', () => {
  const values = [10, 3, 7, 1, 9, 5, 11, 2, 8, 4, 6];
  assert.deepEqual(summarize(values), { median: 6, q1: 3.5, q3: 8.5, count: 11 });
});

test('a quantile between two values is interpolated', () => {
  assert.equal(quantile([1, 2], 0.25), 1.25);
  assert.equal(quantile([4], 0.9), 4);
  assert.throws(() => quantile([], 0.5), /needs a value/);
});

test('summarizing leaves the order of the rounds alone', () => {
  const values = [3, 1, 2];
  summarize(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test('a ratio is taken within each pair, not between medians', () => {
  assert.deepEqual(pairRatios([2, 30, 4], [1, 10, 8]), [2, 3, 0.5]);
  assert.throws(() => pairRatios([1], []), /two halves/);
});

test('every second round visits the subjects backwards', () => {
  assert.deepEqual(roundOrder(3, 0), [0, 1, 2]);
  assert.deepEqual(roundOrder(3, 1), [2, 1, 0]);
  assert.deepEqual(roundOrder(3, 2), [0, 1, 2]);
});
