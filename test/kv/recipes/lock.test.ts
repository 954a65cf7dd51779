import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { type Clerk, Election, type Held, type KvError, Lock, Semaphore } from '../../../kv/index.js';
import { serveCluster, type ServedCluster } from '../client/support.js';
import { seededRandom } from '../support/seeded-random.js';

const TTL_MS = 60_000;
const SEED = 20_251;

/** What a lock protects: it refuses whoever comes with an older token than it has seen. */
class Resource {
  readonly accepted: number[] = [];
  refused = 0;
  #largest = 0;

  write(token: number): boolean {
    if (token < this.#largest) {
      this.refused += 1;
      return false;
    }
    this.#largest = token;
    this.accepted.push(token);
    return true;
  }
}

test('ten clients never hold a lock at the same time, and every later holder has a larger token', async (t) => {
  const cluster = await serveCluster(t);
  const held = new Set<number>();
  const tokens: number[] = [];
  await Promise.all(
    Array.from({ length: 10 }, async (_, client) => {
      const lock = new Lock(cluster.clerk(), 'locks/a', { ttlMs: TTL_MS, value: String(client) });
      for (let round = 0; round < 4; round += 1) {
        await lock.with(async ({ token, isHeld }) => {
          assert.deepEqual([...held, isHeld], [true], 'nobody else holds it');
          held.add(client);
          tokens.push(token);
          await new Promise(setImmediate);
          held.delete(client);
        });
      }
    }),
  );
  assert.equal(tokens.length, 40);
  assert.deepEqual(
    tokens,
    tokens.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(tokens).size, 40);
  assert.equal(await cluster.clerk().count({ prefix: 'locks/a/' }), 0, 'nothing is left behind');
});

test('holders that die are followed by the next, and what they write late is refused by its token', async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = seededRandom(SEED);
  const cluster = await serveCluster(t);
  const resource = new Resource();
  const living = new Map<Clerk, Held | null>();
  const dead: Held[] = [];
  const waiting = Array.from({ length: 10 }, async () => {
    const clerk = cluster.clerk();
    living.set(clerk, null);
    const lock = new Lock(clerk, 'locks/b', { ttlMs: TTL_MS });
    const held = await lock.acquire();
    assert.equal([...living.values()].filter((other) => other !== null).length, 0, 'nobody living holds it');
    living.set(clerk, held);
    assert.equal(resource.write(held.token), true);
    if (random() < 0.5) {
      living.delete(clerk);
      await held.release();
      return;
    }
    // It dies: the others get on once its lease has run out, and theirs have not.
    living.delete(clerk);
    dead.push(held);
    await clerk.close(0);
    assert.equal(held.signal.aborted, true);
    for (let step = 0; step < 4; step += 1) await passTime(cluster, living, TTL_MS / 4);
  });
  await Promise.all(waiting);
  assert.equal(resource.accepted.length, 10);
  assert(dead.length > 0 && dead.length < 10, `${dead.length} died`);
  const last = Math.max(...resource.accepted);
  const late = dead.filter(({ token }) => token < last);
  for (const { token } of late) assert.equal(resource.write(token), false);
  assert.equal(resource.refused, late.length);
});

/** The store's time passes, and all that live keep what they have. */
async function passTime(
  cluster: ServedCluster,
  living: ReadonlyMap<Clerk, unknown>,
  byMs: number,
): Promise<void> {
  await Promise.all([...living.keys()].map((clerk) => clerk.keepLeasesAlive()));
  cluster.backend.advance(byMs);
  await Promise.all([...living.keys()].map((clerk) => clerk.keepLeasesAlive()));
}

test('losing the lease is told to the holder at once, and to whoever waits', async (t) => {
  const cluster = await serveCluster(t);
  const clerk = cluster.clerk();
  const held = await new Lock(clerk, 'locks/c', { ttlMs: TTL_MS }).acquire();
  const other = new Lock(cluster.clerk(), 'locks/c', { ttlMs: TTL_MS }).acquire();
  other.catch(() => {}); // judged below
  await waitingKeys(cluster, 'locks/c/', 2);
  cluster.backend.advance(TTL_MS);
  await assert.rejects(other, { code: 'KV_LEASE_NOT_FOUND' });
  const lost = once(held.signal, 'abort');
  await clerk.keepLeasesAlive();
  await lost;
  assert.equal(held.isHeld, false);
  assert.equal((held.signal.reason as KvError).code, 'KV_LEASE_NOT_FOUND');
});

async function waitingKeys({ clerk }: ServedCluster, prefix: string, count: number): Promise<void> {
  const looking = clerk();
  while ((await looking.count({ prefix })) < count) await new Promise(setImmediate);
}

test('a lock that is held is not given to whoever only tries, and a wait can be ended', async (t) => {
  const cluster = await serveCluster(t);
  const [first, second] = [cluster.clerk(), cluster.clerk()].map((clerk) => new Lock(clerk, 'locks/d'));
  const held = (await first!.tryAcquire())!;
  assert.equal(await second!.tryAcquire(), null);
  await assert.rejects(second!.acquire({ timeoutMs: 50 }), { code: 'KV_TIMEOUT' });
  const abort = new AbortController();
  const waiting = second!.acquire({ signal: abort.signal });
  waiting.catch(() => {}); // judged below
  await waitingKeys(cluster, 'locks/d/', 2);
  abort.abort();
  await assert.rejects(waiting, { code: 'KV_CANCELLED' });
  assert.equal(await cluster.clerk().count({ prefix: 'locks/d/' }), 1, 'who gave up is not in the way');
  await held.release();
  await held.release();
  assert.notEqual(await second!.tryAcquire(), null);
});

test('a semaphore lets in as many as it has permits, in the order in which they came', async (t) => {
  const cluster = await serveCluster(t);
  let inside = 0;
  let most = 0;
  const tokens: number[] = [];
  await Promise.all(
    Array.from({ length: 9 }, async () => {
      const held = await new Semaphore(cluster.clerk(), 'sem', 3, { ttlMs: TTL_MS }).acquire();
      inside += 1;
      most = Math.max(most, inside);
      tokens.push(held.token);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      inside -= 1;
      await held.release();
    }),
  );
  assert.equal(tokens.length, 9);
  assert(most > 1 && most <= 3, `${most} were inside together`);
});

test('one candidate is elected, says who it is, and is followed by the next when it resigns or dies', async (t) => {
  const cluster = await serveCluster(t);
  const clerks = [cluster.clerk(), cluster.clerk(), cluster.clerk()];
  const [one, two, watcher] = clerks.map((clerk) => new Election(clerk, 'election', { ttlMs: TTL_MS }));
  const abort = new AbortController();
  const seen = watcher!.observe({ signal: abort.signal });
  const next = async () => (await seen.next()).value;
  assert.equal(await next(), null);
  const first = await one!.campaign('one');
  assert.deepEqual(await next(), { value: 'one', token: first.token });
  await first.proclaim('still one');
  assert.deepEqual(await next(), { value: 'still one', token: first.token });
  const campaign = two!.campaign('two');
  await waitingKeys(cluster, 'election/', 2);
  await clerks[0]!.close(0); // it dies without a word
  await clerks[1]!.keepLeasesAlive();
  cluster.backend.advance(TTL_MS / 2);
  await clerks[1]!.keepLeasesAlive();
  cluster.backend.advance(TTL_MS / 2);
  const second = await campaign;
  assert(second.token > first.token);
  assert.deepEqual(await next(), { value: 'two', token: second.token });
  assert.equal(first.signal.aborted, true);
  assert.deepEqual((await watcher!.leader())!.value, 'two');
  await second.release();
  assert.equal(await next(), null);
  await assert.rejects(second.proclaim('late'), { code: 'KV_LEASE_NOT_FOUND' });
  abort.abort();
  assert.equal((await seen.next()).done, true);
});
