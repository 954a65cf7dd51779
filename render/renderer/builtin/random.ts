// Random numbers of one pixel, from its place and the seed alone: the same picture, whoever renders it and however often.
// The path tracer makes one for each pixel. 32-bit integers: a hash of the place seeds an xorshift.

import { dot, scaled, type Vector } from './vector.js';

export class Random {
  #state: number;

  /** @param seed 0 leaves the place alone to decide. */
  constructor(x: number, y: number, seed: number) {
    // An xorshift must not begin at 0.
    this.#state = mixed(mixed(x + 0x9e37_79b9) ^ y ^ Math.imul(seed, 0x9e37_79b1)) || 1;
  }

  /** From 0 to just below 1. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) / 2 ** 32;
  }

  /** Of length 1, every direction as likely. */
  direction(): Vector {
    for (;;) {
      const tried: Vector = [2 * this.next() - 1, 2 * this.next() - 1, 2 * this.next() - 1];
      const square = dot(tried, tried);
      if (square > 1e-6 && square <= 1) return scaled(tried, 1 / Math.sqrt(square));
    }
  }
}

function mixed(word: number): number {
  let mix = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2_ae35);
  return mix ^ (mix >>> 16);
}
