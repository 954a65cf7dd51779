// What of a main node's records waits to be kept: in the order in which they were given, as many at a time as there are.
// Whoever waits hears when his is kept, or that it cannot be. After a failure nothing is taken until all is begun anew.
// file-job-store.ts and kv-job-store.ts stand on it; keeping is theirs.

import type { RenderError } from '../errors.js';

export interface RecordKeeper {
  /** Keeps them behind all that was kept before, or, when `isAnew`, instead of that. One call at a time. @throws RenderError */
  keep(records: readonly Buffer[], isAnew: boolean): Promise<void>;
  /** Told of what went wrong, once each time. */
  failed(error: RenderError): void;
}

interface Waiting {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: RenderError) => void;
}

export class RecordQueue {
  readonly #keeper: RecordKeeper;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** All there is to know, which takes the place of what was kept. */
  #anew: readonly Buffer[] | null = null;
  #given = 0;
  #kept = 0;
  #waiting: Waiting[] = [];
  #working: Promise<void> | null = null;
  #failure: RenderError | null = null;
  #isClosed = false;

  constructor(keeper: RecordKeeper) {
    this.#keeper = keeper;
  }

  /** Nothing is taken any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing is kept until it is begun anew. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** All is to be kept anew, and is not yet. */
  get isBeginningAnew(): boolean {
    return this.#anew !== null;
  }

  /** Of what waits. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(record: Buffer): void {
    if (this.#isClosed) return;
    this.#given += 1;
    if (this.#failure !== null) return; // what begins anew has it
    this.#pending.push(record);
    this.#pendingBytes += record.length;
    this.#work();
  }

  /** Resolves when all that was given is kept. @throws RenderError (as rejection) */
  flush(): Promise<void> {
    if (this.#kept === this.#given) return Promise.resolve();
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ upTo: this.#given, resolve, reject });
    });
  }

  /** Instead of all that was given. */
  beginAnew(records: readonly Buffer[]): void {
    this.#failure = null;
    this.#anew = records;
    this.#forgetPending(); // the records say that as well
    this.#work();
  }

  /** Gives up what waits. */
  fail(error: RenderError): void {
    this.#failure = error;
    this.#forgetPending();
    this.#keeper.failed(error);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }

  /** Takes nothing more; resolves when what was given is kept, or cannot be. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#working !== null) await this.#working;
  }

  #work(): void {
    if (this.#working !== null || this.#failure !== null) return;
    if (this.#anew === null && this.#pending.length === 0) return;
    this.#working = this.#keepAll().finally(() => {
      this.#working = null;
      this.#work(); // whoever waited for the last record may have given another one
    });
  }

  async #keepAll(): Promise<void> {
    try {
      while (this.#anew !== null || this.#pending.length > 0) {
        const upTo = this.#given;
        const isAnew = this.#anew !== null;
        const records = [...(this.#anew ?? []), ...this.#pending];
        this.#anew = null;
        this.#forgetPending();
        await this.#keeper.keep(records, isAnew);
        if (this.#failure !== null) return; // it was given up meanwhile
        this.#kept = upTo;
        this.#settle();
      }
    } catch (error) {
      this.fail(error as RenderError); // a keeper throws nothing else
    }
  }

  #forgetPending(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ upTo }) => upTo > this.#kept);
    for (const { upTo, resolve } of waiting) if (upTo <= this.#kept) resolve();
  }
}
