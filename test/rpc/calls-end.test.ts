// Every call ends once, with an error of ours, whatever the code around it does: users' codecs, balancers and options.

import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners, once } from 'node:events';
import test from 'node:test';
import {
  type Balancer,
  type CallOptions,
  type Instance,
  type MethodContract,
  type Resolver,
  type ResolverListener,
  RpcClient,
  type RpcClientOptions,
  RpcError,
  type RpcErrorCode,
  type ServerCall,
} from '../../rpc/index.js';
import { ECHO, echoService, type SayReply, type SayRequest } from './support/echo.js';
import { until } from '../support/until.js';
import { startClient, startPair, startServer } from './support/rpc-pair.js';

function failsWith(code: RpcErrorCode, text: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof RpcError, `an error of ours, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

/** A resolver that says what it is told to. */
function spoken(): Resolver & { listener: ResolverListener | null } {
  return {
    listener: null,
    start(listener) {
      this.listener = listener;
    },
    refresh() {},
    close: async () => {},
  };
}

test('a codec that throws fails the call, also when it is opened by a connection that has just come', async (t) => {
  const { client } = await startPair(t);
  const broken = {
    ...ECHO.say,
    requestType: Object.create(ECHO.say.requestType, {
      codec: {
        value: () => ({
          encode() {
            throw new TypeError('no such field');
          },
        }),
      },
    }),
  } as MethodContract<SayRequest, SayReply>;
  await assert.rejects(client.unary(broken, {}), failsWith('RPC_INTERNAL', /no such field/));
  assert.equal((await client.unary(ECHO.say, { text: 'still here' })).text, 'still here');
  await assert.rejects(client.unary(broken, {}), failsWith('RPC_INTERNAL', /no such field/));
});

test('a balancer that throws fails the call with a code', async (t) => {
  const balancer: Balancer = {
    pick() {
      throw new TypeError('a bug of mine');
    },
  };
  const { client } = await startPair(t, {}, { balancer });
  await assert.rejects(client.unary(ECHO.say, {}), failsWith('RPC_INTERNAL', /a bug of mine/));
});

test('a balancer that finds nobody fit fails the call after its attempts', async (t) => {
  const balancer: Balancer = {
    pick() {
      throw new RpcError('RPC_NO_INSTANCE', 'none has a GPU', { executed: 'no' });
    },
  };
  const { target } = await startServer(t);
  for (const more of [{}, { hedging: {} }]) {
    const client = startClient(t, { target, balancer, retry: { backoffMs: 1 }, ...more });
    await assert.rejects(
      client.unary(ECHO.say, {}, { idempotent: true }),
      failsWith('RPC_NO_INSTANCE', /none has a GPU/),
    );
  }
});

test('hedged calls that were surely not carried out go to another instance, however many they are', async (t) => {
  const refusing = await startServer(t, {
    services: [
      echoService({
        count: () => {
          throw new RpcError('RPC_UNAVAILABLE', 'not here', { executed: 'no' });
        },
      }),
    ],
  });
  const serving = await startServer(t);
  const client = startClient(t, {
    target: `${refusing.target},${serving.target}`,
    balancer: 'round-robin',
    selector: { outlier: false },
    hedging: { delayMs: 60_000 },
  });
  for (let calls = 0; calls < 40; calls += 1) await client.unary(ECHO.count, {}, { idempotent: true });
});

test('options of a call that make no sense are refused by name before anything is sent', async (t) => {
  const { client } = await startPair(t);
  const wrong: readonly (readonly [string, unknown])[] = [
    ['metadata', { metadata: { 'x-name': 'ada' } }],
    ['signal', { signal: {} }],
    ['timeoutMs', { timeoutMs: '500' }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['must be an object', null],
  ];
  for (const [name, options] of wrong)
    await assert.rejects(
      client.unary(ECHO.say, {}, options as CallOptions),
      failsWith('RPC_OPTION_INVALID', new RegExp(name)),
    );
  await assert.rejects(
    client.clientStream(ECHO.upload, 5 as never),
    failsWith('RPC_MESSAGE_INVALID', /iterable/),
  );
});

test('options of a client that make no sense are refused by name', () => {
  const target = '127.0.0.1:1';
  const wrong: readonly (readonly [string, unknown])[] = [
    ['target', {}],
    ['target', { target: 5 }],
    ['target', { target: {} }],
    ['retries', { target, retries: {} }],
    ['timeoutMs', { target, timeoutMs: '5' }],
    ['retry', { target, retry: null }],
    ['max ', { target, pool: { max: 3 } }],
    ['acquireTimeoutMs', { target, pool: { acquireTimeoutMs: '5' } }],
    ['onEvent', { target, pool: { onEvent: 5 } }],
    ['middleware', { target, middleware: [5] }],
    ['balancer', { target, balancer: {} }],
    ['versions', { target, route: { versions: ['1'] } }],
    ['token', { target, token: 'x'.repeat(5000) }],
    ['circuit breaker options', { target, selector: { breaker: true } }],
    ['outlier options', { target, selector: { outlier: true } }],
    ['serializers', { target, serializers: 'json' }],
    ['must be an object', undefined],
  ];
  for (const [name, options] of wrong) {
    assert.throws(
      () => new RpcClient(options as RpcClientOptions),
      failsWith('RPC_OPTION_INVALID', new RegExp(name)),
      name,
    );
  }
});

test('a thousand calls share one listener on their signal and leave none', async (t) => {
  const { client } = await startPair(t);
  const controller = new AbortController();
  const { signal } = controller;
  const calls = Array.from({ length: 1000 }, () => client.unary(ECHO.say, { text: 'x' }, { signal }));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await Promise.all(calls);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const held = Array.from({ length: 20 }, () => client.unary(ECHO.say, { delayMs: 60_000 }, { signal }));
  controller.abort();
  for (const each of held) await assert.rejects(each, failsWith('RPC_CANCELLED'));
});

test('calls that were cancelled while they waited for the first list make room for others', async (t) => {
  const { target } = await startServer(t);
  const resolver = spoken();
  const client = startClient(t, { target: resolver });
  const controller = new AbortController();
  const { signal } = controller;
  const given = Array.from({ length: 10_000 }, () => client.unary(ECHO.say, {}, { signal }));
  controller.abort();
  await Promise.allSettled(given);
  const answer = client.unary(ECHO.say, { text: 'late' });
  resolver.listener!.onInstances([instanceAt(target)]);
  assert.equal((await answer).text, 'late');
});

test('a call without a deadline does not wait for ever for the first list', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const resolver = spoken();
  const client = startClient(t, { target: resolver, name: 'demo.Echo' });
  const first = client.unary(ECHO.say, {}, { timeoutMs: Infinity });
  t.mock.timers.tick(30_000);
  await assert.rejects(first, failsWith('RPC_NO_INSTANCE', /demo\.Echo/));
  resolver.listener!.onError(new RpcError('RPC_RESOLVE_FAILED', 'the name does not exist'));
  const second = client.unary(ECHO.say, {}, { timeoutMs: Infinity });
  t.mock.timers.tick(30_000);
  await assert.rejects(second, failsWith('RPC_RESOLVE_FAILED', /the name does not exist/));
});

test('a deadline that passes while there is no list says why there is none', async (t) => {
  const resolver = spoken();
  const client = startClient(t, { target: resolver });
  const call = client.unary(ECHO.say, {}, { timeoutMs: 20 });
  resolver.listener!.onError(new RpcError('RPC_RESOLVE_FAILED', 'the name does not exist'));
  await assert.rejects(call, failsWith('RPC_DEADLINE_EXCEEDED', /the name does not exist/));
});

test('a hedged call whose server asks for a longer wait than there is time fails at once', async (t) => {
  const { client } = await startPair(
    t,
    {
      services: [
        echoService({
          count: () => {
            throw new RpcError('RPC_UNAVAILABLE', 'come back later', { retryPushbackMs: 3_600_000 });
          },
        }),
      ],
    },
    { hedging: { delayMs: 60_000 } },
  );
  const begunMs = performance.now();
  const call = client.unary(ECHO.count, {}, { timeoutMs: 20_000, idempotent: true });
  await assert.rejects(call, failsWith('RPC_UNAVAILABLE', /come back later/));
  assert(performance.now() - begunMs < 15_000);
});

test('a hedged call is cancelled while it waits for its next attempt', async (t) => {
  const failed = new EventEmitter();
  const { client } = await startPair(
    t,
    {
      services: [
        echoService({
          count: () => {
            setImmediate(() => failed.emit('once'));
            throw new RpcError('RPC_UNAVAILABLE', 'come back later', { retryPushbackMs: 30_000 });
          },
        }),
      ],
    },
    { hedging: { delayMs: 60_000 } },
  );
  const controller = new AbortController();
  const call = client.unary(
    ECHO.count,
    {},
    { timeoutMs: 60_000, idempotent: true, signal: controller.signal },
  );
  await once(failed, 'once');
  setImmediate(() => setImmediate(() => controller.abort()));
  await assert.rejects(call, (error: unknown) => {
    failsWith('RPC_CANCELLED')(error);
    assert.equal((error as RpcError).executed, 'unknown', 'the first attempt came to the handler');
    return true;
  });
});

test('a call that was perhaps carried out does not end as surely not executed', async (t) => {
  const failed = new EventEmitter();
  const { client } = await startPair(t, {
    services: [
      echoService({
        count: (_request: SayRequest, _call: ServerCall) => {
          setImmediate(() => failed.emit('once'));
          throw new RpcError('RPC_UNAVAILABLE', 'half done', { retryPushbackMs: 30_000 });
        },
      }),
    ],
  });
  const controller = new AbortController();
  const call = client.unary(
    ECHO.count,
    {},
    { timeoutMs: 60_000, idempotent: true, signal: controller.signal },
  );
  await once(failed, 'once');
  setImmediate(() => setImmediate(() => controller.abort()));
  await assert.rejects(call, (error: unknown) => {
    failsWith('RPC_CANCELLED')(error);
    assert.equal((error as RpcError).executed, 'unknown');
    return true;
  });
});

test('calls that wait for a list or for their next attempt end with the client', async (t) => {
  const { target } = await startServer(t, {
    services: [
      echoService({
        count: () => {
          throw new RpcError('RPC_UNAVAILABLE', 'come back later', { retryPushbackMs: 30_000 });
        },
      }),
    ],
  });
  const options = { timeoutMs: 60_000, idempotent: true };
  for (const more of [{}, { hedging: { delayMs: 60_000 } }]) {
    const client = new RpcClient({ target, ...more });
    await client.unary(ECHO.say, {});
    const call = client.unary(ECHO.count, {}, options);
    await until(() => client.figures().instances.instances[0]!.calls === 2);
    const isClosed = assert.rejects(call, failsWith('RPC_CLOSED'));
    await client.close(0);
    await isClosed;
  }
  const waiting = new RpcClient({ target: spoken() });
  const call = waiting.unary(ECHO.say, {});
  const isClosed = assert.rejects(call, failsWith('RPC_CLOSED'));
  await waiting.close(0);
  await isClosed;
});

test('a server that restarts where it was is found without waiting for its goodbye to expire', async (t) => {
  const { server, target } = await startServer(t);
  const client = startClient(t, { target, pool: { connectionsMin: 0 }, selector: { drainingMs: 1e9 } });
  await client.unary(ECHO.say, {});
  await server.close();
  await startServer(t, { port: Number(target.split(':')[1]) });
  assert.equal((await client.unary(ECHO.say, { text: 'again' })).text, 'again');
});

test('an instance that moves under its id is called at its new address', async (t) => {
  const one = await startServer(t, { services: [echoService({ say: () => ({ text: 'one' }) })] });
  const two = await startServer(t, { services: [echoService({ say: () => ({ text: 'two' }) })] });
  const resolver = spoken();
  const client = startClient(t, { target: resolver });
  const first = client.unary(ECHO.say, {});
  resolver.listener!.onInstances([instanceAt(one.target)]);
  assert.equal((await first).text, 'one');
  resolver.listener!.onInstances([instanceAt(two.target)]);
  assert.equal((await client.unary(ECHO.say, {})).text, 'two');
});

function instanceAt(target: string): Instance {
  return {
    id: 'the-same',
    host: '127.0.0.1',
    port: Number(target.split(':')[1]),
    weight: 1,
    version: '',
    group: '',
    tags: {},
    resources: {},
  };
}
