// The one seat of a farm whose main nodes keep their state in the Raft KV: whoever has it serves, the others stand by.
// cli/render-main.ts takes it before it starts a main node with the store that comes with it, and gives it back after that.

import { setTimeout as delay } from 'node:timers/promises';
import { Clerk, type ClerkOptions, Election, KvError, type Leadership } from '../../kv/index.js';
import type { Logger } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import { KvJobStore, type KvJobStoreOptions } from './kv-job-store.js';

export interface MainSeatOptions {
  /** Of the farm: its keys in the KV begin with it and a slash. */
  readonly name: string;
  /** How long the others wait for a main node that says nothing any more, in ms. */
  readonly ttlMs: number;
  /** What it says of itself while it has the seat. */
  readonly value: string;
}

/** Before a KV that cannot be reached is asked again. */
const RETRY_MS = 1000;

export class MainSeat {
  readonly #clerk: Clerk;
  readonly #leadership: Leadership;
  readonly #name: string;

  private constructor(clerk: Clerk, leadership: Leadership, name: string) {
    this.#clerk = clerk;
    this.#leadership = leadership;
    this.#name = name;
  }

  /**
   * Resolves once it is ours, however long that takes. A KV that cannot be reached is told once and asked again.
   * @throws RenderError RENDER_CANCELED: `signal` aborted; RENDER_OPTION_INVALID, RENDER_UNAUTHORIZED
   */
  static async take(
    logger: Logger,
    kv: ClerkOptions,
    { name, ttlMs, value }: MainSeatOptions,
    signal: AbortSignal,
  ): Promise<MainSeat> {
    const clerk = clerkOf(kv);
    let isTold = false;
    try {
      for (;;) {
        try {
          const election = new Election(clerk, `${name}/main`, { ttlMs });
          return new MainSeat(clerk, await election.campaign(value, { signal }), name);
        } catch (error) {
          if (signal.aborted)
            throw new RenderError('RENDER_CANCELED', 'nobody waits for the seat any more', { cause: error });
          if (!(error instanceof KvError)) throw error;
          if (error.code === 'KV_REFUSED')
            throw new RenderError('RENDER_UNAUTHORIZED', error.message, { cause: error });
          if (!isTold)
            logger.warn(
              { code: error.code },
              `the seat cannot be had yet, it is tried again: ${error.message}`,
            );
          isTold = true;
        }
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined); // it aborted: the next try says so
      }
    } catch (error) {
      await clerk.close(0);
      throw error;
    }
  }

  /** Aborts when another main node may have the seat: nothing is kept from then on. */
  get lost(): AbortSignal {
    return this.#leadership.signal;
  }

  /** Of the jobs of this farm, for the main node that has the seat. */
  store(onFailure: (error: RenderError) => void, options: KvJobStoreOptions = {}): KvJobStore {
    return new KvJobStore(this.#clerk, this.#leadership, this.#name, onFailure, options);
  }

  /** Says something else of itself. */
  async proclaim(value: string): Promise<void> {
    try {
      await this.#leadership.proclaim(value);
    } catch (error) {
      if (!(error instanceof KvError)) throw error; // whoever lost the seat hears of that by `lost`
    }
  }

  /** Gives it to the next one at once. */
  async close(): Promise<void> {
    try {
      await this.#leadership.release();
    } catch (error) {
      if (!(error instanceof KvError)) throw error; // then the lease runs out
    }
    await this.#clerk.close(0);
  }
}

function clerkOf(options: ClerkOptions): Clerk {
  try {
    return new Clerk(options);
  } catch (cause) {
    if (!(cause instanceof KvError)) throw cause;
    throw new RenderError('RENDER_OPTION_INVALID', cause.message, { cause });
  }
}
