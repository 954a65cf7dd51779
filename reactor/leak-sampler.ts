// Notices pooled buffers that were lost: collected as garbage while they were lent.
// buffer-pool.ts has every handle watched once, for as long as the handle lives, so lending costs nothing;
// one loan in `sampleEvery` (or each, when paranoid) also records the stack that acquired it.
// A finding is reported after a garbage collection, at a time V8 chooses.

export type LeakDetection = 'off' | 'sampled' | 'paranoid';

export interface LeakReport {
  /** Bytes of the lost buffer. */
  readonly bytes: number;
  /** Stack of the `acquire` that lent it; null when this loan was not sampled. */
  readonly acquiredAt: string | null;
}

/** What is known about one handle. It must not refer to the handle, or that would never be collected. */
export interface LeakRecord {
  readonly bytes: number;
  acquiredAt: string | null;
}

export class LeakSampler {
  readonly #detection: LeakDetection;
  readonly #sampleEvery: number;
  readonly #registry: FinalizationRegistry<LeakRecord>;
  #untilSample: number;

  constructor(detection: LeakDetection, sampleEvery: number, onLost: (record: LeakRecord) => void) {
    this.#detection = detection;
    this.#sampleEvery = detection === 'paranoid' ? 1 : sampleEvery;
    this.#untilSample = this.#sampleEvery;
    this.#registry = new FinalizationRegistry(onLost);
  }

  /** Starts watching a handle; the record it returns belongs beside the handle. */
  watch(handle: object, bytes: number): LeakRecord {
    const record: LeakRecord = { bytes, acquiredAt: null };
    if (this.#detection !== 'off') this.#registry.register(handle, record, record);
    return record;
  }

  /** The handle is being dropped on purpose. */
  unwatch(record: LeakRecord): void {
    this.#registry.unregister(record);
  }

  /** Called for every loan; keeps the caller's stack for the sampled ones. */
  lent(record: LeakRecord): void {
    record.acquiredAt = null;
    if (this.#detection === 'off') return;
    this.#untilSample -= 1;
    if (this.#untilSample > 0) return;
    this.#untilSample = this.#sampleEvery;
    // Rendered at once: an unrendered stack refers to the `this` of its frames, perhaps the buffer's owner.
    record.acquiredAt = new Error('acquired here').stack ?? null;
  }
}
