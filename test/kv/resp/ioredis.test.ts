// ioredis, a client that many programs use, as they use it.

import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { respPair } from '../support/resp-pair.js';

/** As much of it as is used here. Loaded by name, so that a checkout without this one package still compiles. */
interface Redis extends EventEmitter {
  set(key: string | Buffer, value: string | Buffer): Promise<string>;
  get(key: string): Promise<string | null>;
  getBuffer(key: Buffer): Promise<Buffer | null>;
  call(command: string, ...args: string[]): Promise<unknown>;
  pipeline(): Queue;
  multi(): Queue;
  watch(key: string): Promise<string>;
  publish(channel: string, message: string): Promise<number>;
  subscribe(channel: string): Promise<unknown>;
  psubscribe(pattern: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  punsubscribe(pattern: string): Promise<unknown>;
  disconnect(): void;
}

interface Queue {
  set(key: string, value: string | number): Queue;
  get(key: string): Queue;
  exec(): Promise<[Error | null, unknown][] | null>;
}

const PACKAGE: string = 'ioredis';
const { Redis } = (await import(PACKAGE)) as {
  Redis: new (options: { port: number; host: string; maxRetriesPerRequest: number }) => Redis;
};

function connect(t: TestContext, port: number): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 1 });
  t.after(() => redis.disconnect());
  return redis;
}

test('single commands, pipelines and binary values', async (t) => {
  const { port } = await respPair(t);
  const redis = connect(t, port);
  assert.equal(await redis.set('a', '1'), 'OK');
  assert.equal(await redis.get('a'), '1');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  await redis.set(bytes, bytes);
  assert.deepEqual(await redis.getBuffer(bytes), bytes);
  const pipeline = redis.pipeline();
  for (let index = 0; index < 500; index += 1) pipeline.set(`k${index}`, index).get(`k${index}`);
  const results = await pipeline.exec();
  assert.deepEqual(
    results?.map(([error, value]) => error ?? value),
    Array.from({ length: 1000 }, (_, index) => (index % 2 === 0 ? 'OK' : String(Math.floor(index / 2)))),
  );
  await assert.rejects(redis.call('blpop', 'k', '0'), /ERR unknown command 'blpop'/);
  assert.equal(await redis.get('a'), '1');
});

test('transactions, with and without a watched key that changes', async (t) => {
  const { port } = await respPair(t);
  const [redis, other] = [connect(t, port), connect(t, port)];
  const done = await redis.multi().set('a', '1').get('a').exec();
  assert.deepEqual(done, [
    [null, 'OK'],
    [null, '1'],
  ]);
  await redis.watch('a');
  await other.set('a', '2');
  assert.equal(await redis.multi().set('a', '3').exec(), null);
  assert.equal(await redis.get('a'), '2');
});

test('publish and subscribe', async (t) => {
  const { port } = await respPair(t);
  const [listener, publisher] = [connect(t, port), connect(t, port)];
  await listener.subscribe('news');
  const heard = once(listener, 'message');
  assert.equal(await publisher.publish('news', 'hello'), 1);
  assert.deepEqual(await heard, ['news', 'hello']);
  await listener.psubscribe('n*');
  const matched = once(listener, 'pmessage');
  assert.equal(await publisher.publish('next', 'again'), 1);
  assert.deepEqual(await matched, ['n*', 'next', 'again']);
  await listener.unsubscribe('news');
  await listener.punsubscribe('n*');
  assert.equal(await publisher.publish('news', 'nobody'), 0);
});
