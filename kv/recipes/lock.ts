// A lock of the whole cluster: one holder at a time, in the order in which they asked, and the next as soon as a holder lets
// go or its lease runs out. What the holder writes elsewhere should carry its token: a later holder's is larger, so that the
// other side can refuse one that was stopped for so long that it has lost the lock without knowing (docs/kv-recipes.md).

import type { Clerk } from '../client/clerk.js';
import { KvError } from '../errors.js';
import {
  leave,
  type Place,
  takePlace,
  TURN_TTL_MS,
  type TurnOptions,
  type TurnWait,
  waitForTurn,
  type WaitOptions,
} from './turn.js';

/** What somebody holds. */
export interface Held {
  /** Fencing token: the revision of the holder's key, larger for every later holder. */
  readonly token: number;
  /** The holder's key, which is there as long as it is held: `when.createRevision(held.key, '=', held.token)`. */
  readonly key: Buffer;
  /** Aborts at once when it is lost, or may be, and when it is released; the reason is a KvError. */
  readonly signal: AbortSignal;
  /** Asks the clock: false no later than the store may have given it to another. */
  readonly isHeld: boolean;
  /** Idempotent. @throws KvError: it is not held any more, but others may wait until the lease runs out */
  release(): Promise<void>;
}

export class Lock {
  readonly #clerk: Clerk;
  readonly #prefix: string;
  readonly #ttlMs: number;
  readonly #value: string;

  /** @param name of the lock: its keys begin with it and a slash. `value` tells people who holds it */
  constructor(clerk: Clerk, name: string, options: TurnOptions & { readonly value?: string } = {}) {
    this.#clerk = clerk;
    this.#prefix = `${name}/`;
    this.#ttlMs = options.ttlMs ?? TURN_TTL_MS;
    this.#value = options.value ?? '';
  }

  /** @throws KvError KV_CANCELLED, KV_TIMEOUT: the wait was ended; KV_LEASE_NOT_FOUND: the place in the queue was lost */
  async acquire(options: WaitOptions = {}): Promise<Held> {
    const place = await takePlace(this.#clerk, this.#prefix, this.#value, this.#ttlMs, options.signal);
    return heldAt(this.#clerk, this.#prefix, place, 1, options);
  }

  /** Null where somebody else holds it. */
  async tryAcquire(): Promise<Held | null> {
    const { pairs } = await this.#clerk.range({ prefix: this.#prefix }, { limit: 1, keysOnly: true });
    if (pairs.length > 0) return null;
    try {
      const place = await takePlace(this.#clerk, this.#prefix, this.#value, this.#ttlMs);
      return await heldAt(this.#clerk, this.#prefix, place, 1, { looksOnce: true });
    } catch (error) {
      if (error instanceof KvError && error.code === 'KV_BUSY') return null;
      throw error;
    }
  }

  /** Runs `work` while it is held: `signal` tells when it is not any more. */
  async with<T>(work: (held: Held) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    const held = await this.acquire(options);
    try {
      return await work(held);
    } finally {
      await held.release();
    }
  }
}

/** Waits at a place; without success nothing of it is left. */
export async function heldAt(
  clerk: Clerk,
  prefix: string,
  place: Place,
  permits: number,
  options: TurnWait,
): Promise<Held> {
  const { lease, key, revision } = place;
  try {
    await waitForTurn(clerk, prefix, place, permits, options);
  } catch (error) {
    await leave(lease);
    throw error;
  }
  return {
    token: revision,
    key,
    signal: lease.signal,
    get isHeld() {
      return lease.isAlive;
    },
    release: async () => {
      if (!lease.signal.aborted) await lease.revoke();
    },
  };
}
