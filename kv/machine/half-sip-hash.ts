// HalfSipHash-1-3 with 32 bits of output (J.-P. Aumasson, D. J. Bernstein), over strings of one character per byte.
// For tables whose keys strangers choose: without its key nobody can tell which texts collide.

/** 64 bits. */
export interface SipKey {
  readonly low: number;
  readonly high: number;
}

/** Rounds at the end, behind one for each word. */
const LAST_ROUNDS = 3;

export function halfSipHash(text: string, { low, high }: SipKey): number {
  let v0 = low;
  let v1 = high;
  let v2 = low ^ 0x6c796765;
  let v3 = high ^ 0x74656462;
  const { length } = text;
  const words = length >>> 2;
  for (let round = 0; round <= words + LAST_ROUNDS; round += 1) {
    let word = 0;
    const at = round * 4;
    if (round < words) {
      word =
        text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24);
    } else if (round === words) {
      word = length << 24;
      for (let rest = at; rest < length; rest += 1) word |= text.charCodeAt(rest) << (8 * (rest - at));
    } else if (round === words + 1) {
      v2 ^= 0xff;
    }
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
