import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { clientOf, Followed, TestRegistry } from './registry.js';
import { facts, registration } from './support.js';

/** A registry that has settled, with instances of no lease that anybody has to renew. */
async function settled(
  t: ConstructorParameters<typeof TestRegistry>[0],
  ports: readonly number[],
): Promise<TestRegistry> {
  const registry = new TestRegistry(t);
  await registry.clock.advance(30_000);
  for (const port of ports) await registry.store.register(registration(port, { ttlMs: 100_000_000 }));
  return registry;
}

test('the list is told at the start and pushed when it changes', async (t) => {
  const registry = await settled(t, [1, 2]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(200);
  await registry.store.register(registration(3));
  await registry.clock.settle();
  const [lease] = registry.store.dump().leases;
  await registry.store.deregister(lease!.id, [], null);
  await registry.clock.settle();
  assert.deepEqual(followed.lists, ['1 2', '1 2 3', '2 3']);
  assert.deepEqual(registry.link.calls, ['Watch']);
  assert.equal(followed.resolver.status.state, 'fresh');
});

test('the registry goes away for five minutes: the list stays, and the attempts are few', async (t) => {
  const registry = await settled(t, [1, 2]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  registry.link.set('down');
  await registry.clock.advance(300_000);
  assert.deepEqual(followed.lists, ['1 2']);
  const { state, ageMs } = followed.resolver.status;
  assert.equal(state, 'stale');
  assert(ageMs! >= 295_000, String(ageMs));
  assert(registry.link.calls.length < 70, `${registry.link.calls.length} attempts`);
  assert(
    followed.errors.every(({ code, status }) => code === 'RPC_RESOLVE_FAILED' && status === 'UNAVAILABLE'),
  );
  registry.link.set('up');
  await registry.clock.advance(5000);
  assert.equal(followed.resolver.status.state, 'fresh');
  assert.deepEqual(followed.lists, ['1 2'], 'nothing had changed');
});

test('a registry that returns without its memory takes no instance away until it has settled', async (t) => {
  const registry = await settled(t, [1, 2, 3]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  await registry.stop();
  registry.start(null);
  await registry.clock.advance(5000);
  assert.deepEqual(followed.lists, ['1 2 3']);
  await registry.store.register(registration(2, { epoch: 9 })); // one is back, with another id
  await registry.clock.advance(10_000);
  assert.equal(followed.list, '1 2 3');
  await registry.clock.advance(20_000);
  assert.equal(followed.list, '2', 'the others had a whole lease to come back');
});

test('an empty list of a settled registry is believed when it is confirmed, not before', async (t) => {
  const registry = await settled(t, [1, 2]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  for (const { id } of registry.store.dump().leases) await registry.store.deregister(id, [], null);
  await registry.clock.advance(4000);
  assert.equal(followed.list, '2', 'the last one stays');
  assert.equal(followed.resolver.status.awaitsConfirmation, true);
  await registry.clock.advance(5000);
  assert.equal(followed.list, '2');
  await registry.clock.advance(6000);
  assert.equal(followed.list, '');
  assert.equal(followed.resolver.status.awaitsConfirmation, false);
});

test('an empty list that is none any more when it is looked at again was never told', async (t) => {
  const registry = await settled(t, [1]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  const [lease] = registry.store.dump().leases;
  await registry.store.deregister(lease!.id, [], null);
  await registry.clock.advance(6000);
  await registry.store.register(registration(2));
  await registry.clock.advance(6000);
  assert.deepEqual(followed.lists, ['1', '2']);
});

test('a service that nobody serves is an empty list at once', async (t) => {
  const registry = await settled(t, []);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  assert.deepEqual(followed.lists, ['']);
});

test('strict: a list that nobody confirms for 15 s is not used, and is used again when somebody does', async (t) => {
  const registry = await settled(t, [1]);
  const followed = new Followed(registry.client(), { consistency: 'strict' });
  await registry.clock.advance(1000);
  registry.link.set('silent');
  await registry.clock.advance(13_000);
  assert.deepEqual(followed.lists, ['1']);
  await registry.clock.advance(3000);
  assert.deepEqual(followed.lists, ['1', '']);
  assert.equal(followed.resolver.status.state, 'refused');
  assert(followed.errors.some(({ code }) => code === 'RPC_LIST_STALE'));
  registry.link.set('up');
  await registry.clock.advance(10_000);
  assert.deepEqual(followed.lists, ['1', '', '1']);
});

test('a registry that says nothing for 15 s is left for another one', async (t) => {
  const first = await settled(t, [1]);
  const second = new TestRegistry(t, {}, { clock: first.clock });
  await second.store.register(registration(1, { ttlMs: 100_000_000 }));
  const followed = new Followed(clientOf(t, [first, second]));
  await first.clock.advance(1000);
  first.link.set('silent');
  await first.clock.advance(14_000);
  assert.deepEqual(second.link.calls, []);
  await first.clock.advance(3000);
  assert.deepEqual(second.link.calls, ['Watch']);
  assert.equal(followed.resolver.status.state, 'fresh');
  assert.deepEqual(followed.lists, ['1']);
});

test('refresh asks at most once in 5 s, and an absent registry at once', async (t) => {
  const registry = await settled(t, [1]);
  const { resolver } = new Followed(registry.client());
  await registry.clock.advance(1000);
  for (let burst = 0; burst < 100; burst += 1) {
    resolver.refresh();
    await registry.clock.advance(10);
  }
  await registry.clock.advance(10_000);
  assert.deepEqual(registry.link.calls, ['Watch', 'Discover', 'Discover']);
  registry.link.set('down');
  await registry.clock.advance(60_000);
  const attempts = registry.link.calls.length;
  resolver.refresh();
  await registry.clock.settle();
  await registry.clock.advance(1);
  assert.equal(registry.link.calls.length, attempts + 1);
});

test('refresh finds out what the watch did not tell', async (t) => {
  const registry = await settled(t, [1]);
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  registry.link.set('silent'); // the watch that is open hears nothing any more
  await registry.store.register(registration(2));
  await registry.clock.settle();
  registry.link.set('up');
  followed.resolver.refresh();
  await registry.clock.advance(100);
  assert.equal(followed.list, '1 2');
});

test('only what is wanted is told: version, group, tags', async (t) => {
  const registry = await settled(t, []);
  const instances = (port: number, changes: object) => ({ instances: [facts(port, changes)] });
  await registry.store.register(registration(1, instances(1, { version: '2', group: 'blue' })));
  await registry.store.register(registration(2, instances(2, { version: '2', group: 'green' })));
  await registry.store.register(registration(3, instances(3, { group: 'blue', tags: { zone: 'north' } })));
  const client = registry.client();
  const version = new Followed(client, { where: { version: '2' } });
  const group = new Followed(client, { where: { group: 'blue' } });
  const zone = new Followed(client, { where: { tags: { zone: 'north' } } });
  await registry.clock.advance(1000);
  assert.deepEqual([version.list, group.list, zone.list], ['1 2', '1 3', '3']);
});

test('a list of thousands comes in parts and is told once', async (t) => {
  const registry = new TestRegistry(t);
  for (let port = 1; port <= 1250; port += 1) await registry.store.register(registration(port));
  const followed = new Followed(registry.client());
  await registry.clock.advance(1000);
  assert.equal(followed.lists.length, 1);
  assert.equal(followed.list!.split(' ').length, 1250);
});

test('a client that starts while the registry is away begins with the list on disk', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'lists');
  const registry = await settled(t, [1, 2]);
  const before = new Followed(registry.client(), { cacheDir });
  await registry.clock.advance(5000);
  await before.resolver.close();
  await until(
    () => existsSync(cacheDir) && readdirSync(cacheDir).some((name) => name.endsWith('.instances')),
  );
  registry.link.set('down');
  const after = new Followed(registry.client(), { cacheDir });
  await registry.clock.advance(400);
  assert.deepEqual(after.lists, []);
  await registry.clock.advance(200);
  await until(() => after.lists.length === 1);
  assert.deepEqual(after.lists, ['1 2']);
  assert.equal(after.resolver.status.isFromDisk, true);
  assert.equal(after.resolver.status.state, 'stale');
  const strict = new Followed(registry.client(), { cacheDir, consistency: 'strict' });
  await registry.clock.advance(2000);
  assert.deepEqual(strict.lists, [], 'nobody confirms what is on disk');
  registry.link.set('up');
  await registry.clock.advance(10_000);
  assert.equal(after.resolver.status.state, 'fresh');
  assert.equal(after.resolver.status.isFromDisk, false);
  await Promise.all([after.resolver.close(), strict.resolver.close()]); // what they write is in the folder that goes
});

test('a damaged list on disk is told and not used', async (t) => {
  const cacheDir = temporaryFolder(t);
  const registry = await settled(t, [1]);
  const before = new Followed(registry.client(), { cacheDir });
  await registry.clock.advance(1000);
  await before.resolver.close();
  const file = join(cacheDir, 'demo.Greeter.instances');
  writeFileSync(file, readFileSync(file, 'utf8').replace('10.0.0.1', '10.0.0.9'));
  registry.link.set('down');
  const after = new Followed(registry.client(), { cacheDir });
  await registry.clock.advance(600);
  await until(() => after.errors.some(({ message }) => /checksum/.test(message)));
  assert.deepEqual(after.lists, []);
});

test('after close nothing is told and nothing waits', async (t) => {
  const registry = await settled(t, [1]);
  const client = registry.client();
  const followed = new Followed(client);
  await registry.clock.advance(1000);
  await client.close();
  await registry.store.register(registration(2));
  await registry.store.close();
  await registry.clock.advance(60_000);
  assert.deepEqual(followed.lists, ['1']);
  assert.equal(registry.clock.waiting, 0);
  assert.equal(followed.resolver.status.state, 'closed');
});
