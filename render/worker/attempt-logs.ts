// What renderers printed while they had an image, for the images of late: the worker node answers FarmWorker/Log with it.
// The desk adds a piece for each try here. Bounded: the oldest images go first, and of one image the end is kept. Pure.

const ATTEMPT_CHARS_MAX = 64 * 1024;

export class AttemptLogs {
  readonly #charsMax: number;
  readonly #entriesMax: number;
  readonly #texts = new Map<string, string>();
  #chars = 0;

  constructor(charsMax: number, entriesMax: number) {
    this.#charsMax = charsMax;
    this.#entriesMax = entriesMax;
  }

  add(requestId: bigint, index: number, text: string): void {
    const key = `${requestId}/${index}`;
    const before = this.#texts.get(key) ?? '';
    const after = (before + text).slice(-ATTEMPT_CHARS_MAX);
    this.#texts.delete(key); // so that it is the newest
    this.#texts.set(key, after);
    this.#chars += after.length - before.length;
    for (const [oldest, kept] of this.#texts) {
      if (this.#chars <= this.#charsMax && this.#texts.size <= this.#entriesMax) break;
      this.#texts.delete(oldest);
      this.#chars -= kept.length;
    }
  }

  /** Null: not known, or not kept any more. */
  find(requestId: bigint, index: number): string | null {
    return this.#texts.get(`${requestId}/${index}`) ?? null;
  }
}
