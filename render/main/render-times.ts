// What one image takes, as measured: a moving average for each kind of image (scene, size, samples).
// From it come the cost by which drivers share and the time after which an attempt is given up. Pure, and bounded: the
// kind that was measured longest ago is forgotten first.

/** Of an average over the last 10: 2 / (10 + 1). */
const SHARE_OF_NEW = 2 / 11;

export class RenderTimes {
  readonly #kindsMax: number;
  readonly #averageMs = new Map<string, number>();

  constructor(kindsMax = 1024) {
    this.#kindsMax = kindsMax;
  }

  observe(kind: string, imageMs: number): void {
    if (!(imageMs >= 0)) return;
    const before = this.#averageMs.get(kind);
    this.#averageMs.set(kind, before === undefined ? imageMs : before + (imageMs - before) * SHARE_OF_NEW);
    if (before !== undefined || this.#averageMs.size <= this.#kindsMax) return;
    for (const oldest of this.#averageMs.keys()) {
      this.#averageMs.delete(oldest);
      break;
    }
  }

  /** It was not done in that time: whatever was measured before, it takes longer. */
  exceeds(kind: string, imageMs: number): void {
    if (imageMs > (this.#averageMs.get(kind) ?? Number.POSITIVE_INFINITY)) this.#averageMs.set(kind, imageMs);
  }

  /** Null: nothing of this kind was measured yet. */
  estimateMs(kind: string): number | null {
    return this.#averageMs.get(kind) ?? null;
  }
}
