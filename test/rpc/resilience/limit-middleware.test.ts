// Limits and fallback around real promises and streams.

import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import {
  type CallKind,
  ConcurrencyLimiter,
  fallback,
  limitConcurrency,
  limitRate,
  Metadata,
  type MethodContract,
  type Middleware,
  type MiddlewareRequest,
  type MiddlewareResponse,
  perMethod,
  RateLimiter,
  RpcError,
} from '../../../rpc/index.js';

function request(kind: CallKind = 'unary', more: Partial<MiddlewareRequest> = {}): MiddlewareRequest {
  return {
    side: 'server',
    // The middlewares look at these two only.
    method: { path: `/demo.Greeter/${kind}`, kind } as MethodContract,
    metadata: new Metadata(),
    signal: new AbortController().signal,
    message: 'question',
    call: null,
    remainingMs: () => 10_000,
    ...more,
  };
}

const answer = (message: unknown): MiddlewareResponse => ({
  message,
  headers: new Metadata(),
  trailers: new Metadata(),
});

/** A handler whose calls wait to be answered by the test. */
function handler(): { next: () => Promise<MiddlewareResponse>; running: PromiseWithResolversLike[] } {
  const running: PromiseWithResolversLike[] = [];
  const next = (): Promise<MiddlewareResponse> =>
    new Promise((resolve, reject) =>
      running.push({ resolve: (message) => resolve(answer(message)), reject }),
    );
  return { next, running };
}

interface PromiseWithResolversLike {
  resolve(message: unknown): void;
  reject(error: Error): void;
}

async function* numbers(count: number, failsAt = -1): AsyncGenerator {
  for (let number = 0; number < count; number += 1) {
    if (number === failsAt) throw new RpcError('RPC_UNAVAILABLE', 'on purpose');
    yield number;
  }
}

async function read(response: MiddlewareResponse): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of response.message as AsyncIterable<unknown>) messages.push(message);
  return messages;
}

test('calls above the limit wait and run as others end, well or badly', async () => {
  const limiter = new ConcurrencyLimiter({ limit: 2 });
  const middleware = limitConcurrency(limiter);
  const { next, running } = handler();
  const calls = Array.from({ length: 4 }, () => middleware(request(), next));
  await setImmediate();
  assert.equal(running.length, 2);
  running[0]!.resolve('first');
  running[1]!.reject(new Error('broken'));
  assert.equal((await calls[0])!.message, 'first');
  await assert.rejects(calls[1]!, /broken/);
  await setImmediate();
  assert.equal(running.length, 4);
  running[2]!.resolve(1);
  running[3]!.resolve(2);
  await Promise.all(calls.slice(2));
  assert.deepEqual(limiter.stats(), { limit: 2, running: 0, waiting: 0, refused: 0, dropped: 0 });
});

test('a full queue fails the call with RPC_QUEUE_FULL', async () => {
  const middleware = limitConcurrency({ limit: 1, queueMax: 1 });
  const { next, running } = handler();
  const calls = [middleware(request(), next), middleware(request(), next)];
  await assert.rejects(middleware(request(), next), { code: 'RPC_QUEUE_FULL', executed: 'no' });
  for (const at of [0, 1]) {
    await setImmediate();
    running[at]!.resolve(at);
  }
  await Promise.all(calls);
});

test('a call that is cancelled or late while it waits leaves the queue', async () => {
  const limiter = new ConcurrencyLimiter({ limit: 1 });
  const middleware = limitConcurrency(limiter);
  const { next, running } = handler();
  const first = middleware(request(), next);
  const cancel = new AbortController();
  const cancelled = middleware(request('unary', { signal: cancel.signal }), next);
  const late = middleware(request('unary', { remainingMs: () => 5 }), next);
  const hopeless = middleware(request('unary', { signal: AbortSignal.abort() }), next);
  await assert.rejects(hopeless, { code: 'RPC_CANCELLED', executed: 'no' });
  cancel.abort();
  await assert.rejects(cancelled, { code: 'RPC_CANCELLED', executed: 'no' });
  await assert.rejects(late, { code: 'RPC_DEADLINE_EXCEEDED', executed: 'no' });
  assert.equal(limiter.waiting, 0);
  running[0]!.resolve('done');
  await first;
  assert.equal(running.length, 1);
  assert.equal(limiter.running, 0);
});

test('a stream holds its place until it was read, broke, was given up or was cancelled', async () => {
  const limiter = new ConcurrencyLimiter({ limit: 1 });
  const middleware = limitConcurrency(limiter);
  const open = (
    count: number,
    failsAt = -1,
    signal = new AbortController().signal,
  ): Promise<MiddlewareResponse> =>
    middleware(request('server-stream', { signal }), async () => answer(numbers(count, failsAt)));

  const whole = await open(3);
  assert.equal(limiter.running, 1);
  assert.deepEqual(await read(whole), [0, 1, 2]);
  assert.equal(limiter.running, 0);

  await assert.rejects(read(await open(3, 1)), { code: 'RPC_UNAVAILABLE' });
  assert.equal(limiter.running, 0);

  for await (const message of (await open(3)).message as AsyncIterable<unknown>) {
    assert.equal(limiter.running, 1);
    assert.equal(message, 0);
    break;
  }
  assert.equal(limiter.running, 0);

  const cancel = new AbortController();
  await open(3, -1, cancel.signal); // never read
  assert.equal(limiter.running, 1);
  cancel.abort();
  assert.equal(limiter.running, 0);

  await assert.rejects(
    middleware(request('server-stream'), () => Promise.reject(new Error('at once'))),
    /at once/,
  );
  assert.equal(limiter.running, 0);
});

test('per method every method has a limit of its own', async () => {
  const middleware = perMethod(() => limitConcurrency({ limit: 1, queueMax: 0 }));
  const { next, running } = handler();
  const calls = [middleware(request('unary'), next), middleware(request('client-stream'), next)];
  await assert.rejects(middleware(request('unary'), next), { code: 'RPC_QUEUE_FULL' });
  for (const each of running) each.resolve('done');
  await Promise.all(calls);
});

test('the rate limiter gives a burst and then its rate', () => {
  const limiter = new RateLimiter({ perSecond: 10, burst: 3 });
  assert.deepEqual(
    [0, 0, 0].map((nowMs) => limiter.take(nowMs)),
    [0, 0, 0],
  );
  assert.equal(limiter.take(0), 100);
  assert.equal(limiter.take(50), 50);
  assert.equal(limiter.take(100), 0);
  assert.equal(limiter.take(100), 100);
  let taken = 0;
  for (let nowMs = 1000; nowMs < 11_000; nowMs += 1) if (limiter.take(nowMs) === 0) taken += 1;
  assert(taken >= 101 && taken <= 103, String(taken)); // ten seconds, and the burst
});

test('calls above the rate are refused and told when there is room', async () => {
  let nowMs = 0;
  const middleware = limitRate({ perSecond: 2, burst: 1 }, () => nowMs);
  const next = async (): Promise<MiddlewareResponse> => answer('answer');
  await middleware(request(), next);
  await assert.rejects(middleware(request(), next), {
    code: 'RPC_RATE_LIMITED',
    executed: 'no',
    retryPushbackMs: 500,
  });
  nowMs = 500;
  assert.equal((await middleware(request(), next)).message, 'answer');
});

test('calls with different keys have different limits, and the keys remembered are bounded', async () => {
  const key = ({ message }: MiddlewareRequest): string => message as string;
  const middleware = limitRate({ perSecond: 1, burst: 1, key, keysMax: 2 }, () => 0);
  const next = async (): Promise<MiddlewareResponse> => answer('answer');
  const call = (message: string): Promise<MiddlewareResponse> =>
    middleware(request('unary', { message }), next);
  await call('anna');
  await call('ben');
  await assert.rejects(call('anna'), { code: 'RPC_RATE_LIMITED' });
  await call('carl'); // ben, who called longest ago, is forgotten
  await assert.rejects(call('anna'), { code: 'RPC_RATE_LIMITED' });
  await call('ben');
});

test('a fallback answers for the failures it is for, and for no others', async () => {
  const middleware = fallback((_, error) => `instead of ${error.code}`);
  const fails = (code: 'RPC_ALL_EJECTED' | 'RPC_NOT_FOUND') => (): Promise<MiddlewareResponse> =>
    Promise.reject(new RpcError(code, 'on purpose'));
  assert.equal((await middleware(request(), fails('RPC_ALL_EJECTED'))).message, 'instead of RPC_ALL_EJECTED');
  await assert.rejects(middleware(request(), fails('RPC_NOT_FOUND')), { code: 'RPC_NOT_FOUND' });
  const other = fallback(() => 'nothing', { on: ['RPC_NOT_FOUND'] });
  assert.equal((await other(request(), fails('RPC_NOT_FOUND'))).message, 'nothing');
  await assert.rejects(
    middleware(request(), () => Promise.reject(new TypeError('a bug'))),
    TypeError,
  );
  assert.equal((await middleware(request(), async () => answer('well'))).message, 'well');
});

test('a stream falls back before its first message and not after it', async () => {
  const middleware: Middleware = fallback(() => numbers(2));
  const open = (failsAt: number): Promise<MiddlewareResponse> =>
    middleware(request('server-stream'), async () => answer(numbers(5, failsAt)));
  assert.deepEqual(await read(await open(0)), [0, 1]);
  assert.deepEqual(await read(await open(-1)), [0, 1, 2, 3, 4]);
  await assert.rejects(read(await open(2)), { code: 'RPC_UNAVAILABLE' });
});

test('impossible options are refused with their name', () => {
  const bad: readonly [() => unknown, RegExp][] = [
    [() => limitConcurrency({ limit: 0 }), /limit/],
    [() => limitRate({ perSecond: 0 }), /perSecond/],
    [() => limitRate({ burst: 0.5 }), /burst/],
    [() => limitRate({ keysMax: 0 }), /keysMax/],
    [() => limitRate({ key: 'name' as unknown as () => string }), /key/],
    [() => fallback(() => 1, { on: ['NEVER' as 'UNKNOWN'] }), /fallback option on/],
  ];
  for (const [make, message] of bad) assert.throws(make, { code: 'RPC_OPTION_INVALID', message });
});
