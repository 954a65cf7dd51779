// What the main node knows of a job beside what the scheduler decides: the images asked for, what became of each, and who
// waits for them.
// job-runner.ts writes it, result streams and farm views read it.

import type { Code, Serial, StageTimes } from '../proto/render.js';
import { ErrCode } from '../proto/render.js';
import type { JobSpec } from './job-spec.js';

/** Who asked: a registration's key, never used twice, and the name it came with. */
export interface JobOwner {
  readonly key: number;
  readonly name: string;
}

/** Of one image: its last attempt, and its result where there is one. */
export interface ImageFacts {
  isSettled: boolean;
  code: ErrCode;
  error: string;
  attempts: number;
  renderMs: number;
  /** Of the last attempt: its id, and the key, name and serial of its node; 0 where there was none. */
  attempt: number;
  nodeKey: number;
  nodeName: string;
  nodeSerial: Serial | null;
  dispatchedAt: number;
  times: StageTimes | null;
}

export interface JobEnd {
  readonly code: Code;
  readonly message: string;
}

export class JobRecord {
  readonly id: number;
  readonly owner: JobOwner;
  readonly requestId: bigint;
  readonly spec: JobSpec;
  readonly submittedAt: number;
  /** In the order in which they were settled: those that wait read on from where they are. */
  settled: number[] = [];
  /** Null while it is not finished. */
  end: JobEnd | null = null;
  finishedAt: number | null = null;
  /** Its driver fell silent, and it was canceled for that: calls in which that driver waits say so, not how it ended. */
  isForsaken = false;
  readonly #images: (ImageFacts | undefined)[];
  #waiting: (() => void)[] = [];

  constructor(given: Pick<JobRecord, 'id' | 'owner' | 'requestId' | 'spec' | 'submittedAt'>) {
    this.id = given.id;
    this.owner = given.owner;
    this.requestId = given.requestId;
    this.spec = given.spec;
    this.submittedAt = given.submittedAt;
    this.#images = Array.from({ length: given.spec.images });
  }

  /** Undefined: nothing happened to it yet. */
  image(index: number): ImageFacts | undefined {
    return this.#images[index];
  }

  facts(index: number): ImageFacts {
    return (this.#images[index] ??= {
      isSettled: false,
      code: ErrCode.EC_OK,
      error: '',
      attempts: 0,
      renderMs: 0,
      attempt: 0,
      nodeKey: 0,
      nodeName: '',
      nodeSerial: null,
      dispatchedAt: 0,
      times: null,
    });
  }

  settle(index: number): void {
    this.facts(index).isSettled = true;
    this.settled.push(index);
  }

  /** The missing images are asked for again. */
  reopen(): void {
    this.end = null;
    this.finishedAt = null;
    this.isForsaken = false;
    this.settled = this.settled.filter((index) => this.facts(index).code === ErrCode.EC_OK);
    for (const facts of this.#images) {
      if (facts === undefined || facts.code === ErrCode.EC_OK) continue;
      Object.assign(facts, { isSettled: false, code: ErrCode.EC_OK, error: '' });
    }
  }

  /** Resolves with the next change, or when `signal` aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.push(done);
    });
  }

  tellChange(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const tell of waiting) tell();
  }
}
