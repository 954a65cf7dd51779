// The recent changes of every service, and who waits for the next ones.
// memory-store.ts publishes; each watch keeps nothing but the revision it has told, so a slow one costs no memory:
// when it has fallen behind what is kept, it is told the whole list instead.
// Pure: no timers, no messages.

import assert from 'node:assert/strict';
import type { Change, ChangeBatch } from './record.js';

/** Batches kept per service; a watch that comes back within them need not be told the whole list. */
export const HISTORY_BATCHES_MAX = 256;

interface ServiceHistory {
  batches: ChangeBatch[];
  /** Changes up to here are not kept. */
  forgottenRevision: number;
}

export class WatchHub {
  readonly #batchesMax: number;
  readonly #histories = new Map<string, ServiceHistory>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(batchesMax: number = HISTORY_BATCHES_MAX) {
    assert(batchesMax >= 1);
    this.#batchesMax = batchesMax;
  }

  publish({ revision, changes }: ChangeBatch): void {
    for (const [service, own] of byService(changes)) {
      const history = this.#historyOf(service, revision);
      history.batches.push({ revision, changes: own });
      if (history.batches.length > this.#batchesMax) {
        history.forgottenRevision = history.batches.shift()!.revision;
      }
      this.#wake(service);
    }
  }

  /** What happened to `service` after `revision`; null when that is not known any more. */
  since(service: string, revision: number): Change[] | null {
    const history = this.#histories.get(service);
    if (history === undefined || revision < history.forgottenRevision) return null;
    return history.batches.filter((batch) => batch.revision > revision).flatMap(({ changes }) => changes);
  }

  /** The revision of the last change of `service`; null when none is known. */
  lastRevision(service: string): number | null {
    const history = this.#histories.get(service);
    return history === undefined ? null : (history.batches.at(-1)?.revision ?? history.forgottenRevision);
  }

  /** The service is not listed any more; its watches go on waiting for it. */
  forget(service: string): void {
    this.#histories.delete(service);
  }

  /** Calls `wake` at the next change of `service`, once; what it returns takes that back. */
  onNext(service: string, wake: () => void): () => void {
    let wakes = this.#waiting.get(service);
    if (wakes === undefined) this.#waiting.set(service, (wakes = new Set()));
    wakes.add(wake);
    return () => {
      const there = this.#waiting.get(service);
      there?.delete(wake);
      if (there?.size === 0) this.#waiting.delete(service);
    };
  }

  /** Wakes every watch of every service: the store closes. */
  wakeAll(): void {
    for (const service of this.#waiting.keys()) this.#wake(service);
  }

  #wake(service: string): void {
    const wakes = this.#waiting.get(service);
    if (wakes === undefined) return;
    this.#waiting.delete(service);
    for (const wake of wakes) wake();
  }

  #historyOf(service: string, revision: number): ServiceHistory {
    let history = this.#histories.get(service);
    if (history === undefined) {
      // What was before this revision is unknown: a restart or `forget` may have been in between.
      history = { batches: [], forgottenRevision: revision - 1 };
      this.#histories.set(service, history);
    }
    return history;
  }
}

function byService(changes: readonly Change[]): Map<string, Change[]> {
  const grouped = new Map<string, Change[]>();
  for (const change of changes) {
    const { service } = change.record;
    const own = grouped.get(service);
    if (own === undefined) grouped.set(service, [change]);
    else own.push(change);
  }
  return grouped;
}
