// Decodes and merges the latency histograms of the load generator (bench/native/histogram.h), and fills such ones.
// Slots: values below 2^(subBits+1) have one each, above that every power of two is cut into 2^subBits.
// Pure; a slot answers with its middle, which is off by at most 0.4 %.

/** `[slot, count]` of every slot in use, ascending, as it stands in the generator's result line. */
export interface SparseHistogram {
  unit: 'ns';
  sub_bits: number;
  counts: readonly (readonly [slot: number, count: number])[];
}

/** The middle of slot `slot`, in the histogram's unit. */
export function slotValue(slot: number, subBits: number): number {
  const exact = 2 ** (subBits + 1);
  if (slot < exact) return slot;
  const shift = Math.floor(slot / 2 ** subBits) - 1;
  const top = slot - shift * 2 ** subBits;
  return top * 2 ** shift + 2 ** shift / 2;
}

/** The slot that `value`, a whole number below 2^32, belongs to. */
export function slotOf(value: number, subBits: number): number {
  if (value < 2 ** (subBits + 1)) return value;
  const shift = 31 - Math.clz32(value) - subBits;
  return shift * 2 ** subBits + (value >>> shift);
}

/** Adds up histograms of the same layout; null for none. */
export function mergeHistograms(histograms: readonly SparseHistogram[]): SparseHistogram | null {
  const first = histograms[0];
  if (first === undefined) return null;
  const counts = new Map<number, number>();
  for (const histogram of histograms) {
    if (histogram.sub_bits !== first.sub_bits) throw new RangeError('histograms of different layouts');
    for (const [slot, count] of histogram.counts) counts.set(slot, (counts.get(slot) ?? 0) + count);
  }
  return { ...first, counts: [...counts].toSorted(([a], [b]) => a - b) };
}

/** Microseconds below which `fraction` of the values lie; 0 for an empty histogram. */
export function quantileMicros(histogram: SparseHistogram, fraction: number): number {
  let total = 0;
  for (const [, count] of histogram.counts) total += count;
  let seen = 0;
  for (const [slot, count] of histogram.counts) {
    seen += count;
    if (seen >= total * fraction) return slotValue(slot, histogram.sub_bits) / 1000;
  }
  return 0;
}
