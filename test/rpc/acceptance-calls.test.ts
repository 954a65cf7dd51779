// What callers see when instances are slow or fail all at once, when deadlines pass through hops, and while a server drains.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type BalancerName,
  type DrainState,
  enclosingCall,
  RpcClient,
  RpcError,
  type ServerCall,
} from '../../rpc/index.js';
import { TRANSPORTS } from '../support/transports.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService, type SayRequest } from './support/echo.js';
import { startClient, startPair, startServer } from './support/rpc-pair.js';

const HEALTHY_MS = 40;
const SLOW_MS = 20 * HEALTHY_MS;

/** Few, so that a busy machine does not make the healthy ones look overloaded. */
const WORKERS = 6;

/** How many of the calls to three instances went to the one that is 20 times slower, and the p99 of all. */
async function callsToSlow(
  t: test.TestContext,
  balancer: BalancerName,
  calls: number,
): Promise<{ slow: number; p99: number }> {
  let slow = 0;
  const answerAfter = (delayMs: number) => (): Promise<object> => {
    if (delayMs === SLOW_MS) slow += 1;
    return new Promise((resolve) => {
      setTimeout(() => resolve({}), delayMs);
    });
  };
  const servers = await Promise.all(
    [HEALTHY_MS, SLOW_MS, HEALTHY_MS].map((delayMs) =>
      startServer(t, { services: [echoService({ say: answerAfter(delayMs) })] }),
    ),
  );
  const client = startClient(t, { target: servers.map(({ target }) => target).join(','), balancer });
  const latencies: number[] = [];
  let started = 0;
  const worker = async (): Promise<void> => {
    while (started < calls) {
      started += 1;
      const startMs = performance.now();
      await client.unary(ECHO.say, {});
      latencies.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return { slow, p99: latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)]! };
}

test('an instance 20 times slower gets so few calls that the p99 is not its, which round robin cannot do', async (t) => {
  const ewma = await callsToSlow(t, 'peak-ewma', 600);
  const roundRobin = await callsToSlow(t, 'round-robin', 60);
  t.diagnostic(`p99: peak-ewma ${Math.round(ewma.p99)} ms, round robin ${Math.round(roundRobin.p99)} ms`);
  assert(ewma.slow < 18, `${ewma.slow} of 600 calls went to the slow instance`);
  assert(roundRobin.slow >= 12, `round robin: ${roundRobin.slow} of 60`);
});

test('when everything fails the attempts stay below 1.2 times the calls', async (t) => {
  let attempts = 0;
  const fails = (): never => {
    attempts += 1;
    throw new RpcError('RPC_UNAVAILABLE', 'out of order');
  };
  const servers = await Promise.all(
    [0, 1, 2].map(() => startServer(t, { services: [echoService({ say: fails })] })),
  );
  const client = startClient(t, { target: servers.map(({ target }) => target).join(',') });
  const calls = 500;
  const outcomes = await Promise.allSettled(
    Array.from({ length: calls }, () => client.unary(ECHO.say, {}, { idempotent: true })),
  );
  assert(outcomes.every(({ status }) => status === 'rejected'));
  assert(attempts >= calls * 0.9, `${attempts} attempts reached a server`);
  assert(attempts <= calls * 1.2, `${attempts} attempts for ${calls} calls`);
});

/** Of which the silent instance gets some, also on a machine on which connecting takes seconds. */
const CALLS_MAX = 10_000;

for (const transport of TRANSPORTS) {
  test(`a deadline of 100 ms through three hops is shorter at each, and ends all of them (${transport})`, async (t) => {
    const remaining: number[] = [];
    const ended = deferred<RpcError>();
    const third = await startServer(t, {
      transport,
      services: [
        echoService({
          say: (_: SayRequest, call: ServerCall) => {
            remaining[2] = call.remainingMs();
            return new Promise((_resolve, reject) => {
              call.signal.addEventListener('abort', () => {
                ended.resolve(call.signal.reason as RpcError);
                reject(call.signal.reason);
              });
            });
          },
        }),
      ],
    });
    const relay = (hop: number, next: RpcClient) =>
      echoService({
        say: async (request: SayRequest, call: ServerCall) => {
          remaining[hop] = call.remainingMs();
          assert.equal(enclosingCall()?.method.path, '/demo.Echo/Say');
          await new Promise((resolve) => setTimeout(resolve, 5));
          return next.unary(ECHO.say, request);
        },
      });
    const toThird = startClient(t, { target: third.target, transport });
    const second = await startServer(t, { transport, services: [relay(1, toThird)] });
    const toSecond = startClient(t, { target: second.target, transport });
    const first = await startServer(t, { transport, services: [relay(0, toSecond)] });
    const client = startClient(t, { target: first.target, transport });
    // Connected before the clock runs.
    await Promise.all([client, toSecond, toThird].map((each) => each.unary(ECHO.count, {})));
    await assert.rejects(client.unary(ECHO.say, {}, { timeoutMs: 100 }), { code: 'RPC_DEADLINE_EXCEEDED' });
    assert.equal((await ended.promise).status, 'DEADLINE_EXCEEDED');
    assert(
      remaining[0]! <= 100 && remaining[1]! < remaining[0]! && remaining[2]! < remaining[1]!,
      String(remaining),
    );
  });

  test(`a draining server passes its states in order, finishes what runs and refuses what comes (${transport})`, async (t) => {
    const release = deferred<void>();
    const started = deferred<void>();
    const { server, target } = await startServer(t, {
      transport,
      services: [
        echoService({
          count: async () => {
            started.resolve();
            await release.promise;
            return { text: 'done' };
          },
        }),
      ],
    });
    const states: DrainState[] = [];
    const lame = deferred<void>();
    server.onDrainState((state) => {
      states.push(state);
      if (state === 'draining') lame.resolve();
    });
    server.beforeDrain(async () => true);
    const client = startClient(t, { target, transport, retry: { attemptsMax: 1 } });
    const underWay = client.unary(ECHO.count, {});
    await started.promise;
    const closing = server.close({ graceMs: 10_000 });
    assert.equal(server.close(), closing, 'a second close joins the first');
    await lame.promise;
    await assert.rejects(client.unary(ECHO.say, {}), (error: RpcError) => {
      assert.equal(error.executed, 'no');
      assert.equal(error.status, 'UNAVAILABLE');
      return true;
    });
    release.resolve();
    assert.equal((await underWay).text, 'done');
    const report = await closing;
    assert.equal(report.cut, 0);
    assert.deepEqual(states, ['deregistering', 'propagating', 'lame-duck', 'draining', 'closed']);
  });

  test(`a drain that runs out of time says how many calls it cut (${transport})`, async (t) => {
    const started = deferred<void>();
    const { server, client } = await startPair(
      t,
      {
        transport,
        services: [
          echoService({
            count: () => {
              started.resolve();
              return new Promise(() => {});
            },
          }),
        ],
      },
      { transport, retry: { attemptsMax: 1 } },
    );
    const calls = Promise.allSettled([client.unary(ECHO.count, {}), client.unary(ECHO.count, {})]);
    await started.promise;
    await client.unary(ECHO.say, {}); // both have arrived: frames keep their order
    const { cut, states } = await server.close({ graceMs: 30 });
    assert.equal(cut, 2);
    assert(states.includes('forcing'));
    for (const outcome of await calls) {
      assert.equal(outcome.status, 'rejected');
      assert.equal((outcome.reason as RpcError).status, 'UNAVAILABLE');
    }
  });

  test(`force ends a drain that waits (${transport})`, async (t) => {
    const started = deferred<void>();
    const { server, client } = await startPair(
      t,
      {
        transport,
        services: [
          echoService({
            count: () => {
              started.resolve();
              return new Promise(() => {});
            },
          }),
        ],
      },
      { transport, retry: { attemptsMax: 1 } },
    );
    const call = client.unary(ECHO.count, {});
    call.catch(() => {}); // looked at below
    await started.promise;
    const closing = server.close({ graceMs: 60_000 });
    const { cut } = await server.force();
    assert.equal(cut, 1);
    assert.equal((await closing).cut, 1);
    await assert.rejects(call, { status: 'UNAVAILABLE' });
  });

  test(`a hedged call is answered by the second instance while the first is silent (${transport})`, async (t) => {
    const silent = deferred<AbortSignal>();
    let calls = 0;
    const mute = await startServer(t, {
      transport,
      services: [
        echoService({
          say: (_: SayRequest, call: ServerCall) => {
            silent.resolve(call.signal);
            return new Promise(() => {});
          },
        }),
      ],
    });
    const good = await startServer(t, {
      transport,
      services: [
        echoService({
          say: () => {
            calls += 1;
            return { text: 'second' };
          },
        }),
      ],
    });
    const client = startClient(t, {
      target: `${mute.target},${good.target}`,
      transport,
      balancer: 'round-robin',
      hedging: { delayMs: 20, ratioMax: 1 },
    });
    let isAsked = (): boolean => false;
    void silent.promise.then(() => (isAsked = () => true));
    let made = 0;
    // A connection to the silent one that takes longer than four calls is no reason to wait for ever.
    for (; made < 4 || !isAsked(); made += 1) {
      assert.ok(made < CALLS_MAX, 'the silent instance was never asked');
      assert.equal((await client.unary(ECHO.say, {})).text, 'second');
    }
    const signal = await silent.promise;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    assert.equal(calls, made);
  });
}
