// A whole registry in this process, its clients beside it, on one clock that the test moves.

import type { TestContext } from 'node:test';
import { RegistryAccess } from '../../../rpc/registry/access.js';
import type {
  MemoryStore,
  MemoryStoreOptions,
  MemoryStoreParts,
} from '../../../rpc/registry/memory-store.js';
import { RegistryClient, type RegistryClientOptions } from '../../../rpc/registry/registry-client.js';
import { registryContract } from '../../../rpc/registry/registry-contract.js';
import { RegistryService } from '../../../rpc/registry/service.js';
import type { StateDump } from '../../../rpc/registry/state.js';
import { TokenRules } from '../../../rpc/registry/token-rules.js';
import type { RpcError } from '../../../rpc/errors.js';
import type { Instance } from '../../../rpc/instance.js';
import type { RegistryResolver, RegistryResolverOptions } from '../../../rpc/registry/resolver.js';
import { FakeClock } from '../../support/fake-clock.js';
import { MemoryLink } from '../../support/memory-caller.js';
import { openStore } from './support.js';

export class TestRegistry {
  readonly clock: FakeClock;
  readonly link: MemoryLink;
  readonly refusals: string[] = [];
  store: MemoryStore;
  service: RegistryService;
  rules: TokenRules | null = null;
  readonly #t: TestContext;
  readonly #options: MemoryStoreOptions;

  constructor(
    t: TestContext,
    options: MemoryStoreOptions = {},
    parts: Partial<MemoryStoreParts> & { clock?: FakeClock } = {},
  ) {
    this.#t = t;
    this.#options = options;
    this.clock = parts.clock ?? new FakeClock();
    [this.store, this.service] = this.#open(parts);
    this.link = new MemoryLink(this.service.implementation(registryContract()));
  }

  /** It is away from now on, with all sessions and watches. */
  async stop(): Promise<StateDump> {
    const dump = this.store.dump();
    this.link.set('down');
    this.service.stop();
    await this.store.close();
    return dump;
  }

  /** Another life of it. */
  start(restored: StateDump | null): void {
    [this.store, this.service] = this.#open({ restored });
    this.link.implementation = this.service.implementation(registryContract());
    this.link.set('up');
  }

  client(options: RegistryClientOptions = {}, others: readonly TestRegistry[] = []): RegistryClient {
    return clientOf(this.#t, [this, ...others], options);
  }

  #open(parts: Partial<MemoryStoreParts>): [MemoryStore, RegistryService] {
    const { store } = openStore(this.#t, this.#options, { ...parts, clock: this.clock, newId: newId() });
    const access = new RegistryAccess(() => this.rules);
    const service = new RegistryService({
      store,
      access,
      onRefusal: (method, code) => this.refusals.push(`${method} ${code}`),
    });
    return [store, service];
  }
}

/** The random numbers are 0: no jitter, the first registry first. */
export function clientOf(
  t: TestContext,
  registries: readonly TestRegistry[],
  options: RegistryClientOptions = {},
): RegistryClient {
  const endpoints = registries.map(({ link }, index) => ({ name: `registry-${index}`, caller: link }));
  const { clock } = registries[0]!;
  const client = new RegistryClient(
    { contract: registryContract(), endpoints, clock, random: () => 0 },
    options,
  );
  t.after(() => client.close());
  return client;
}

/** A resolver with what it told so far. */
export class Followed {
  readonly resolver: RegistryResolver;
  readonly lists: string[] = [];
  readonly errors: RpcError[] = [];

  constructor(client: RegistryClient, options: RegistryResolverOptions = {}, service = 'demo.Greeter') {
    this.resolver = client.resolver(service, options);
    this.resolver.start({
      onInstances: (instances) => this.lists.push(portsOf(instances)),
      onError: (error) => this.errors.push(error),
    });
  }

  /** Ports of the last list, in order. */
  get list(): string | undefined {
    return this.lists.at(-1);
  }
}

export function portsOf(instances: readonly Instance[]): string {
  return instances
    .map(({ port }) => port)
    .toSorted((a, b) => a - b)
    .join(' ');
}

let lives = 0;

/** Ids differ between the lives of a registry too. */
function newId(): () => string {
  const life = (lives += 1);
  let count = 0;
  return () => `${life}-${(count += 1)}`;
}
