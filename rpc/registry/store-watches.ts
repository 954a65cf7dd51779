// The watches of a store: each is told the list or what it missed, then every change, and now and then that there was none.
// Stores publish into the hub and say what their list is; a watch that is not read costs nothing but its place.

import type { Clock } from './clock.js';
import { full } from './limits.js';
import type { ServiceList, WatchOptions, WatchPosition, WatchUpdate } from './store.js';
import type { WatchHub } from './watch-hub.js';

/** What a store says of itself. */
export interface WatchedStore {
  position(): WatchPosition;
  listed(service: string): ServiceList;
  settlingMs(): number;
}

export class StoreWatches {
  readonly #store: WatchedStore;
  readonly #hub: WatchHub;
  readonly #clock: Clock;
  readonly #watchersMax: number;
  #count = 0;
  #resyncs = 0;
  #isClosed = false;

  constructor(store: WatchedStore, hub: WatchHub, clock: Clock, watchersMax: number) {
    this.#store = store;
    this.#hub = hub;
    this.#clock = clock;
    this.#watchersMax = watchersMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Watches that had fallen behind and were told the whole list. */
  get resyncs(): number {
    return this.#resyncs;
  }

  /** @throws RpcError RPC_REGISTRY_FULL */
  async *watch(service: string, { from, progressMs, signal }: WatchOptions): AsyncGenerator<WatchUpdate> {
    if (this.#count >= this.#watchersMax)
      throw full(`the registry has ${this.#watchersMax} watches and takes no more`);
    this.#count += 1;
    try {
      let told = this.#resumable(service, from);
      if (told !== null && told === this.#store.position().revision) yield this.#progress();
      while (!signal.aborted && !this.#isClosed) {
        const update: WatchUpdate | null = this.#updateSince(service, told);
        if (update === null) {
          if (await this.#nextChange(service, progressMs, signal)) continue;
          if (!signal.aborted && !this.#isClosed) yield this.#progress();
        } else {
          if (update.kind === 'snapshot' && told !== null) this.#resyncs += 1;
          told = update.revision;
          yield update;
        }
      }
    } finally {
      this.#count -= 1;
    }
  }

  /** Ends them all. */
  close(): void {
    this.#isClosed = true;
    this.#hub.wakeAll();
  }

  /** The revision from which a watch can go on; null when it must be told everything. */
  #resumable(service: string, from: WatchPosition | null): number | null {
    const { generation, revision } = this.#store.position();
    if (from === null || from.generation !== generation || from.revision > revision) return null;
    return this.#hub.lastRevision(service) === null ? null : from.revision;
  }

  #updateSince(service: string, told: number | null): WatchUpdate | null {
    if (told !== null) {
      const last = this.#hub.lastRevision(service);
      if (last === null || last <= told) return null;
      const changes = this.#hub.since(service, told);
      if (changes !== null)
        return { kind: 'changes', changes, ...this.#store.position(), settlingMs: this.#store.settlingMs() };
    }
    return { kind: 'snapshot', ...this.#store.listed(service) };
  }

  /** Resolves to true when there may be a change, false when it is time to say that there was none. */
  #nextChange(service: string, progressMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (isChange: boolean): void => {
        forget();
        cancel();
        signal.removeEventListener('abort', onAbort);
        resolve(isChange);
      };
      const onAbort = (): void => finish(false);
      const forget = this.#hub.onNext(service, () => finish(true));
      const cancel = this.#clock.after(progressMs, () => finish(false));
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #progress(): WatchUpdate {
    return { kind: 'progress', ...this.#store.position(), settlingMs: this.#store.settlingMs() };
  }
}
