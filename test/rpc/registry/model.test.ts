// Random days of a registry, replayed from a seed: whatever happens, and however slowly watches are read, each of them
// ends up with the list that the store has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WatchPosition, WatchUpdate } from '../../../rpc/registry/store.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { facts, openStore, registration, WatchReader } from './support.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? Date.now() % 1_000_000);
const DAYS = 40;
const STEPS = 120;

/** A client that remembers what it was told, and nothing else. */
class Follower {
  readonly ids = new Set<string>();
  position: WatchPosition | null = null;

  take(update: WatchUpdate): void {
    if (update.kind === 'snapshot') {
      this.ids.clear();
      for (const { id } of update.instances) this.ids.add(id);
    } else if (update.kind === 'changes') {
      for (const { kind, record } of update.changes) {
        if (kind === 'put') this.ids.add(record.id);
        else assert(this.ids.delete(record.id), `${kind} of ${record.id}, which was not listed`);
      }
    }
    this.position = { revision: update.revision, generation: update.generation };
  }
}

test(`every watch ends up with the store's list (REACTOR_TEST_SEED=${SEED})`, async (t) => {
  for (let day = 0; day < DAYS; day += 1) {
    const random = new SeededRandom(SEED + day);
    const { store, clock } = openStore(t, {
      historyBatchesMax: random.integer(1, 20),
      emptyGraceMs: 20_000,
      guard: { expiryShareMax: random.chance(0.5) ? 1 : 0.5 },
    });
    const leases: string[] = [];
    const followers = [new Follower(), new Follower(), new Follower()] as const;
    for (let step = 0; step < STEPS; step += 1) {
      const port = random.integer(1, 6);
      const lease = random.pick([leases[0] ?? 'none', leases.at(-1) ?? 'none', 'unknown']);
      const roll = random.fraction();
      if (roll < 0.4) {
        const names = random.chance(0.3) ? ['demo.Greeter', 'demo.Other'] : ['demo.Greeter'];
        const instances = names.map((service) => facts(port, { service, weight: random.integer(1, 3) }));
        const request = {
          instances,
          epoch: random.integer(1, 4),
          leaseId: random.chance(0.3) ? lease : null,
        };
        const granted = await store.register(registration(port, request)).catch((error: { code: string }) => {
          assert.equal(error.code, 'RPC_SUPERSEDED');
          return null;
        });
        if (granted !== null) leases.push(granted.lease.id);
      } else if (roll < 0.5) await store.deregister(lease, random.chance(0.5) ? [] : ['demo.Other'], null);
      else if (roll < 0.65) await store.heartbeat(lease, null);
      else if (roll < 0.7) await store.confirmExpiry('demo.Greeter');
      else if (roll < 0.8) await clock.advance(random.integer(0, 15_000));
      else await read(random.pick(followers));
      if (leases.length > 4) leases.shift();
    }
    for (const follower of followers) {
      await read(follower);
      const { instances } = await store.list('demo.Greeter');
      assert.deepEqual(
        [...follower.ids].toSorted(compare),
        instances.map(({ id }) => id).toSorted(compare),
        `seed ${SEED + day}`,
      );
    }
    const { instances, leases: leaseCount } = store.figures();
    const { records, leases: dumped } = store.dump();
    assert.equal(records.length, instances, `seed ${SEED + day}`);
    assert.equal(dumped.length, leaseCount);
    const owned = new Set(dumped.map(({ id }) => id));
    assert(records.every(({ leaseId }) => owned.has(leaseId)));
    await store.close();

    /** One message of a watch that goes on where the last one ended. */
    async function read(follower: Follower): Promise<void> {
      const watch = new WatchReader(t, store, { from: follower.position, progressMs: 1 });
      const next = watch.next();
      await clock.advance(1);
      follower.take(await next);
      await watch.stop();
    }
  }
});

function compare(a: string, b: string): number {
  return a.localeCompare(b);
}
