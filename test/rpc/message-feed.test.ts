// Streams without a promise per message: requests given to a MessageFeed, messages read by forEachMessage.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  enclosingCall,
  forEachMessage,
  MessageFeed,
  type ResponseStream,
  RpcError,
  type ServerCall,
} from '../../rpc/index.js';
import { TRANSPORTS } from '../support/transports.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService, type SayReply, type SayRequest } from './support/echo.js';
import { startPair } from './support/rpc-pair.js';

/** Gives texts 0 up to `count` as the call takes them, then ends. */
function counting(count: number, payload?: Uint8Array): MessageFeed<SayRequest> {
  let next = 0;
  const feed = new MessageFeed<SayRequest>(() => {
    while (feed.isReady && next < count) {
      feed.send({ text: String(next), ...(payload === undefined ? {} : { payload }) });
      next += 1;
    }
    if (next === count) feed.end();
  });
  return feed;
}

async function textsOf(answers: ResponseStream<SayReply>): Promise<string[]> {
  const texts: string[] = [];
  await forEachMessage(answers, ({ text }) => void texts.push(text));
  return texts;
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `re ${index}`);

for (const transport of TRANSPORTS) {
  const both = [{ transport }, { transport }] as const;

  test(`messages of a feed arrive in order, small and above the window (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    assert.deepEqual(await textsOf(client.bidiStream(ECHO.chat, counting(3000))), numbered(3000));
    const big = new Uint8Array(700_000).fill(5);
    assert.deepEqual(await textsOf(client.bidiStream(ECHO.chat, counting(20, big))), numbered(20));
    const { count, bytes } = await client.clientStream(ECHO.upload, counting(50, big));
    assert.deepEqual([count, bytes], [50n, 35_000_000n]);
  });

  test(`a feed is ready once there is a connection, and a message given then is answered before the end (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    const ready = deferred<void>();
    const feed = new MessageFeed<SayRequest>(() => ready.resolve());
    assert.equal(feed.isReady, false);
    assert.throws(() => feed.send({ text: 'too early' }), { code: 'RPC_QUEUE_FULL' });
    const answered = deferred<string>();
    const over = forEachMessage(client.bidiStream(ECHO.chat, feed), ({ text }) => answered.resolve(text));
    await ready.promise;
    feed.send({ text: 'now' });
    feed.flush();
    assert.equal(await answered.promise, 're now');
    feed.end();
    await over;
    assert.equal(feed.isClosed, true);
    assert.throws(() => feed.send({ text: 'too late' }), { code: 'RPC_CANCELLED' });
  });

  test(`a slow reader holds a feed back (${transport})`, async (t) => {
    const open = deferred<void>();
    let taken = 0;
    const service = echoService({
      async upload(requests: AsyncIterable<SayRequest>) {
        await open.promise;
        await forEachMessage(requests, () => (taken += 1));
        return { count: BigInt(taken), bytes: 0n };
      },
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    let given = 0;
    const full = deferred<void>();
    const feed = new MessageFeed<SayRequest>(() => {
      while (feed.isReady && given < 400) {
        feed.send({ payload: new Uint8Array(50_000) });
        given += 1;
      }
      if (given < 400) full.resolve();
      else feed.end();
    });
    const answer = client.clientStream(ECHO.upload, feed);
    await full.promise;
    assert(given < 100, `${given} messages of 50 kB left before anybody read one`);
    open.resolve();
    assert.equal((await answer).count, 400n);
    assert.equal(taken, 400);
  });
}

test('a feed whose message cannot be encoded fails the call and is closed', async (t) => {
  const { client } = await startPair(t);
  const feed = new MessageFeed<SayRequest>(() => feed.send({ number: 'no number' as unknown as bigint }));
  await assert.rejects(textsOf(client.bidiStream(ECHO.chat, feed)), { code: 'RPC_MESSAGE_INVALID' });
  assert.equal(feed.isClosed, true);
});

test('a call that ends closes its feed: cancelled, refused, or its server gone', async (t) => {
  const service = echoService({
    chat() {
      throw new RpcError('RPC_PERMISSION_DENIED', 'not for you');
    },
  });
  const { client } = await startPair(t, { services: [service] });
  const refused = new MessageFeed<SayRequest>();
  await assert.rejects(textsOf(client.bidiStream(ECHO.chat, refused)), { code: 'RPC_PERMISSION_DENIED' });
  assert.equal(refused.isClosed, true);

  const pair = await startPair(t);
  const ready = deferred<void>();
  const cancelled = new MessageFeed<SayRequest>(() => ready.resolve());
  const answers = pair.client.bidiStream(ECHO.chat, cancelled);
  await ready.promise;
  answers.cancel();
  await assert.rejects(textsOf(answers), { code: 'RPC_CANCELLED' });
  assert.equal(cancelled.isClosed, true);

  const cut = new MessageFeed<SayRequest>(() => void pair.server.close({ graceMs: 0 }));
  await assert.rejects(textsOf(pair.client.bidiStream(ECHO.chat, cut)), RpcError);
  assert.equal(cut.isClosed, true);
});

test('a reader that throws leaves the stream, and its error is what the caller gets', async (t) => {
  const stopped = deferred<void>();
  const service = echoService({
    async *list(_: unknown, call: ServerCall) {
      call.signal.addEventListener('abort', () => stopped.resolve(), { once: true });
      for (let index = 0; !call.signal.aborted; index += 1) {
        yield { text: String(index) };
        await new Promise(setImmediate);
      }
    },
  });
  const { client } = await startPair(t, { services: [service] });
  const seen: string[] = [];
  const reading = forEachMessage(client.serverStream(ECHO.list, {}), ({ text }) => {
    seen.push(text);
    if (text === '3') throw new Error('enough');
  });
  await assert.rejects(reading, /enough/);
  await stopped.promise;
  assert.deepEqual(seen, ['0', '1', '2', '3']);
});

test('what the stream fails with comes behind the messages before it', async (t) => {
  const service = echoService({
    async *list() {
      yield { text: 'one' };
      yield { text: 'two' };
      throw new RpcError('RPC_FAILED_PRECONDITION', 'no more');
    },
  });
  const { client } = await startPair(t, { services: [service] });
  const seen: string[] = [];
  const reading = forEachMessage(client.serverStream(ECHO.list, {}), ({ text }) => void seen.push(text));
  await assert.rejects(reading, { code: 'RPC_FAILED_PRECONDITION' });
  assert.deepEqual(seen, ['one', 'two']);
});

test('messages that came before the reader are read first; a second reader is refused', async (t) => {
  const { client } = await startPair(t);
  const stream = client.serverStream(ECHO.list, { text: 'n', count: 100 });
  await stream.trailers; // all has come
  const seen: string[] = [];
  await forEachMessage(stream, ({ text }) => void seen.push(text));
  assert.equal(seen.length, 100);
  assert.equal(seen[99], 'n99');

  const other = client.bidiStream(ECHO.chat, new MessageFeed<SayRequest>());
  const first = forEachMessage(other, () => {});
  await assert.rejects(
    forEachMessage(other, () => {}),
    /one reader/,
  );
  other.cancel();
  await assert.rejects(first, { code: 'RPC_CANCELLED' });
});

test('compressed messages are unpacked for a callback as for a loop', async (t) => {
  const { client } = await startPair(t, { compression: 'gzip' }, { compression: 'gzip' });
  const payload = new Uint8Array(200_000);
  const { count, bytes } = await client.clientStream(ECHO.upload, counting(10, payload));
  assert.deepEqual([count, bytes], [10n, 2_000_000n]);
  assert.deepEqual(await textsOf(client.bidiStream(ECHO.chat, counting(10, payload))), numbered(10));
});

test('what is no stream of this layer is read too: arrays, generators, feeds', async () => {
  const seen: number[] = [];
  const note = (value: number): void => void seen.push(value);
  await forEachMessage([1, 2], note);
  await forEachMessage(
    (async function* () {
      yield 3;
    })(),
    note,
  );
  let next = 4;
  const feed = new MessageFeed<number>(() => {
    if (next > 6) feed.end();
    else feed.send(next);
    next += 1;
  });
  await forEachMessage(feed, note);
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
});

test('a feed goes through middleware', async (t) => {
  const { client } = await startPair(t, {}, { middleware: [(request, next) => next(request)] });
  assert.deepEqual(await textsOf(client.bidiStream(ECHO.chat, counting(200))), numbered(200));
});

test('a feed that is ended before the call begins sends nothing', async (t) => {
  const { client } = await startPair(t);
  const feed = new MessageFeed<SayRequest>();
  feed.end();
  assert.deepEqual(await textsOf(client.bidiStream(ECHO.chat, feed)), []);
});

test('a feed that nothing was taken from goes along to the next attempt', async (t) => {
  let calls = 0;
  const service = echoService({
    async upload(requests: AsyncIterable<SayRequest>) {
      calls += 1;
      if (calls === 1) throw new RpcError('RPC_UNAVAILABLE', 'not yet', { executed: 'no' });
      let count = 0n;
      await forEachMessage(requests, () => (count += 1n));
      return { count, bytes: 0n };
    },
  });
  const { client } = await startPair(t, { services: [service] });
  let offered = 0;
  const feed = new MessageFeed<SayRequest>(() => {
    offered += 1;
    if (offered < 2) return; // keeps it until the second attempt
    feed.send({ text: 'at last' });
    feed.end();
  });
  assert.equal((await client.clientStream(ECHO.upload, feed)).count, 1n);
  assert.equal(calls, 2);
});

test('a handler that reads by callback is still inside its call', async (t) => {
  const scopes: boolean[] = [];
  const service = echoService({
    async upload(requests: AsyncIterable<SayRequest>) {
      let count = 0n;
      scopes.push(enclosingCall() !== null);
      await forEachMessage(requests, () => (count += 1n));
      scopes.push(enclosingCall() !== null);
      return { count, bytes: 0n };
    },
  });
  const { client } = await startPair(t, { services: [service] });
  assert.equal((await client.clientStream(ECHO.upload, counting(5))).count, 5n);
  assert.deepEqual(scopes, [true, true]);
});
