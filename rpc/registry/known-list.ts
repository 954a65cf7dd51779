// The instances of one service as a client believes in them: what the registry says, but not at once where what it
// says would take instances away for a reason that may be its own.
// resolver.ts feeds it what the registry tells. Pure: time comes in.
// - A registry that settles (it started less than a lease ago) may not have heard of everybody yet: what it does not
//   mention stays, until it has settled or says that it left.
// - A list that is suddenly empty, or most of it gone, needs a second word some time later: resolve/keep-last-known.ts.

import type { Instance } from '../instance.js';
import { KeepLastKnown } from '../resolve/keep-last-known.js';

export interface KnownListOptions {
  /** Between a list that is too bad to be true and the word that confirms it, in ms. Default 10,000. */
  confirmMs?: number;
}

export interface ListChange {
  readonly kind: 'put' | 'remove';
  readonly instance: Instance;
}

export const CONFIRM_MS = 10_000;

export class KnownList {
  readonly #guard: KeepLastKnown;
  /** As the registry has them, by address. */
  #listed = new Map<string, Instance>();
  /** Not mentioned by a registry that settles, by address. */
  readonly #unmentioned = new Map<string, Instance>();

  constructor({ confirmMs = CONFIRM_MS }: KnownListOptions = {}) {
    this.#guard = new KeepLastKnown({ holdMs: confirmMs });
  }

  /** What to go by: one life of each address, the one that is listed where the guard keeps an earlier one too. */
  get instances(): readonly Instance[] {
    const held = this.#guard.instances;
    const listedIds = new Set(Array.from(this.#listed.values(), ({ id }) => id));
    return held.filter((instance) => listedIds.has(instance.id) || !this.#listed.has(addressKey(instance)));
  }

  /** The registry said that there are none or few, and nobody has confirmed it. */
  get awaitsConfirmation(): boolean {
    return this.#guard.isHolding;
  }

  /** The whole list. */
  replace(instances: readonly Instance[], settlingMs: number, nowMs: number): void {
    const before = this.#listed;
    this.#listed = new Map(instances.map((instance) => [addressKey(instance), instance]));
    for (const [key, instance] of before) if (!this.#listed.has(key)) this.#unmentioned.set(key, instance);
    for (const key of this.#listed.keys()) this.#unmentioned.delete(key);
    this.confirm(settlingMs, nowMs);
  }

  /** One after the other: many that leave one by one are believed, but for the last. */
  change(changes: readonly ListChange[], settlingMs: number, nowMs: number): void {
    for (const { kind, instance } of changes) {
      const key = addressKey(instance);
      this.#unmentioned.delete(key);
      if (kind === 'put') this.#listed.set(key, instance);
      else this.#listed.delete(key);
      this.confirm(settlingMs, nowMs);
    }
  }

  /** It is as the registry said last. */
  confirm(settlingMs: number, nowMs: number): void {
    if (settlingMs <= 0) this.#unmentioned.clear();
    this.#guard.offer([...this.#listed.values(), ...this.#unmentioned.values()], nowMs);
  }
}

/** What the lives of an instance have in common. */
function addressKey({ host, port, path }: Instance): string {
  return path ?? `${host} ${port}`;
}
