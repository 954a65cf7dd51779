// Hashes of the whole state at marked entries of the log, for comparing members.
// The executor says that a mark is being applied; a view of the state is taken at that moment and hashed in slices, so that
// the member goes on working. The last few hashes are kept.

import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KvError } from '../errors.js';
import type { Machine } from '../machine/machine.js';
import { NativeExecutor } from '../machine/native/native-executor.js';

export interface StateHash {
  readonly index: number;
  readonly revision: number;
  readonly hash: string;
}

const KEPT_MAX = 8;
/** States that are hashed at once; a mark beyond is not remembered. */
const RUNNING_MAX = 2;
const CHUNKS_PER_TURN = 8;
const WAITERS_MAX = 256;

export class HashMarks {
  readonly #kept = new Map<number, Promise<StateHash>>();
  readonly #waiters = new Set<() => void>();
  #running = 0;
  #isClosed = false;

  /** From now on marks of this machine are remembered. */
  attach(machine: Machine): void {
    if (machine.native instanceof NativeExecutor) {
      machine.native.onHashMark = (index) => this.#mark(machine, index);
    }
  }

  /**
   * The hash of the mark at `index`, once this member has applied it.
   * @throws KvError KV_HASH_UNKNOWN, KV_TIMEOUT, KV_QUEUE_FULL, KV_CLOSED
   */
  async at(index: number, appliedIndex: () => number, timeoutMs: number): Promise<StateHash> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const kept = this.#kept.get(index);
      if (kept !== undefined) return kept;
      if (this.#isClosed) throw new KvError('KV_CLOSED', 'the member is stopping');
      if (appliedIndex() >= index)
        throw new KvError('KV_HASH_UNKNOWN', `no hash of index ${index} is remembered here`);
      if (performance.now() >= endMs)
        throw new KvError('KV_TIMEOUT', `this member has applied ${appliedIndex()}, not yet ${index}`);
      await this.#next(Math.min(endMs - performance.now(), POLL_MS));
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const wake of this.#waiters) wake();
  }

  /** Within apply(): must not throw. */
  #mark(machine: Machine, index: number): void {
    if (this.#isClosed || this.#running >= RUNNING_MAX) return;
    let snapshot: ReturnType<Machine['snapshot']>;
    try {
      snapshot = machine.snapshot();
    } catch {
      return; // as many views are open as may be: whoever asks hears that it is not known
    }
    this.#running += 1;
    const hash = this.#hashed(snapshot, index, machine.revision);
    hash.catch(() => this.#kept.delete(index)); // who waits for it hears why
    this.#kept.set(index, hash);
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    for (const wake of this.#waiters) wake();
  }

  async #hashed(
    snapshot: ReturnType<Machine['snapshot']>,
    index: number,
    revision: number,
  ): Promise<StateHash> {
    try {
      const hash = createHash('sha256');
      let chunks = 0;
      for (const chunk of snapshot.chunks()) {
        hash.update(chunk);
        chunks += 1;
        if (chunks % CHUNKS_PER_TURN === 0) await nextTurn();
        if (this.#isClosed) throw new KvError('KV_CLOSED', 'the member is stopping');
      }
      return { index, revision, hash: hash.digest('hex') };
    } finally {
      this.#running -= 1;
      snapshot.close();
    }
  }

  #next(timeoutMs: number): Promise<void> {
    if (this.#waiters.size >= WAITERS_MAX)
      return Promise.reject(new KvError('KV_QUEUE_FULL', `${WAITERS_MAX} calls wait for hashes`));
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(0, timeoutMs));
      this.#waiters.add(wake);
    });
  }
}

/** The index may also be passed by entries that are no marks. */
const POLL_MS = 100;
