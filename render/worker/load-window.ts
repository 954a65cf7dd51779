// Smoothing of measured load: the mean of the last so many samples, or a moving average in which older ones fade.
// The worker node samples once a second and decides by the smoothed figures. Pure.

import { RenderError } from '../errors.js';

export interface Smoothing {
  add(sample: number): void;
  /** 0 before the first sample. */
  readonly value: number;
}

/** The mean of the last `length` samples. */
export class LoadWindow implements Smoothing {
  readonly #samples: Float64Array;
  #next = 0;
  #count = 0;

  constructor(length = 10) {
    this.#samples = new Float64Array(lengthOf(length));
  }

  add(sample: number): void {
    this.#samples[this.#next] = sample;
    this.#next = (this.#next + 1) % this.#samples.length;
    this.#count = Math.min(this.#count + 1, this.#samples.length);
  }

  get value(): number {
    if (this.#count === 0) return 0;
    // Summed anew, so that no rounding error stays behind.
    let sum = 0;
    for (let at = 0; at < this.#count; at += 1) sum += this.#samples[at]!;
    return sum / this.#count;
  }
}

/** Exponentially weighted: each sample counts 2 / (length + 1), what was before the rest. */
export class LoadAverage implements Smoothing {
  readonly #share: number;
  #value: number | null = null;

  constructor(length = 10) {
    this.#share = 2 / (lengthOf(length) + 1);
  }

  add(sample: number): void {
    this.#value = this.#value === null ? sample : this.#value + (sample - this.#value) * this.#share;
  }

  get value(): number {
    return this.#value ?? 0;
  }
}

function lengthOf(length: number): number {
  if (!Number.isInteger(length) || length < 1)
    throw new RenderError('RENDER_OPTION_INVALID', `${length} is no number of samples`);
  return length;
}
