// The stores that a registry may stand on, so that what is true of one is asked of all.
// The replicated one stands on a member of its own over a real socket; its clock is the test's, and so is the log's time.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { Clerk, KvRegistryStore } from '../../../kv/index.js';
import type { MemoryStoreOptions, MemoryStoreParts } from '../../../rpc/registry/memory-store.js';
import type { RegistryStore } from '../../../rpc/registry/store.js';
import { serveMember } from '../../kv/client/support.js';
import { LocalBackend } from '../../kv/support/local-backend.js';
import { FakeClock } from '../../support/fake-clock.js';
import { openStore } from './support.js';

export interface OpenedStore {
  readonly store: RegistryStore;
  readonly clock: FakeClock;
  /** Leases that the guard held. */
  readonly held: string[];
}

export interface NamedStore {
  readonly name: string;
  readonly open: (
    t: TestContext,
    options?: MemoryStoreOptions,
    parts?: Partial<Pick<MemoryStoreParts, 'probe'>>,
  ) => Promise<OpenedStore>;
}

export const STORES: readonly NamedStore[] = [
  { name: 'in memory', open: async (t, options = {}, parts = {}) => openStore(t, options, parts) },
  { name: 'over the KV', open: openKvStore },
];

const STEP_MS = 1000;

/** Time passes for the store behind too, step by step, and everything that follows from a step is done before the next. */
class StoreClock extends FakeClock {
  onStep: (ms: number) => Promise<void> = async () => {};

  override async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      const stepMs = Math.min(left, STEP_MS);
      await super.advance(stepMs);
      await this.onStep(stepMs);
    }
  }
}

async function openKvStore(
  t: TestContext,
  options: MemoryStoreOptions = {},
  { probe = null }: Partial<Pick<MemoryStoreParts, 'probe'>> = {},
): Promise<OpenedStore> {
  const backend = new LocalBackend();
  const member = await serveMember(backend);
  const clerk = new Clerk({ endpoints: [member.address], timeoutMs: 60_000, sessionTtlMs: 86_400_000 });
  const clock = new StoreClock();
  const held: string[] = [];
  let ids = 0;
  const store = await KvRegistryStore.open({
    clerk,
    clock,
    newId: () => `id-${(ids += 1)}`,
    probe,
    onHold: ({ id }) => held.push(id),
    onFailure: (error) => t.diagnostic(String(error)),
    options,
  });
  t.after(async () => {
    await store.close();
    await clerk.close(0);
    await member.stop();
    backend.close();
  });
  clock.onStep = async (ms) => {
    backend.advance(ms);
    await clerk.keepLeasesAlive();
    await store.settled();
  };
  while (!store.isSweeping) await nextTurn();
  return { store, clock, held };
}
