// Which results are kept and how long: a size for all of them together, a time for each, and the oldest finished first.
// Pure. A job that is not finished counts with the most that its images may take; it is never dropped, so what does not fit
// beside the unfinished ones is refused.

import { RenderError } from '../errors.js';

export interface RetentionOptions {
  /** Of images, in memory and on disk together. */
  readonly resultBytesMax: number;
  /** Images of a finished job are dropped after so long. */
  readonly resultKeepMs: number;
  /** A finished job is forgotten after so long. */
  readonly jobKeepMs: number;
}

export interface RoomDecision {
  readonly drop: readonly number[];
  readonly forget: readonly number[];
  /** Null: after that there is room. */
  readonly problem: RenderError | null;
}

interface Finished {
  readonly at: number;
  readonly bytes: number;
}

const RETRY_AFTER_MS = 5000;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #jobsMax: number;
  readonly #open = new Map<number, number>();
  /** Finished and kept, the oldest first. */
  readonly #kept = new Map<number, Finished>();
  /** Finished, without images. */
  readonly #dropped = new Map<number, Finished>();
  #bytes = 0;

  constructor(options: RetentionOptions, { jobsMax }: { readonly jobsMax: number }) {
    this.#options = options;
    this.#jobsMax = jobsMax;
  }

  opened(id: number, bytesAtMost: number): void {
    this.forgotten(id);
    this.#open.set(id, bytesAtMost);
    this.#bytes += bytesAtMost;
  }

  finished(id: number, at: number, bytes: number, isDropped = false): void {
    this.forgotten(id);
    if (isDropped) {
      this.#dropped.set(id, { at, bytes: 0 });
      return;
    }
    this.#kept.set(id, { at, bytes });
    this.#bytes += bytes;
  }

  dropped(id: number): void {
    const { at } = this.#kept.get(id)!; // only what is kept is dropped
    this.forgotten(id);
    this.#dropped.set(id, { at, bytes: 0 });
  }

  isDropped(id: number): boolean {
    return this.#dropped.has(id);
  }

  forgotten(id: number): void {
    this.#bytes -= this.#open.get(id) ?? this.#kept.get(id)?.bytes ?? 0;
    this.#open.delete(id);
    this.#kept.delete(id);
    this.#dropped.delete(id);
  }

  expiresAt(finishedAt: number): number {
    return finishedAt + this.#options.resultKeepMs;
  }

  /** What has to go so that a job of so many bytes may come, `jobs` being there. */
  roomFor(bytes: number, jobs: number): RoomDecision {
    const { resultBytesMax } = this.#options;
    const none = { drop: [], forget: [] };
    if (bytes > resultBytesMax) {
      const text = `its images may take ${bytes} bytes; ${resultBytesMax} are kept in all`;
      return { ...none, problem: new RenderError('RENDER_REQUEST_TOO_LARGE', text) };
    }
    const drop: number[] = [];
    let excess = this.#bytes + bytes - resultBytesMax;
    for (const [id, finished] of this.#kept) {
      if (excess <= 0) break;
      drop.push(id);
      excess -= finished.bytes;
    }
    const forget: number[] = [];
    for (const id of [...this.#dropped.keys(), ...this.#kept.keys()]) {
      if (jobs - forget.length < this.#jobsMax) break;
      forget.push(id);
    }
    if (excess > 0) {
      const text = `the images of unfinished jobs may take all of the ${resultBytesMax} bytes that are kept`;
      const problem = new RenderError('RENDER_OVERLOAD', text, { retryAfterMs: RETRY_AFTER_MS });
      return { ...none, problem };
    }
    return { drop, forget, problem: null };
  }

  /** Jobs whose images were kept long enough. */
  expired(now: number): number[] {
    return before(this.#kept, now - this.#options.resultKeepMs);
  }

  /** Jobs that were known long enough. */
  forgettable(now: number): number[] {
    return before(this.#dropped, now - this.#options.jobKeepMs);
  }
}

function before(finished: ReadonlyMap<number, Finished>, at: number): number[] {
  return [...finished].filter(([, found]) => found.at <= at).map(([id]) => id);
}
