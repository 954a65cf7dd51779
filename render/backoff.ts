// How long to wait before the next attempt: doubling from a base to a cap, and by chance somewhat less, so that what
// failed together does not come back together. Pure.

export interface BackoffOptions {
  /** Before the second attempt, in ms. Default 200. */
  readonly baseMs?: number;
  /** At most, in ms. Default 10,000. */
  readonly capMs?: number;
}

/** From half of min(base · 2^(failures − 1), cap) to all of it. */
export function backoffMs(
  random: () => number,
  failures: number,
  { baseMs = 200, capMs = 10_000 }: BackoffOptions = {},
): number {
  return Math.min(baseMs * 2 ** (failures - 1), capMs) * (0.5 + random() / 2);
}
