// A number of permits for the whole cluster, given in the order in which they were asked for.

import type { Clerk } from '../client/clerk.js';
import { KvError } from '../errors.js';
import { type Held, heldAt } from './lock.js';
import { takePlace, TURN_TTL_MS, type TurnOptions, type WaitOptions } from './turn.js';

const PERMITS_MAX = 10_000;

export class Semaphore {
  readonly #clerk: Clerk;
  readonly #prefix: string;
  readonly #permits: number;
  readonly #ttlMs: number;

  /** @param permits the same for all who use the name. @throws KvError KV_OPTION_INVALID */
  constructor(clerk: Clerk, name: string, permits: number, options: TurnOptions = {}) {
    if (!(Number.isInteger(permits) && permits >= 1 && permits <= PERMITS_MAX))
      throw new KvError('KV_OPTION_INVALID', `permits should be 1 to ${PERMITS_MAX}, not ${permits}`);
    this.#clerk = clerk;
    this.#prefix = `${name}/`;
    this.#permits = permits;
    this.#ttlMs = options.ttlMs ?? TURN_TTL_MS;
  }

  /** @throws KvError KV_CANCELLED, KV_TIMEOUT, KV_LEASE_NOT_FOUND */
  async acquire(options: WaitOptions = {}): Promise<Held> {
    const place = await takePlace(this.#clerk, this.#prefix, '', this.#ttlMs, options.signal);
    return heldAt(this.#clerk, this.#prefix, place, this.#permits, options);
  }
}
