// MIT 6.5840, the single server and the locks on it: puts with versions, what a lost answer means, memory, and that two
// never hold a lock. The lock of the labs is a key that is put by version; the recipe of the product stands beside it.

import assert from 'node:assert/strict';
import { type Clerk, Lock } from '../../../kv/index.js';
import type { LabTest } from './catalogue.js';
import type { Lab } from './lab.js';
import { LabHistory } from './lab-history.js';
import { VersionedClerk } from './versioned-clerk.js';

function versioned(lab: Lab, client: number, history: LabHistory): VersionedClerk {
  return new VersionedClerk(lab.clerk({ session: false }), client, history, (ms) => lab.sleep(ms));
}

async function reliablePut(lab: Lab): Promise<void> {
  const clerk = versioned(lab, 0, new LabHistory(lab));
  assert.equal(await clerk.put('k', 'v', 0), 'ok');
  assert.deepEqual(await clerk.get('k'), { value: 'v', version: 1 });
  assert.equal(await clerk.put('k', 'v', 0), 'version');
  assert.equal(await clerk.put('y', 'v', 1), 'no-key');
  assert.deepEqual(await clerk.get('y'), { value: null, version: 0 });
  await clerk.close();
}

async function concurrentPuts(lab: Lab): Promise<void> {
  const history = new LabHistory(lab);
  const endMs = lab.nowMs() + 1000;
  let puts = 0;
  await Promise.all(
    Array.from({ length: 10 }, async (_, client) => {
      const clerk = versioned(lab, client, history);
      while (lab.nowMs() < endMs) {
        const { version } = await clerk.get('k');
        if ((await clerk.put('k', `${client}.${version}`, version)) === 'ok') puts += 1;
      }
      await clerk.close();
    }),
  );
  history.check();
  const clerk = versioned(lab, 10, history);
  assert.equal((await clerk.get('k')).version, puts);
  await clerk.close();
}

async function memory(lab: Lab): Promise<void> {
  const clients = lab.isVirtual ? 2_000 : 20_000;
  const value = 'v'.repeat(1000);
  const used = async (): Promise<{ state: number; heap: number | null; sessions: number }> => {
    const status = await lab.status(0);
    return {
      state: status?.memoryBytes ?? NaN,
      sessions: status?.sessions ?? NaN,
      heap: await lab.heapBytes(0),
    };
  };
  // Each client is a clerk with a session of its own, over the connections of one.
  const share = lab.clerk();
  const visit = async (): Promise<void> => {
    const clerk = lab.clerk({ sharesWith: share });
    await clerk.put('k', value);
    await clerk.close(0);
  };
  const repeat = async (count: number, work: () => Promise<unknown>): Promise<void> => {
    let left = count;
    const working = async (): Promise<void> => {
      while (left-- > 0) await work();
    };
    await Promise.all(Array.from({ length: 50 }, working));
  };
  // Changes are remembered for watches up to a bound, whoever made them: that memory is no client's, so it is filled before.
  if (!lab.isVirtual) await repeat(HISTORY_PUTS, () => share.put('k', value));
  await repeat(200, visit);
  const before = await used();
  await repeat(clients, visit);
  const after = await used();
  const stateBytes = (after.state - before.state) / clients;
  assert(stateBytes <= 10, `${stateBytes} bytes of state for a client that left`);
  assert(after.sessions <= 1, `${after.sessions} sessions are left`);
  if (before.heap !== null && after.heap !== null) {
    const heapBytes = (after.heap - before.heap) / clients;
    assert(heapBytes <= 200, `${heapBytes} bytes of memory for a client that left`);
  }
  await share.close(0);
}

/** Of 1,000 bytes: more than the 16 MiB of changes that a member remembers, where each counts value and previous value. */
const HISTORY_PUTS = 20_000;

/** Large values that are overwritten are gone. Requests have at most 1.5 MiB here, those of the labs 10. */
async function largeValues(lab: Lab): Promise<void> {
  const mib = 2 ** 20;
  const clerk = lab.clerk();
  const value = 'x'.repeat(mib);
  for (let at = 0; at < 10; at += 1) await clerk.put(`k${at}`, value);
  const full = (await lab.status(0))?.memoryBytes ?? NaN;
  assert(full >= 10 * mib && full < 12 * mib, `${full} bytes hold ten MiB`);
  for (let at = 0; at < 10; at += 1) await clerk.put(`k${at}`, '');
  const emptied = (await lab.status(0))?.memoryBytes ?? NaN;
  assert(emptied < mib, `${emptied} bytes hold nothing`);
  for (let at = 0; at < 2; at += 1) await clerk.append('both', value);
  const both = (await lab.status(0))?.memoryBytes ?? NaN;
  assert(both < 3 * mib, `${both} bytes hold two MiB`);
  await clerk.close(0);
}

async function unreliablePut(lab: Lab): Promise<void> {
  const clerk = versioned(lab, 0, new LabHistory(lab));
  let maybes = 0;
  for (let round = 0; round < 100; round += 1) {
    for (let attempt = 0; ; attempt += 1) {
      const verdict = await clerk.put('k', String(attempt), round);
      if (verdict === 'maybe') {
        maybes += 1;
        continue;
      }
      assert.equal(verdict, attempt === 0 ? 'ok' : 'version', 'a put happens once');
      break;
    }
    assert.deepEqual(await clerk.get('k'), { value: '0', version: round + 1 });
  }
  assert(maybes > 0, 'an answer was lost at some time');
  await clerk.close();
}

/** With a session there is no Maybe: a put is repeated and executed once. */
async function sessionPut(lab: Lab): Promise<void> {
  const clerk = lab.clerk();
  for (let round = 0; round < 100; round += 1) {
    const expected = round === 0 ? ('absent' as const) : { version: round };
    const { succeeded, current } = await clerk.compareAndSet('k', expected, String(round));
    assert(succeeded && current?.version === round + 1, `put ${round} was executed once`);
  }
  await clerk.close(0);
}

interface Holder {
  acquire(): Promise<void>;
  release(): Promise<void>;
  close(): Promise<void>;
}

/** The lock of the labs: a key with the name of who holds it, '' for nobody. */
class PutLock implements Holder {
  readonly #lab: Lab;
  readonly #clerk: VersionedClerk;
  readonly #name: string;
  #version = 0;

  constructor(lab: Lab, client: number) {
    this.#lab = lab;
    this.#name = `client ${client}`;
    this.#clerk = versioned(lab, client, new LabHistory(lab));
  }

  async acquire(): Promise<void> {
    for (;;) {
      const { value, version } = await this.#clerk.get('lock');
      if (value === this.#name) {
        this.#version = version;
        return; // a Maybe that was one
      }
      if (value === null || value === '') {
        if ((await this.#clerk.put('lock', this.#name, version)) === 'ok') {
          this.#version = version + 1;
          return;
        }
        continue;
      }
      await this.#lab.sleep(5 + this.#lab.random.integer(0, 10));
    }
  }

  async release(): Promise<void> {
    const verdict = await this.#clerk.put('lock', '', this.#version);
    assert(verdict === 'ok' || verdict === 'maybe', `a lock that is held cannot be released: ${verdict}`);
  }

  close(): Promise<void> {
    return this.#clerk.close();
  }
}

class RecipeLock implements Holder {
  readonly #clerk: Clerk;
  readonly #lock: Lock;
  #release: () => Promise<void> = async () => {};

  constructor(lab: Lab) {
    this.#clerk = lab.clerk();
    this.#lock = new Lock(this.#clerk, 'lock');
  }

  async acquire(): Promise<void> {
    const held = await this.#lock.acquire();
    this.#release = () => held.release();
  }

  release(): Promise<void> {
    return this.#release();
  }

  close(): Promise<void> {
    return this.#clerk.close(0);
  }
}

async function locks(lab: Lab, clients: number, make: (client: number) => Holder): Promise<void> {
  const endMs = lab.nowMs() + 2000;
  let holders = 0;
  let acquired = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const lock = make(client);
      while (lab.nowMs() < endMs) {
        await lock.acquire();
        holders += 1;
        acquired += 1;
        assert.equal(holders, 1, 'two hold the lock');
        await lab.sleep(10);
        assert.equal(holders, 1, 'two hold the lock');
        holders -= 1;
        await lock.release();
      }
      await lock.close();
    }),
  );
  assert(acquired >= clients, `the lock was held ${acquired} times`);
}

function lockLabs(kind: string, make: (lab: Lab, client: number) => Holder): LabTest[] {
  return [1, 10].flatMap((clients) =>
    [false, true].map((isUnreliable) => ({
      name: `${kind} ${clients === 1 ? 'OneClient' : 'ManyClients'}${isUnreliable ? 'Unreliable' : ''}`,
      servers: 1,
      isUnreliable,
      run: led((lab) => locks(lab, clients, (client) => make(lab, client))),
    })),
  );
}

/** The server of the labs is there at once; a member leads, even alone, after an election. */
function led(run: (lab: Lab) => Promise<void>): (lab: Lab) => Promise<void> {
  return async (lab) => {
    await lab.checkOneLeader();
    await run(lab);
  };
}

export const kvsrvLabs: readonly LabTest[] = [
  { name: 'kvsrv ReliablePut', servers: 1, run: led(reliablePut) },
  { name: 'kvsrv PutConcurrentReliable', servers: 1, run: led(concurrentPuts) },
  { name: 'kvsrv MemPutManyClientsReliable', servers: 1, snapshotBytes: 2 ** 20, run: led(memory) },
  { name: 'kvsrv LargeValues', servers: 1, snapshotBytes: 2 ** 22, run: led(largeValues) },
  { name: 'kvsrv UnreliablePut', servers: 1, isUnreliable: true, run: led(unreliablePut) },
  { name: 'kvsrv UnreliableSessionPut', servers: 1, isUnreliable: true, run: led(sessionPut) },
  ...lockLabs('lock', (lab, client) => new PutLock(lab, client)),
  ...lockLabs('lock recipe', (lab) => new RecipeLock(lab)),
];
