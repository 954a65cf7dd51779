// The resolver of a list that is known from the start.

import type { Instance, Resolver, ResolverListener } from '../instance.js';
import { refuseTwins } from './instance-list.js';

export class StaticResolver implements Resolver {
  readonly #instances: readonly Instance[];

  /** See `instanceOf` and `parseInstance`. @throws RpcError RPC_OPTION_INVALID: two have the same id */
  constructor(instances: readonly Instance[]) {
    refuseTwins(instances);
    this.#instances = [...instances];
  }

  start(listener: ResolverListener): void {
    listener.onInstances(this.#instances);
  }

  refresh(): void {
    // the list does not change
  }

  async close(): Promise<void> {
    // nothing is open
  }
}
