// What a server refuses before it serves, and that it goes away whatever the code that watches it does.

import assert from 'node:assert/strict';
import test from 'node:test';
import { RpcError, RpcServer, type RpcServerOptions } from '../../rpc/index.js';
import { ECHO, echoService } from './support/echo.js';
import { deferred } from './support/deferred.js';
import { startPair, startServer } from './support/rpc-pair.js';

function isInvalid(name: string): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof RpcError, `an error of ours, not ${String(error)}`);
    assert.equal(error.code, 'RPC_OPTION_INVALID');
    assert(error.message.includes(name), error.message);
    return true;
  };
}

test('what watches a drain and throws does not stop it', async (t) => {
  const { server } = await startServer(t);
  server.onDrainState(() => {
    throw new TypeError('a bug of mine');
  });
  const { states } = await server.close();
  assert.equal(states.at(-1), 'closed');
});

test('a server is closed before it listens, and after it could not listen', async (t) => {
  const { target } = await startServer(t);
  const options = { host: '127.0.0.1', threads: 0, services: [echoService()] };
  const idle = new RpcServer({ ...options, port: 0 });
  assert.equal((await idle.close()).cut, 0);
  const second = new RpcServer({ ...options, port: Number(target.split(':')[1]) });
  await assert.rejects(second.listen(), { code: 'REACTOR_PORT_IN_USE' });
  assert.equal((await second.close()).cut, 0);
});

test('times of a drain that make no sense are refused by name, and the server goes on', async (t) => {
  const { server, client } = await startPair(t);
  await assert.rejects(server.close({ graceMs: '5' } as never), isInvalid('graceMs'));
  await assert.rejects(server.close({ grace: 5 } as never), isInvalid('grace'));
  assert.equal((await client.unary(ECHO.say, { text: 'open' })).text, 'open');
});

test('services that cannot cross to other threads are refused by that name', () => {
  assert.throws(
    () => new RpcServer({ port: 0, threads: 1, services: [echoService()] }),
    isInvalid('services'),
  );
  assert.throws(() => new RpcServer(undefined as never), isInvalid('options'));
});

test('an empty token lets nobody in', () => {
  for (const tokens of [5, ['abc'], [{ token: '', name: 'x' }], [{ token: 'x' }]])
    assert.throws(
      () => new RpcServer({ port: 0, threads: 0, services: [], tokens } as unknown as RpcServerOptions),
      isInvalid('tokens'),
    );
});

test('an application with limits that would bound nothing is refused by name', async () => {
  const services = [echoService()];
  const wrong: readonly (readonly [string, object])[] = [
    ['demo.Nope', { services, limits: { 'demo.Nope': { concurrencyMax: 1 } } }],
    ['max', { services, limits: { 'demo.Echo': { max: 1 } } }],
    ['concurrencyMax', { services, limits: { 'demo.Echo': { concurrencyMax: '1' } } }],
    ['middlewares', { services, middlewares: [] }],
    ['middleware', { services, middleware: [5] }],
  ];
  for (const [name, application] of wrong) {
    const server = new RpcServer({ host: '127.0.0.1', port: 0, threads: 0, services: application as never });
    await assert.rejects(server.listen(), isInvalid(name));
    await server.close();
  }
});

test('calls whose requests come in pieces are not more at work than their limit', async (t) => {
  const go = deferred<void>();
  let atWork = 0;
  let most = 0;
  const say = async (): Promise<object> => {
    atWork += 1;
    most = Math.max(most, atWork);
    await go.promise;
    atWork -= 1;
    return {};
  };
  const { client } = await startPair(t, {
    services: { services: [echoService({ say })], limits: { '/demo.Echo/Say': { concurrencyMax: 1 } } },
  });
  const payload = new Uint8Array(1_000_000); // more than a stream's window: all are under way before one is whole
  const calls = Array.from({ length: 4 }, () => client.unary(ECHO.say, { payload }));
  const codes = Promise.all(
    calls.map((call) =>
      call.then(
        () => 'ok',
        ({ code, executed }: RpcError) => `${code} ${executed}`,
      ),
    ),
  );
  await Promise.race(calls.map((call) => call.catch(() => {})));
  go.resolve();
  assert.deepEqual((await codes).toSorted(), [
    'RPC_RESOURCE_EXHAUSTED no',
    'RPC_RESOURCE_EXHAUSTED no',
    'RPC_RESOURCE_EXHAUSTED no',
    'ok',
  ]);
  assert.equal(most, 1);
});
