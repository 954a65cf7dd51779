// Counts latencies in the slots that histogram.ts reads: each power of two is cut into 128.

import type { SparseHistogram } from '../histogram.js';

const SUB_BITS = 7;
const EXACT = 2 ** (SUB_BITS + 1);
/** Up to some 70 seconds in nanoseconds. */
const SLOTS = 32 * 2 ** SUB_BITS;

export class LatencyRecorder {
  readonly #counts = new Float64Array(SLOTS);

  record(micros: number): void {
    const nanos = Math.max(0, Math.round(micros * 1000));
    this.#counts[slotOf(nanos)]! += 1;
  }

  histogram(): SparseHistogram {
    const counts: [number, number][] = [];
    for (const [slot, count] of this.#counts.entries()) if (count > 0) counts.push([slot, count]);
    return { unit: 'ns', sub_bits: SUB_BITS, counts };
  }
}

function slotOf(nanos: number): number {
  if (nanos < EXACT) return nanos;
  const shift = Math.floor(Math.log2(nanos)) - SUB_BITS;
  return Math.min(SLOTS - 1, shift * 2 ** SUB_BITS + Math.floor(nanos / 2 ** shift));
}
