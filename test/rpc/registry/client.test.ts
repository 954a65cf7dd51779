import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRegistry, RpcError } from '../../../rpc/index.js';
import { clientOf, portsOf, TestRegistry } from './registry.js';

const GREETER = { port: 5001, services: [{ service: 'demo.Greeter' }] };

async function listed(registry: TestRegistry): Promise<string> {
  const { instances } = await registry.store.list('demo.Greeter');
  return instances.map(({ host, port }) => `${host}:${port}`).join(' ');
}

test('a server registers with the address the registry sees, and its heartbeats keep it listed', async (t) => {
  const registry = new TestRegistry(t);
  const registration = registry.client().register(GREETER);
  await registry.clock.advance(0);
  await registration.registered();
  assert.equal(await listed(registry), '127.0.0.1:5001');
  await registry.clock.advance(300_000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
  assert.equal(registry.store.figures().heartbeats, 61, 'one at once, then one every 5 s');
  assert.deepEqual(registry.link.calls, ['Register', 'KeepAlive'], 'all on one session');
});

test('a process that ends without a word is gone when its lease has run out', async (t) => {
  const registry = new TestRegistry(t);
  const client = registry.client();
  client.register(GREETER);
  await registry.clock.advance(7000);
  await client.close();
  await registry.clock.advance(25_000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
  await registry.clock.advance(6000);
  assert.equal(await listed(registry), '');
});

test('a server may start before its registry does', async (t) => {
  const registry = new TestRegistry(t);
  registry.link.set('down');
  const states: string[] = [];
  const registration = registry.client().register({
    ...GREETER,
    onState: (state, reason) => states.push(`${state} ${reason?.code ?? ''}`),
  });
  await registry.clock.advance(60_000);
  assert(states.length > 5 && states.length < 25, `${states.length} attempts in a minute`);
  assert.equal(states[0], 'connecting RPC_CONNECT_FAILED');
  registry.link.set('up');
  await registry.clock.advance(5000);
  assert.deepEqual(registration.states, { 'registry-0': 'registered' });
  assert.equal(await listed(registry), '127.0.0.1:5001');
});

test('what is told of states and throws does not end the registration', async (t) => {
  const registry = new TestRegistry(t);
  registry.client().register({
    ...GREETER,
    onState: () => {
      throw new TypeError('a bug of mine');
    },
  });
  await registry.clock.advance(60_000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
});

test('a registry that restarts with what it knew is not noticed but by the lost session', async (t) => {
  const registry = new TestRegistry(t);
  registry.client().register(GREETER);
  await registry.clock.advance(10_000);
  const dump = await registry.stop();
  await registry.clock.advance(20_000);
  registry.start(dump);
  await registry.clock.advance(6000);
  assert.equal(registry.store.figures().leases, 1);
  assert.equal(registry.store.figures().revision, dump.revision, 'nothing has changed for anybody');
  await registry.clock.advance(60_000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
});

test('a registry that restarts without its memory is told again', async (t) => {
  const registry = new TestRegistry(t);
  registry.client().register(GREETER);
  await registry.clock.advance(10_000);
  await registry.stop();
  registry.start(null);
  assert.equal(await listed(registry), '');
  await registry.clock.advance(6000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
});

test('a lease that the registry lost under a session is granted anew', async (t) => {
  const registry = new TestRegistry(t);
  registry.client().register(GREETER);
  await registry.clock.advance(1000);
  const [lease] = registry.store.dump().leases;
  await registry.store.deregister(lease!.id, [], null);
  await registry.clock.advance(6000);
  assert.equal(await listed(registry), '127.0.0.1:5001');
  assert.notEqual(registry.store.dump().leases[0]!.id, lease!.id);
});

test('a registry that says nothing any more is given up and found again', async (t) => {
  const registry = new TestRegistry(t);
  const registration = registry.client().register(GREETER);
  await registry.clock.advance(6000);
  registry.link.set('silent');
  await registry.clock.advance(20_000);
  assert.equal(registry.link.calls.filter((name) => name === 'Register').length, 2);
  registry.link.set('down');
  registry.link.set('up');
  await registry.clock.advance(6000);
  assert.deepEqual(Object.values(registration.states), ['registered']);
});

test('deregistering is acknowledged, or given up after a second', async (t) => {
  const registry = new TestRegistry(t);
  const registration = registry.client().register(GREETER);
  await registry.clock.advance(1000);
  assert.equal(await registration.deregister(), true);
  assert.equal(await listed(registry), '');
  assert.deepEqual(Object.values(registration.states), ['closed']);

  const other = registry.client().register({ ...GREETER, port: 5002 });
  await registry.clock.advance(1000);
  registry.link.set('silent');
  let answer: boolean | null = null;
  const leaving = other.deregister().then((acknowledged) => (answer = acknowledged));
  await registry.clock.advance(999);
  assert.equal(answer, null);
  await registry.clock.advance(1);
  await leaving;
  assert.equal(answer, false);
});

test('deregistering from a registry that was never there is over at once', async (t) => {
  const registry = new TestRegistry(t);
  registry.link.set('down');
  const registration = registry.client().register(GREETER);
  await registry.clock.advance(1000);
  assert.equal(await registration.deregister(), true);
  await assert.rejects(registration.registered(), { code: 'RPC_CLOSED' });
});

test('what is served changes under the same lease', async (t) => {
  const registry = new TestRegistry(t);
  const registration = registry.client().register(GREETER);
  await registry.clock.advance(1000);
  registration.update([{ service: 'demo.Greeter', weight: 3 }, { service: 'demo.Other' }]);
  await registry.clock.advance(1000);
  assert.equal((await registry.store.list('demo.Greeter')).instances[0]!.weight, 3);
  assert.equal((await registry.store.list('demo.Other')).instances.length, 1);
  assert.equal(registry.store.figures().leases, 1);
});

test('a change that comes while the registration is under way is not lost', async (t) => {
  const registry = new TestRegistry(t);
  const registration = registry.client().register(GREETER);
  registration.update([{ service: 'demo.Other' }]);
  await registry.clock.advance(1000);
  assert.deepEqual(
    [await listed(registry), (await registry.store.list('demo.Other')).instances.length],
    ['', 1],
  );
});

test('the later life of an address wins, and the earlier one stops for good', async (t) => {
  const registry = new TestRegistry(t);
  const old = registry.client().register(GREETER);
  await registry.clock.advance(1000);
  const fresh = registry.client().register(GREETER);
  await registry.clock.advance(60_000);
  assert.deepEqual(Object.values(old.states), ['superseded']);
  assert.deepEqual(Object.values(fresh.states), ['registered']);
  assert.equal(registry.link.calls.filter((name) => name === 'Register').length, 2, 'they do not take turns');
});

test('a process whose clock went back while it restarted registers all the same', async (t) => {
  const registry = new TestRegistry(t);
  const clock = registry.clock;
  await registry.store.register({
    leaseId: null,
    epoch: clock.wallMs() + 3_600_000,
    ttlMs: 30_000,
    owner: null,
    instances: [
      {
        service: 'demo.Greeter',
        host: '127.0.0.1',
        port: 5001,
        path: '',
        weight: 1,
        version: '',
        group: '',
        tags: {},
        resources: {},
      },
    ],
  });
  const registration = registry.client().register(GREETER);
  await clock.advance(1000);
  assert.deepEqual(Object.values(registration.states), ['registered']);
});

test('a registration that is refused says why and is tried again, since rules and limits change', async (t) => {
  const registry = new TestRegistry(t, { limits: { instancesMax: 1 } });
  const first = registry.client().register(GREETER);
  await registry.clock.advance(1000);
  const reasons = new Set<string>();
  const second = registry.client().register({
    ...GREETER,
    port: 5002,
    onState: (_state, reason) => reasons.add(reason?.code ?? 'none'),
  });
  await registry.clock.advance(10_000);
  assert.deepEqual(Object.values(second.states), ['refused']);
  assert.deepEqual([...reasons], ['RPC_REGISTRY_FULL']);
  await first.deregister();
  await registry.clock.advance(6000);
  assert.deepEqual(Object.values(second.states), ['registered']);
});

test('with registries that know nothing of each other a server registers with all, and each loss is its own', async (t) => {
  const first = new TestRegistry(t);
  const second = new TestRegistry(t, {}, { clock: first.clock });
  second.link.set('down');
  clientOf(t, [first, second]).register(GREETER);
  await first.clock.advance(60_000);
  assert.equal(await listed(first), '127.0.0.1:5001');
  second.link.set('up');
  await first.clock.advance(6000);
  assert.equal(await listed(second), '127.0.0.1:5001');
});

test('with replicated registries one session is enough, and it moves on when its registry goes', async (t) => {
  const first = new TestRegistry(t);
  const second = new TestRegistry(t, {}, { clock: first.clock });
  clientOf(t, [first, second], { registries: 'replicated' }).register(GREETER);
  await first.clock.advance(10_000);
  assert.equal(await listed(first), '127.0.0.1:5001');
  assert.equal(await listed(second), '');
  first.link.set('down');
  await first.clock.advance(6000);
  assert.equal(await listed(second), '127.0.0.1:5001');
});

test('discover and services ask the registries one after the other', async (t) => {
  const first = new TestRegistry(t);
  const second = new TestRegistry(t, {}, { clock: first.clock });
  const client = clientOf(t, [first, second]);
  client.register(GREETER);
  await first.clock.advance(1000);
  first.link.set('down');
  assert.equal(portsOf(await client.discover('demo.Greeter')), '5001');
  assert.deepEqual(await client.services(), [{ name: 'demo.Greeter', instances: 1, held: 0 }]);
  second.link.set('down');
  await assert.rejects(client.discover('demo.Greeter'), { code: 'RPC_CONNECT_FAILED' });
});

test('what the registry holds is let go when an operator confirms it', async (t) => {
  const registry = new TestRegistry(t);
  const clients = [5001, 5002, 5003, 5004].map((port) => {
    const client = registry.client();
    client.register({ ...GREETER, port });
    return client;
  });
  await registry.clock.advance(1000);
  for (const client of clients) await client.close();
  await registry.clock.advance(40_000);
  const operator = registry.client();
  assert.deepEqual(await operator.services(), [{ name: 'demo.Greeter', instances: 2, held: 2 }]);
  assert.equal(await operator.confirmExpiry('demo.Greeter'), 2);
  assert.deepEqual(await operator.services(), [{ name: 'demo.Greeter', instances: 0, held: 0 }]);
});

test('many sessions at once are nothing to warn of, and all end when the registry stops', async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const registry = new TestRegistry(t);
  const registrations = Array.from({ length: 30 }, (_, index) =>
    registry.client().register({ ...GREETER, port: 5001 + index }),
  );
  await registry.clock.advance(10_000);
  assert.equal(registry.store.figures().leases, 30);
  registry.service.stop();
  await registry.clock.advance(50);
  assert(registrations.every(({ states }) => states['registry-0'] !== 'registered'));
  assert.deepEqual(warnings, []);
});

test('options that make no sense are refused by name', async () => {
  const isInvalid =
    (name: string) =>
    (error: unknown): boolean => {
      assert(error instanceof RpcError, `an error of ours, not ${String(error)}`);
      assert.equal(error.code, 'RPC_OPTION_INVALID');
      assert(error.message.includes(name), error.message);
      return true;
    };
  const address = '127.0.0.1:1';
  assert.throws(() => connectRegistry(5 as never), isInvalid('addresses'));
  for (const [name, options] of [
    ['tokn', { tokn: 'x' }],
    ['ttlMs', { ttlMs: -5 }],
    ['registries', { registries: 'some' }],
    ['retryCapMs', { retryCapMs: 1 }],
  ] as const)
    assert.throws(() => connectRegistry(address, options as never), isInvalid(name));
  const client = connectRegistry(address);
  for (const [name, options] of [
    ['refresh', { refresh: 5 }],
    ['expireMs', { expireMs: 'x' }],
    ['consistency', { consistency: 'maybe' }],
    ['versions', { where: { versions: '1' } }],
  ] as const)
    assert.throws(() => client.resolver('demo.Greeter', options as never), isInvalid(name));
  await client.close();
});
