// Registrations and stores for the tests of the registry.

import type { TestContext } from 'node:test';
import {
  MemoryStore,
  type MemoryStoreOptions,
  type MemoryStoreParts,
} from '../../../rpc/registry/memory-store.js';
import type { InstanceFacts, Registration } from '../../../rpc/registry/record.js';
import type { RegistryStore, WatchOptions, WatchUpdate } from '../../../rpc/registry/store.js';
import { FakeClock } from '../../support/fake-clock.js';

export function facts(port: number, changes: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    service: 'demo.Greeter',
    host: '10.0.0.1',
    port,
    path: '',
    weight: 1,
    version: '',
    group: '',
    tags: {},
    resources: {},
    ...changes,
  };
}

export function registration(port: number, changes: Partial<Registration> = {}): Registration {
  return { leaseId: null, epoch: 1, ttlMs: 30_000, owner: null, instances: [facts(port)], ...changes };
}

export interface TestStore {
  readonly store: MemoryStore;
  readonly clock: FakeClock;
  /** Leases that the guard held. */
  readonly held: string[];
}

export function openStore(
  t: TestContext,
  options: MemoryStoreOptions = {},
  parts: Partial<MemoryStoreParts> & { clock?: FakeClock } = {},
): TestStore {
  const clock = parts.clock ?? new FakeClock();
  const held: string[] = [];
  let ids = 0;
  const store = new MemoryStore(
    {
      newId: () => `id-${(ids += 1)}`,
      probe: null,
      restored: null,
      onChange: () => {},
      onHold: ({ id }) => held.push(id),
      ...parts,
      clock,
    },
    options,
  );
  t.after(() => store.close());
  return { store, clock, held };
}

/** Reads a watch one update at a time. */
export class WatchReader {
  readonly #stopping = new AbortController();
  readonly #updates: AsyncIterator<WatchUpdate>;

  constructor(t: TestContext, store: RegistryStore, options: Partial<Omit<WatchOptions, 'signal'>> = {}) {
    const { signal } = this.#stopping;
    const updates = store.watch('demo.Greeter', { from: null, progressMs: 5000, ...options, signal });
    this.#updates = updates[Symbol.asyncIterator]();
    t.after(() => this.#stopping.abort());
  }

  async next(): Promise<WatchUpdate> {
    const { value, done } = await this.#updates.next();
    if (done === true) throw new Error('the watch ended');
    return value;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#updates.return?.();
  }
}

/** One line for what an update says. */
export function told(update: WatchUpdate): string {
  switch (update.kind) {
    case 'snapshot':
      return ['snapshot', ...update.instances.map(({ port }) => port)].join(' ');
    case 'changes':
      return update.changes.map(({ kind, record }) => `${kind} ${record.port}`).join(', ');
    case 'progress':
      return 'progress';
    default:
      return update satisfies never;
  }
}
