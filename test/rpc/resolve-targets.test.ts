// Targets as users write them, and what is said of those that make no sense.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpcError } from '../../rpc/errors.js';
import type { Instance, Resolver } from '../../rpc/instance.js';
import { type ResolverForOptions, resolverFor } from '../../rpc/resolve/resolver-for.js';
import { VirtualTime } from '../support/virtual-time.js';

/** What a resolver says as soon as it is started. */
async function instancesOf(target: string, options: ResolverForOptions = {}): Promise<readonly Instance[]> {
  const time = new VirtualTime();
  const resolver = resolverFor(target, { time, random: () => 0, ...options });
  let instances: readonly Instance[] = [];
  resolver.start({ onInstances: (list) => (instances = list), onError: assert.ifError });
  await time.pass(10);
  await resolver.close();
  return instances;
}

async function idsOf(target: string, options?: ResolverForOptions): Promise<string[]> {
  return (await instancesOf(target, options)).map(({ id }) => id);
}

test('a host and a port, or several of them, with or without static:', async () => {
  assert.deepEqual(await idsOf('localhost:9000'), ['localhost:9000']);
  assert.deepEqual(await idsOf('10.0.0.1:9000, 10.0.0.2:9000'), ['10.0.0.1:9000', '10.0.0.2:9000']);
  assert.deepEqual(await idsOf('static:a:1,b:2'), ['a:1', 'b:2']);
});

test('IPv6 addresses stand in brackets', async () => {
  const [instance] = await instancesOf('[fe80::1%eth0]:9000');
  assert.deepEqual(
    [instance?.host, instance?.port, instance?.id],
    ['fe80::1%eth0', 9000, '[fe80::1%eth0]:9000'],
  );
  assert.deepEqual(await idsOf('[::1]:1,[::]:2'), ['[::1]:1', '[::]:2']);
});

test('weights stand behind a star', async () => {
  const instances = await instancesOf('a:1*3,b:2,c:3*0.5');
  assert.deepEqual(
    instances.map(({ weight }) => weight),
    [3, 1, 0.5],
  );
});

test('Unix sockets', async () => {
  const [instance] = await instancesOf('unix:/run/x.sock');
  assert.deepEqual([instance?.id, instance?.path, instance?.host], ['/run/x.sock', '/run/x.sock', '']);
  assert.deepEqual(await idsOf('unix:///run/x.sock'), ['/run/x.sock']);
});

test('names go to DNS, and those that begin with an underscore to its SRV records', async () => {
  const asked: string[] = [];
  const dnsLookup: ResolverForOptions['dnsLookup'] = {
    addresses: async (name) => {
      asked.push(`A ${name}`);
      return ['10.0.0.2', '10.0.0.1', '::1'];
    },
    services: async (name) => {
      asked.push(`SRV ${name}`);
      return [{ host: 'one.test', port: 7000, priority: 0, weight: 5 }];
    },
  };
  assert.deepEqual(await idsOf('dns:web.test:80', { dnsLookup }), ['10.0.0.1:80', '10.0.0.2:80', '[::1]:80']);
  assert.deepEqual(await idsOf('dns:_web._tcp.test', { dnsLookup }), ['one.test:7000']);
  assert.deepEqual(asked, ['A web.test', 'SRV _web._tcp.test']);
});

test('a scheme of the user comes before ours and is given the rest of the target', async () => {
  const seen: string[] = [];
  const scheme = (rest: string): Resolver => {
    seen.push(rest);
    return resolverFor('x:1');
  };
  assert.deepEqual(await idsOf('registry:host:7400/demo', { schemes: { registry: scheme } }), ['x:1']);
  assert.deepEqual(await idsOf('dns:whatever', { schemes: { dns: scheme } }), ['x:1']);
  assert.deepEqual(seen, ['host:7400/demo', 'whatever']);
});

test('a target that makes no sense is refused with what is wrong and what would be right', () => {
  const wrong: Record<string, RegExp> = {
    '': /target '': expected host:port/,
    localhost: /'localhost' has no port: write localhost:PORT/,
    'localhost:': /'' in 'localhost:' is not a port \(1 to 65535\)/,
    'localhost:70000': /'70000' in 'localhost:70000' is not a port/,
    'localhost:0': /'0' .* is not a port/,
    ':9000': /':9000' has no host/,
    '::1:9000': /an IPv6 address goes in brackets: \[::1\]:9000/,
    '[::g]:9000': /'::g' .* is not an IPv6 address/,
    'a:1,,b:2': /separated by commas/,
    'a:1,a:1': /a:1 is listed twice/,
    'a:1*0': /weight must be a number above 0/,
    'a:1*x': /'x' in 'a:1\*x' is not a weight/,
    'etcd:service': /'service' in 'etcd:service' is not a port .*\(schemes: dns, file, static, unix\)/,
    'dns:': /write dns:NAME:PORT/,
    'dns:name': /'name' has no port/,
    'dns:_web._tcp.x:80': /is not the name of SRV records, which have the ports/,
    'unix:': /write unix:\/PATH/,
    'file:': /write file:PATH/,
  };
  for (const [target, message] of Object.entries(wrong)) {
    assert.throws(
      () => resolverFor(target),
      (error: unknown) => {
        assert(error instanceof RpcError);
        assert.equal(error.code, 'RPC_OPTION_INVALID');
        assert.match(error.message, message);
        return true;
      },
      target,
    );
  }
});
