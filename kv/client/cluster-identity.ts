// Which cluster a clerk belongs to: given as an option, or what the first member that answers says of itself. From then on every
// call says it, so that a member of another cluster, which has come to listen at an address of ours, refuses the call.
// clerk-caller.ts asks it before each call.

import { Metadata } from '../../rpc/index.js';
import { KvError } from '../errors.js';
import type { KvClient } from '../proto/kv.js';
import { CLUSTER_METADATA } from '../service/cluster-check.js';
import type { Attempt } from './clerk-caller.js';

export class ClusterIdentity {
  #id = '';
  #metadata: Metadata | null = null;
  /** Members that answered and named no cluster. */
  readonly #nameless = new Set<string>();

  /** @param id in decimal digits; '' while it is to be learned */
  constructor(id: string) {
    if (id !== '') this.#learn(id);
  }

  /** '' while it is not known. */
  get id(): string {
    return this.#id;
  }

  /** What a call sends along. */
  get callOptions(): { readonly metadata?: Metadata } {
    return this.#metadata === null ? {} : { metadata: this.#metadata };
  }

  /** Whether the member at `address` is to be asked before it is given anything to do. */
  isToAsk(address: string): boolean {
    return this.#id === '' && !this.#nameless.has(address);
  }

  /** Asks a member for its cluster. @throws RpcError; KvError KV_CLUSTER_FOREIGN: another one has been learned meanwhile */
  async ask(address: string, client: KvClient, attempt: Attempt): Promise<void> {
    const { clusterId } = await client.status({}, attempt);
    if (clusterId === '') this.#nameless.add(address);
    else if (this.#id === '') this.#learn(clusterId);
    else this.check(clusterId);
  }

  /** @throws KvError KV_CLUSTER_FOREIGN: a member named another cluster than ours */
  check(clusterId: string): void {
    if (this.#id === '' || clusterId === '' || clusterId === this.#id) return;
    throw new KvError('KV_CLUSTER_FOREIGN', `the member belongs to cluster ${clusterId}, not to ${this.#id}`);
  }

  #learn(id: string): void {
    this.#id = id;
    this.#metadata = Metadata.from({ [CLUSTER_METADATA]: id });
  }
}
