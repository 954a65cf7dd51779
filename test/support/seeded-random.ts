// Random numbers that one seed brings back: mulberry32, 32 bits of state, good enough to choose inputs with.

export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.integer(0, choices.length - 1)] ?? choices[0];
  }

  /** Bytes from a small alphabet, so that the ones a codec looks for are common. */
  bytes(byteCount: number, alphabet: Uint8Array): Buffer {
    const bytes = Buffer.alloc(byteCount);
    for (let at = 0; at < byteCount; at += 1) bytes[at] = alphabet[this.integer(0, alphabet.length - 1)] ?? 0;
    return bytes;
  }
}

/** The same as a function in place of Math.random. */
export function seededRandom(seed: number): () => number {
  const random = new SeededRandom(seed);
  return () => random.fraction();
}
