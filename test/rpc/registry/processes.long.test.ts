// The registry as people run it: real processes, real sockets, and what becomes of calls when processes die.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as moment } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  connectRegistry,
  registryScheme,
  RpcError,
  type Registration,
  type RegistryClient,
  type RegistryResolver,
  RpcClient,
  RpcServer,
} from '../../../rpc/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { ECHO, echoService } from '../support/echo.js';

const ECHO_SERVER = fileURLToPath(new URL('./echo-server.js', import.meta.url));
const PATIENCE_MS = 30_000;

/** Resolves once the condition holds; gently, because other processes are to get there. */
async function soon(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    assert(performance.now() < deadlineMs, `did not come about: ${condition.toString()}`);
    await moment(10);
  }
}

interface Started {
  readonly command: Command;
  readonly address: string;
}

/** Leases are as short as they may be: the tests wait for real time. */
async function startRegistry(
  t: TestContext,
  args: readonly string[] = [],
  { listen = '127.0.0.1:0', ttl = '1s' } = {},
): Promise<Started> {
  const command = new Command(t, [
    'registry',
    'serve',
    '--listen',
    listen,
    '--json',
    '--lease-ttl',
    ttl,
    ...args,
  ]);
  const { listen: where } = await command.ready();
  return { command, address: where['rpc']! };
}

interface EchoServer {
  readonly server: RpcServer;
  readonly registration: Registration;
  /** What its registration went through. */
  readonly states: string[];
}

/** Serves demo.Echo in this process, answers with its name, and registers. */
async function startServer(
  t: TestContext,
  name: string,
  registries: string,
  token = '',
): Promise<EchoServer> {
  const services = [echoService({ say: () => ({ text: name }) })];
  const server = new RpcServer({ host: '127.0.0.1', port: 0, threads: 0, services });
  const { port = 0 } = await server.listen();
  const client = connectRegistry(registries, { token, retryCapMs: 500 });
  const states: string[] = [];
  const registration = client.register({
    port,
    services: [{ service: 'demo.Echo', tags: { name } }],
    onState: (state, reason) => states.push(`${state} ${reason?.message ?? ''}`),
  });
  server.beforeDrain(registration.leave);
  t.after(async () => {
    await server.close({ propagateMs: 0, graceMs: 0 });
    await client.close();
  });
  return { server, registration, states };
}

/** Calls demo.Echo through the registry; `ask` answers with the name of the server that answered. */
class EchoCaller {
  readonly registry: RegistryClient;
  readonly resolver: RegistryResolver;
  readonly client: RpcClient;

  constructor(t: TestContext, registries: string) {
    this.registry = connectRegistry(registries, { retryCapMs: 500 });
    this.resolver = this.registry.resolver('demo.Echo', {
      refreshMs: 500,
      expireMs: 2000,
      confirmMs: 60_000,
      retryCapMs: 500,
    });
    this.client = new RpcClient({ target: this.resolver, balancer: 'round-robin', name: 'demo.Echo' });
    t.after(async () => {
      await this.client.close(0);
      await this.registry.close();
    });
  }

  async ask(): Promise<string> {
    return (await this.client.unary(ECHO.say, { text: 'who' }, { timeoutMs: 5000 })).text;
  }

  /** The names of those that answer 50 calls, none of which fails. */
  async askOften(): Promise<string[]> {
    const names = new Set<string>();
    for (let call = 0; call < 50; call += 1) names.add(await this.ask());
    return [...names].toSorted((a, b) => a.localeCompare(b));
  }

  get listed(): number {
    return this.resolver.status.instances;
  }
}

test('a killed instance is gone from every list when its lease has run out, and no idempotent call fails', async (t) => {
  const { address } = await startRegistry(t);
  const one = new Command(t, ['one', address], {}, ECHO_SERVER);
  await one.ready();
  await startServer(t, 'two', address);
  const caller = new EchoCaller(t, address);
  await soon(() => caller.listed === 2);
  assert.deepEqual(new Set([await caller.ask(), await caller.ask()]), new Set(['one', 'two']));
  one.child.kill('SIGKILL');
  while (caller.listed === 2) assert(['one', 'two'].includes(await caller.ask()));
  assert.equal(caller.listed, 1);
  assert.equal(await caller.ask(), 'two');
});

test('the end of a killed process is noticed by its session, where the registry is set to that', async (t) => {
  const { address } = await startRegistry(t, ['--lost-session-ttl', '500ms'], { ttl: '10m' });
  const one = new Command(t, ['one', address], {}, ECHO_SERVER);
  await one.ready();
  const registry = connectRegistry(address);
  t.after(() => registry.close());
  await soon(async () => (await registry.discover('demo.Echo')).length === 1);
  one.child.kill('SIGKILL');
  await soon(async () => (await registry.discover('demo.Echo')).length === 0);
});

test('a server process that drains leaves at once, not after its lease', async (t) => {
  const { address, command } = await startRegistry(t, [], { ttl: '10m' });
  const one = new Command(t, ['one', address], {}, ECHO_SERVER);
  await one.ready();
  await startServer(t, 'two', address);
  const caller = new EchoCaller(t, address);
  await soon(() => caller.listed === 2);
  assert.equal(await one.stop(), 0);
  await soon(() => caller.listed === 1);
  assert.equal(await command.stop(), 0, command.stderr);
});

test('the registry dies and stays away: traffic continues; it returns without its memory: traffic continues', async (t) => {
  const { address, command } = await startRegistry(t);
  await startServer(t, 'one', address);
  await startServer(t, 'two', address);
  const caller = new EchoCaller(t, address);
  await soon(() => caller.listed === 2);
  await command.stop('SIGKILL');
  // Longer than leases, and than the resolver's own patience.
  await soon(() => caller.resolver.status.state === 'stale' && caller.resolver.status.ageMs! > 2500);
  assert.deepEqual(await caller.askOften(), ['one', 'two']);
  await startRegistry(t, [], { listen: address });
  await soon(() => caller.resolver.status.state === 'fresh');
  assert.deepEqual(await caller.askOften(), ['one', 'two']);
  assert.equal(caller.listed, 2);
  await soon(async () => (await caller.registry.discover('demo.Echo')).length === 2);
});

test('the registry says that there is nobody although there is: traffic continues', async (t) => {
  const { address } = await startRegistry(t);
  const one = await startServer(t, 'one', address);
  const two = await startServer(t, 'two', address);
  const caller = new EchoCaller(t, address);
  await soon(() => caller.listed === 2);
  assert(await one.registration.deregister());
  assert(await two.registration.deregister());
  assert.deepEqual(await caller.registry.discover('demo.Echo'), []);
  await soon(() => caller.resolver.status.awaitsConfirmation);
  assert.equal((await caller.askOften()).length, 1, 'the one that was the last to be listed');
});

test('a server started before its registry is found as soon as the registry is there', async (t) => {
  const first = await startRegistry(t);
  await first.command.stop('SIGKILL'); // its port is free now
  const { states } = await startServer(t, 'early', first.address);
  await soon(() => states.some((state) => state.startsWith('connecting')));
  await startRegistry(t, [], { listen: first.address });
  const registry = connectRegistry(first.address);
  const resolve = { schemes: { registry: registryScheme(registry) } };
  const client = new RpcClient({ target: 'registry:demo.Echo', resolve });
  t.after(() => client.close(0).then(() => registry.close()));
  await soon(async () => (await registry.discover('demo.Echo')).length === 1);
  await soon(async () => {
    const answer = await client.unary(ECHO.say, {}).catch((error: RpcError) => error);
    return !(answer instanceof RpcError) && answer.text === 'early';
  });
});

test('a registry that was killed comes back with what it knew: nobody has to register again', async (t) => {
  const data = ['--data', join(temporaryFolder(t), 'data'), '--http', '127.0.0.1:0'];
  const first = await startRegistry(t, data, { ttl: '30s' });
  const { registration } = await startServer(t, 'one', first.address);
  await registration.registered();
  const { http } = (await first.command.ready()).listen;
  await soon(async () => {
    const text = await (await fetch(`http://${http}/metrics`, { headers: { connection: 'close' } })).text();
    return /^reactor_net_registry_snapshots_total [1-9]/m.test(text);
  });
  await first.command.stop('SIGKILL');
  await registration.deregister(); // nobody hears it: the port is closed
  const second = await startRegistry(t, data, { listen: first.address, ttl: '30s' });
  const caller = new EchoCaller(t, first.address);
  const [instance] = await caller.registry.discover('demo.Echo');
  assert.equal(instance?.tags['name'], 'one');
  await soon(() => second.command.stderr.includes('recovered what was on disk'));
  assert.equal(await caller.ask(), 'one');
});

test('a token that may not register is refused and told why, another one is taken', async (t) => {
  const file = join(temporaryFolder(t), 'tokens.yaml');
  const [right, wrong] = ['right-0123456789abcdef', 'wrong-0123456789abcdef'];
  const rules = (patterns: string): string =>
    `tokens:\n  - { name: echo, token: ${right}, register: [${patterns}] }\n  - { name: looks, token: ${wrong} }\n`;
  writeFileSync(file, rules('demo.*'));
  const { address, command } = await startRegistry(t, ['--token-file', file]);
  const refused = await startServer(t, 'refused', address, wrong);
  const unknown = await startServer(t, 'unknown', address, 'nobody-knows-this-one');
  const taken = await startServer(t, 'taken', address, right);
  await soon(() => refused.states.includes('refused looks may not register demo.Echo'));
  await soon(() => unknown.states.some((state) => state.includes('the token is not known here')));
  await taken.registration.registered();
  const looker = connectRegistry(address, { token: wrong });
  t.after(() => looker.close());
  const found = await looker.discover('demo.Echo');
  assert.deepEqual(
    found.map(({ tags }) => tags['name']),
    ['taken'],
  );
  writeFileSync(file, rules('other.*'));
  command.child.kill('SIGHUP');
  await soon(async () => (await looker.discover('demo.Echo')).length === 0);
  assert.match(command.stderr, /the token file was read again/);
  assert(!command.stderr.includes(right) && !command.stderr.includes(wrong), 'no token in the log');
  assert.equal(await command.stop(), 0, command.stderr);
});

test('a registry with TLS is reached by those who trust it and show their certificate', async (t) => {
  const folder = temporaryFolder(t);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const identity = ['--tls-cert', file('cert', SERVER_CERT), '--tls-key', file('key', SERVER_KEY)];
  const { address } = await startRegistry(t, [...identity, '--tls-ca', file('ca', AUTHORITY)]);
  const trusting = connectRegistry(address, { tls: { ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY } });
  const anonymous = connectRegistry(address, { tls: { ca: AUTHORITY }, callTimeoutMs: 1000 });
  const plain = connectRegistry(address, { callTimeoutMs: 1000 });
  t.after(() => Promise.all([trusting, anonymous, plain].map((client) => client.close())));
  assert.deepEqual(await trusting.services(), []);
  await Promise.all([assert.rejects(anonymous.services()), assert.rejects(plain.services())]);
});

test('the registry that stops lets sessions and watches go, and is done in time', async (t) => {
  const { address, command } = await startRegistry(t, ['--http', '127.0.0.1:0', '--drain-timeout', '5s']);
  await startServer(t, 'one', address);
  const caller = new EchoCaller(t, address);
  await soon(() => caller.listed === 1);
  assert.equal(await command.stop(), 0, command.stderr);
  assert.equal(command.lines.length, 1);
  assert.equal(await caller.ask(), 'one');
});
