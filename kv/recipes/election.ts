// Election of one among candidates: whoever holds the lock of that name leads, and its key says who it is.
// Others look at the leader or follow the changes of it.

import type { Clerk } from '../client/clerk.js';
import { op, when } from '../client/operations.js';
import type { KvPair } from '../client/pair.js';
import { KvError } from '../errors.js';
import { type Held, heldAt } from './lock.js';
import { takePlace, TURN_TTL_MS, type TurnOptions, type WaitOptions } from './turn.js';

export interface Leader {
  /** What it said of itself. */
  readonly value: string;
  /** Its fencing token. */
  readonly token: number;
}

/** What the elected one has. */
export interface Leadership extends Held {
  /** Says something else of itself. @throws KvError KV_LEASE_NOT_FOUND: it leads no more */
  proclaim(value: string): Promise<void>;
}

export class Election {
  readonly #clerk: Clerk;
  readonly #prefix: string;
  readonly #ttlMs: number;

  constructor(clerk: Clerk, name: string, options: TurnOptions = {}) {
    this.#clerk = clerk;
    this.#prefix = `${name}/`;
    this.#ttlMs = options.ttlMs ?? TURN_TTL_MS;
  }

  /** Resolves once elected. `release()` resigns. @throws KvError KV_CANCELLED, KV_TIMEOUT, KV_LEASE_NOT_FOUND */
  async campaign(value: string, options: WaitOptions = {}): Promise<Leadership> {
    const clerk = this.#clerk;
    const place = await takePlace(clerk, this.#prefix, value, this.#ttlMs, options.signal);
    const held = await heldAt(clerk, this.#prefix, place, 1, options);
    const proclaim = async (text: string): Promise<void> => {
      const { succeeded } = await clerk
        .txn()
        .if(when.createRevision(place.key, '=', place.revision))
        .do(op.put(place.key, text, { keepLease: true }))
        .commit();
      if (!succeeded) throw new KvError('KV_LEASE_NOT_FOUND', 'somebody else leads by now');
    };
    return Object.defineProperties({ proclaim } as Leadership, Object.getOwnPropertyDescriptors(held));
  }

  /** Null while there is none. */
  async leader(): Promise<Leader | null> {
    const { pairs } = await this.#clerk.range({ prefix: this.#prefix }, { limit: 1 });
    return leaderOf(pairs[0]);
  }

  /** The leader now, and each other one as it comes; null: there is none. Ends when the signal aborts or the clerk closes. */
  async *observe({
    signal,
  }: {
    readonly signal?: AbortSignal;
  } = {}): AsyncGenerator<Leader | null, void, undefined> {
    const prefix = this.#prefix;
    let told: Leader | null | undefined;
    const isOver = (): boolean => signal?.aborted === true;
    while (!isOver()) {
      let from: number;
      try {
        const { pairs, revision } = await this.#clerk.range(
          { prefix },
          { limit: 1, ...(signal === undefined ? {} : { signal }) },
        );
        const leader = leaderOf(pairs[0]);
        if (told === undefined || leader?.token !== told?.token || leader?.value !== told?.value)
          yield leader;
        told = leader;
        from = revision + 1;
        const watch = this.#clerk.watch(
          { prefix },
          { from, keysOnly: true, ...(signal === undefined ? {} : { signal }) },
        );
        let isNews = false;
        for await (const { events } of watch.batches()) {
          isNews = events.length > 0;
          if (isNews) break;
        }
        if (!isNews) return; // the watch was ended
      } catch (error) {
        if (isOver()) return;
        if (!(error instanceof KvError) || error.code !== 'KV_COMPACTED') throw error;
      }
    }
  }
}

function leaderOf(pair: KvPair | undefined): Leader | null {
  return pair === undefined ? null : { value: pair.text, token: pair.createRevision };
}
