// Who watches what, and who is to be woken by a change.
// kv-service.ts has one; watch-stream.ts registers watches and reads the machine's history when they are woken. A watch
// keeps a revision and no events, so that a slow one costs no memory: once it is behind what the history remembers, it
// ends with KV_COMPACTED. Exact keys, prefixes and parents are looked up, so a change costs by who is interested.

import { KvError } from '../errors.js';
import { parentOf } from '../machine/native/tree-commands.js';
import type { ChangeSet } from '../machine/changes.js';
import { isTarget, type WatchTarget } from './watch-target.js';

export interface HubWatch {
  readonly target: WatchTarget;
  /** The first revision that is to be looked at; 0: everything up to now was told or concerns others. */
  pendingFrom: number;
  /** Something is to be looked at. */
  wake(): void;
}

export class WatchHub {
  readonly #watchesMax: number;
  readonly #all = new Set<HubWatch>();
  readonly #byKey = new Map<string, Set<HubWatch>>();
  readonly #byParent = new Map<string, Set<HubWatch>>();
  readonly #byPrefix = new Map<string, Set<HubWatch>>();
  /** How many prefixes there are of each length. */
  readonly #prefixLengths = new Map<number, number>();
  readonly #ranges = new Set<HubWatch>();
  /** Up to here changes were told. */
  #revision: number;

  constructor(revision: number, watchesMax: number) {
    this.#revision = revision;
    this.#watchesMax = watchesMax;
  }

  get size(): number {
    return this.#all.size;
  }

  get revision(): number {
    return this.#revision;
  }

  /** @throws KvError KV_WATCHES_FULL */
  add(watch: HubWatch): void {
    if (this.#all.size >= this.#watchesMax)
      throw new KvError('KV_WATCHES_FULL', `this member has ${this.#watchesMax} watches`);
    this.#all.add(watch);
    const { target } = watch;
    if (target.kind === 'range') {
      this.#ranges.add(watch);
      return;
    }
    const index = this.#indexOf(target.kind);
    let watches = index.get(target.text);
    if (watches === undefined) {
      index.set(target.text, (watches = new Set()));
      if (target.kind === 'prefix') this.#countLength(target.text.length, 1);
    }
    watches.add(watch);
  }

  remove(watch: HubWatch): void {
    if (!this.#all.delete(watch)) return;
    const { target } = watch;
    if (target.kind === 'range') {
      this.#ranges.delete(watch);
      return;
    }
    const index = this.#indexOf(target.kind);
    const watches = index.get(target.text)!;
    watches.delete(watch);
    if (watches.size > 0) return;
    index.delete(target.text);
    if (target.kind === 'prefix') this.#countLength(target.text.length, -1);
  }

  publish(set: ChangeSet): void {
    const { revision, changes } = set;
    this.#revision = revision;
    if (this.#all.size === 0) return;
    for (const { kind, key } of changes) {
      if (kind === 'clear') this.#markAll(this.#all, revision);
      else this.#mark(key, revision);
    }
  }

  /** The machine is another one: everybody looks whether something is missing. */
  replaced(revision: number): void {
    this.#markAll(this.#all, this.#revision + 1);
    this.#revision = revision;
  }

  #mark(key: string, revision: number): void {
    this.#markAll(this.#byKey.get(key), revision);
    if (this.#byParent.size > 0) {
      const parent = parentOf(key);
      if (parent !== null) this.#markAll(this.#byParent.get(parent), revision);
    }
    for (const length of this.#prefixLengths.keys()) {
      if (length <= key.length) this.#markAll(this.#byPrefix.get(key.slice(0, length)), revision);
    }
    for (const watch of this.#ranges) if (isTarget(watch.target, key)) mark(watch, revision);
  }

  #markAll(watches: Iterable<HubWatch> | undefined, revision: number): void {
    if (watches !== undefined) for (const watch of watches) mark(watch, revision);
  }

  #indexOf(kind: 'key' | 'prefix' | 'children'): Map<string, Set<HubWatch>> {
    if (kind === 'key') return this.#byKey;
    return kind === 'prefix' ? this.#byPrefix : this.#byParent;
  }

  #countLength(length: number, by: 1 | -1): void {
    const count = (this.#prefixLengths.get(length) ?? 0) + by;
    if (count === 0) this.#prefixLengths.delete(length);
    else this.#prefixLengths.set(length, count);
  }
}

function mark(watch: HubWatch, revision: number): void {
  if (watch.pendingFrom !== 0) return;
  watch.pendingFrom = revision;
  watch.wake();
}
