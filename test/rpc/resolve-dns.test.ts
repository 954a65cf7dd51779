// How often DNS is asked, and what is believed of its answers. In virtual time, with a DNS that the test steers.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { RpcError } from '../../rpc/errors.js';
import type { Instance } from '../../rpc/instance.js';
import { type DnsLookup, DnsResolver, type DnsResolverOptions } from '../../rpc/resolve/dns-resolver.js';
import { systemDns } from '../../rpc/resolve/system-dns.js';
import { until } from '../support/until.js';
import { VirtualTime } from '../support/virtual-time.js';

class Bench {
  readonly time: VirtualTime = new VirtualTime();
  readonly startedMs: number = this.time.nowMs();
  /** What DNS says. */
  answer: readonly string[] | Error | 'silence';
  /** Seconds at which it was asked. */
  readonly asked: number[] = [];
  readonly lists: string[] = [];
  readonly errors: RpcError[] = [];
  readonly resolver: DnsResolver;

  constructor(
    context: TestContext,
    options: DnsResolverOptions = {},
    random: () => number = () => 0,
    answer: Bench['answer'] = ['10.0.0.1', '10.0.0.2'],
  ) {
    this.answer = answer;
    const lookup: DnsLookup = {
      addresses: async () => {
        this.asked.push((this.time.nowMs() - this.startedMs) / 1000);
        const { answer } = this;
        if (answer === 'silence') return new Promise(() => {});
        if (answer instanceof Error) throw answer;
        return answer;
      },
      services: () => assert.fail('not asked for'),
    };
    this.resolver = new DnsResolver({ name: 'web.test', port: 80 }, lookup, this.time, random, options);
    context.after(async () => {
      await this.resolver.close();
      const lists = this.lists.length;
      await this.time.pass(120_000);
      assert.equal(this.lists.length, lists, 'nothing is told after close');
    });
    this.resolver.start({
      onInstances: (instances: readonly Instance[]) =>
        this.lists.push(instances.map(({ host }) => host).join(' ')),
      onError: (error) => this.errors.push(error),
    });
  }
}

test('DNS is asked at once and then every thirty seconds, and a list is told only when it changes', async (context) => {
  const bench = new Bench(context);
  await bench.time.pass(30_000);
  bench.answer = ['10.0.0.2', '10.0.0.1']; // the same in another order
  await bench.time.pass(30_000);
  assert.deepEqual(bench.asked, [0, 30, 60]);
  assert.deepEqual(bench.lists, ['10.0.0.1 10.0.0.2']);
  bench.answer = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
  await bench.time.pass(30_000);
  assert.deepEqual(bench.lists.slice(1), ['10.0.0.1 10.0.0.2 10.0.0.3']);
});

test('the first pause is longer by chance', async (context) => {
  const bench = new Bench(context, {}, () => 0.5);
  await bench.time.pass(76_000);
  assert.deepEqual(bench.asked, [0, 45, 75]);
});

test('who asks again and again makes no more lookups than one in thirty seconds', async (context) => {
  const bench = new Bench(context, { refreshEveryMs: 600_000 });
  for (let second = 0; second < 100; second += 1) {
    bench.resolver.refresh();
    await bench.time.pass(1000);
  }
  assert.deepEqual(bench.asked, [0, 30, 60, 90]);
  await bench.time.pass(60_000);
  assert.deepEqual(bench.asked, [0, 30, 60, 90, 120], 'once more for the last who asked');
});

test('while DNS fails the last list stays and the failure is reported', async (context) => {
  const bench = new Bench(context);
  await bench.time.pass(1000);
  bench.answer = Object.assign(new Error('queryA ENOTFOUND web.test'), { code: 'ENOTFOUND' });
  await bench.time.pass(60_000);
  assert.deepEqual(bench.lists, ['10.0.0.1 10.0.0.2']);
  assert.equal(bench.errors[0]?.code, 'RPC_RESOLVE_FAILED');
  assert.equal(bench.errors[0].status, 'UNAVAILABLE', 'never a code that belongs to applications');
  assert.match(bench.errors[0].message, /looking up web.test failed: .*ENOTFOUND.*the last 2 instances stay/);
});

test('a DNS that does not answer has failed after ten seconds', async (context) => {
  const bench = new Bench(context, {}, () => 0, 'silence');
  await bench.time.pass(10_000);
  assert.match(bench.errors[0]!.message, /looking up web.test failed: no answer within 10000 ms$/);
  bench.answer = ['10.0.0.1'];
  await bench.time.pass(30_000);
  assert.deepEqual(bench.lists, ['10.0.0.1']);
});

test('with nothing known the retries begin after a second and slow down', async (context) => {
  const bench = new Bench(context, {}, () => 0, new Error('no network'));
  await bench.time.pass(120_000);
  const pauses = bench.asked.slice(1).map((second, index) => Math.round(second - bench.asked[index]!));
  assert.deepEqual(pauses, [1, 2, 3, 4, 7, 10, 17, 27, 30]);
  assert.deepEqual(bench.lists, []);
});

test('an empty answer is believed when the next one is empty too', async (context) => {
  const bench = new Bench(context);
  await bench.time.pass(1000);
  bench.answer = [];
  await bench.time.pass(30_000);
  assert.deepEqual(bench.lists, ['10.0.0.1 10.0.0.2']);
  await bench.time.pass(30_000);
  assert.deepEqual(bench.lists, ['10.0.0.1 10.0.0.2', '']);
});

test('of SRV records only those of the first priority are used, with their weights', async (context) => {
  const time = new VirtualTime();
  const lookup: DnsLookup = {
    addresses: () => assert.fail('not asked for'),
    services: async () => [
      { host: 'b.test', port: 2, priority: 1, weight: 0 },
      { host: 'spare.test', port: 9, priority: 2, weight: 100 },
      { host: 'a.test', port: 1, priority: 1, weight: 7 },
    ],
  };
  const resolver = new DnsResolver({ name: '_web._tcp.test', port: null }, lookup, time, () => 0);
  context.after(() => resolver.close());
  let found: readonly Instance[] = [];
  resolver.start({ onInstances: (instances) => (found = instances), onError: assert.ifError });
  await time.pass(0);
  assert.deepEqual(
    found.map(({ id, weight }) => [id, weight]),
    [
      ['a.test:1', 7],
      ['b.test:2', 1],
    ],
  );
});

test('the system resolves localhost to an address that can be reached', async (context) => {
  const server = createServer().listen(0, 'localhost');
  context.after(() => server.close());
  await until(() => server.listening);
  const addresses = await systemDns.addresses('localhost');
  assert(addresses.includes('127.0.0.1') || addresses.includes('::1'));
});
