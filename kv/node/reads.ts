// Linearizable reads that wait for their moment. All that come in one turn share one ReadIndex of the core; what fails
// because leadership changed is asked again until its deadline, since a read may always be. kv-node.ts owns it.

import type { ReadDone } from '../backend.js';
import { KvError } from '../errors.js';

interface Read {
  readonly done: ReadDone;
  readonly deadlineMs: number;
  readonly leaderDeadlineMs: number;
  isDone: boolean;
}

export class Reads {
  readonly #max: number;
  readonly #onError: (error: unknown) => void;
  #waiting: Read[] = [];
  readonly #asked = new Set<Read[]>();
  #count = 0;
  #closedError: KvError | null = null;
  served = 0;
  rounds = 0;

  constructor(max: number, onError: (error: unknown) => void) {
    this.#max = max;
    this.#onError = onError;
  }

  get count(): number {
    return this.#count;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(done: ReadDone, deadlineMs: number, leaderDeadlineMs: number): void {
    if (this.#closedError !== null) {
      this.#tell(done, this.#closedError);
    } else if (this.#count >= this.#max) {
      this.#tell(done, new KvError('KV_QUEUE_FULL', `${this.#count} reads wait already`));
    } else {
      this.#count += 1;
      this.#waiting.push({ done, deadlineMs, leaderDeadlineMs, isDone: false });
    }
  }

  /** All that wait, as the context of one ReadIndex. */
  ask(): unknown {
    const reads = this.#waiting;
    this.#waiting = [];
    this.#asked.add(reads);
    this.rounds += 1;
    return reads;
  }

  ready(contexts: readonly unknown[]): void {
    for (const context of contexts) {
      const reads = context as Read[]; // what `ask` gave
      this.#asked.delete(reads);
      for (const read of reads) {
        if (read.isDone) continue;
        this.served += 1;
        this.#end(read, null);
      }
    }
  }

  /** They are asked again, with what comes next. */
  failed(contexts: readonly unknown[]): void {
    for (const context of contexts) {
      const reads = context as Read[]; // what `ask` gave
      this.#asked.delete(reads);
      this.#waiting = reads.filter(({ isDone }) => !isDone).concat(this.#waiting);
    }
  }

  sweep(nowMs: number, hasLeader: boolean): void {
    for (const reads of this.#asked) for (const read of reads) this.#judge(read, nowMs, hasLeader);
    if (this.#waiting.length === 0) return;
    for (const read of this.#waiting) this.#judge(read, nowMs, hasLeader);
    this.#waiting = this.#waiting.filter(({ isDone }) => !isDone);
  }

  close(error: KvError): void {
    this.#closedError = error;
    const all = [...[...this.#asked].flat(), ...this.#waiting];
    this.#waiting = [];
    this.#asked.clear();
    for (const read of all) if (!read.isDone) this.#end(read, error);
  }

  #judge(read: Read, nowMs: number, hasLeader: boolean): void {
    if (read.isDone) return;
    if (!hasLeader && read.leaderDeadlineMs <= nowMs) {
      this.#end(read, new KvError('KV_NO_LEADER', 'the cluster has no leader'));
    } else if (read.deadlineMs <= nowMs) {
      this.#end(read, new KvError('KV_TIMEOUT', 'the leader did not confirm the read in time'));
    }
  }

  #end(read: Read, error: KvError | null): void {
    read.isDone = true;
    this.#count -= 1;
    this.#tell(read.done, error);
  }

  #tell(done: ReadDone, error: KvError | null): void {
    try {
      done(error);
    } catch (failure) {
      this.#onError(failure);
    }
  }
}
