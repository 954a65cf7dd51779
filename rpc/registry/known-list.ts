// The instances of one service as a client believes in them: what the registry says, but not at once where what it
// says would take instances away for a reason that may be its own.
// resolver.ts feeds it what the registry tells. Pure: time comes in.
// - A registry that settles (it started less than a lease ago) may not have heard of everybody yet: what it does not
//   mention stays, until it has settled or says that it left.
// - An empty list after one that was not needs a second word, some time later; until then the old one stays.

import type { Instance } from '../instance.js';

export interface KnownListOptions {
  /** Between an empty list and the word that confirms it. Default 10,000. */
  emptyConfirmMs?: number;
}

export interface ListChange {
  readonly kind: 'put' | 'remove';
  readonly instance: Instance;
}

export const EMPTY_CONFIRM_MS = 10_000;

export class KnownList {
  readonly #emptyConfirmMs: number;
  /** As the registry has them, by address. */
  #listed = new Map<string, Instance>();
  /** Not mentioned by a registry that settles, by address. */
  #unmentioned = new Map<string, Instance>();
  /** What is believed while an empty list waits for its confirmation. */
  #beforeEmpty: ReadonlyMap<string, Instance> | null = null;
  #emptySinceMs = 0;

  constructor({ emptyConfirmMs = EMPTY_CONFIRM_MS }: KnownListOptions = {}) {
    this.#emptyConfirmMs = emptyConfirmMs;
  }

  /** What to go by. */
  get instances(): readonly Instance[] {
    return [...(this.#beforeEmpty ?? this.#believed()).values()];
  }

  /** The registry said that there are none, and nobody has confirmed it. */
  get awaitsConfirmation(): boolean {
    return this.#beforeEmpty !== null;
  }

  /** The whole list. */
  replace(instances: readonly Instance[], settlingMs: number, nowMs: number): void {
    const before = this.#believed();
    this.#listed = new Map(instances.map((instance) => [addressKey(instance), instance]));
    for (const [key, instance] of before) if (!this.#listed.has(key)) this.#unmentioned.set(key, instance);
    for (const key of this.#listed.keys()) this.#unmentioned.delete(key);
    this.#settle(before, settlingMs, nowMs);
  }

  change(changes: readonly ListChange[], settlingMs: number, nowMs: number): void {
    const before = this.#believed();
    for (const { kind, instance } of changes) {
      const key = addressKey(instance);
      this.#unmentioned.delete(key);
      if (kind === 'put') this.#listed.set(key, instance);
      else this.#listed.delete(key);
    }
    this.#settle(before, settlingMs, nowMs);
  }

  /** Nothing has changed. */
  confirm(settlingMs: number, nowMs: number): void {
    this.#settle(this.#believed(), settlingMs, nowMs);
  }

  #believed(): Map<string, Instance> {
    return new Map([...this.#listed, ...this.#unmentioned]);
  }

  #settle(before: ReadonlyMap<string, Instance>, settlingMs: number, nowMs: number): void {
    if (settlingMs <= 0) this.#unmentioned.clear();
    if (this.#listed.size + this.#unmentioned.size > 0) {
      this.#beforeEmpty = null;
    } else if (this.#beforeEmpty === null) {
      if (before.size === 0) return; // it was empty before, and believed to be
      this.#beforeEmpty = before;
      this.#emptySinceMs = nowMs;
    } else if (nowMs - this.#emptySinceMs >= this.#emptyConfirmMs) {
      this.#beforeEmpty = null;
    }
  }
}

/** What the lives of an instance have in common. */
function addressKey({ host, port, path }: Instance): string {
  return path ?? `${host} ${port}`;
}
