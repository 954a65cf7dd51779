import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  mergeHistograms,
  quantileMicros,
  slotOf as slotAt,
  slotValue,
  type SparseHistogram,
} from '../../bench/histogram.js';

const SUB_BITS = 7;

const slotOf = (nanos: number): number => slotAt(nanos, SUB_BITS);

function histogram(...counts: [number, number][]): SparseHistogram {
  return { unit: 'ns', sub_bits: SUB_BITS, counts };
}

test('every value from 1 us to 4 s is known to better than 1 %', () => {
  for (let nanos = 1000; nanos < 4e9; nanos = Math.ceil(nanos * 1.003)) {
    const decoded = slotValue(slotOf(nanos), SUB_BITS);
    assert.ok(Math.abs(decoded - nanos) / nanos < 0.01, `${nanos} ns decoded as ${decoded}`);
  }
});

test('slots ascend without a gap where the resolution changes', () => {
  for (let slot = 1; slot < 30 * 2 ** SUB_BITS; slot += 1) {
    assert.ok(slotValue(slot, SUB_BITS) > slotValue(slot - 1, SUB_BITS), `slot ${slot}`);
  }
});

test('quantiles of merged rounds weigh every reply alike', () => {
  const fast = histogram([slotOf(10_000), 98]);
  const slow = histogram([slotOf(10_000), 1], [slotOf(5_000_000), 1]);
  const merged = mergeHistograms([fast, slow]);
  assert.ok(merged !== null);
  assert.ok(Math.abs(quantileMicros(merged, 0.99) - 10) < 0.1);
  assert.ok(Math.abs(quantileMicros(merged, 0.999) - 5000) < 50);
});

test('no histogram merges to null, an empty one has quantile 0, and layouts do not mix', () => {
  assert.equal(mergeHistograms([]), null);
  assert.equal(quantileMicros(histogram(), 0.5), 0);
  assert.throws(() => mergeHistograms([histogram(), { ...histogram(), sub_bits: 8 }]), /layouts/);
});
