// What middleware on the client's side may do with a call, and what its caller still gets.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Metadata, type Middleware, type RpcError, type ServerCall } from '../../rpc/index.js';
import { ECHO, echoService, type SayRequest } from './support/echo.js';
import { startPair } from './support/rpc-pair.js';

const SERVICES = [
  echoService({
    async *list(_: unknown, call: ServerCall) {
      call.sendHeaders(Metadata.from({ 'x-head': 'h' }));
      yield { text: 'one' };
      yield { text: 'two' };
      call.trailers.add('x-tail', 't');
    },
    say: ({ text }: SayRequest, call: ServerCall) => {
      call.trailers.add('x-tail', 'unary');
      return { text: `${text} ${call.metadata.text('x-added') ?? ''}` };
    },
  }),
];

test('the trailers of a stream are those of its end, however early they are asked for', async (t) => {
  const passOn: Middleware = (request, next) => next(request);
  const { client } = await startPair(t, { services: SERVICES }, { middleware: [passOn] });
  const stream = client.serverStream(ECHO.list, {});
  const { trailers } = stream; // asked for before anything has come
  assert.equal((await stream.headers).text('x-head'), 'h');
  const texts: string[] = [];
  for await (const { text } of stream) texts.push(text);
  assert.deepEqual(texts, ['one', 'two']);
  assert.equal((await trailers).text('x-tail'), 't');
});

test('middleware may add metadata, call again, and answer without any call', async (t) => {
  const seen: string[] = [];
  const middleware: Middleware = async (request, next) => {
    const { text } = request.message as SayRequest;
    if (text === 'cached') {
      return { message: { text: 'from the cache' }, headers: new Metadata(), trailers: new Metadata() };
    }
    request.metadata.set('x-added', 'by middleware');
    await next(request);
    const response = await next(request);
    seen.push(response.trailers.text('x-tail') ?? 'none');
    return response;
  };
  const { client } = await startPair(t, { services: SERVICES }, { middleware: [middleware] });
  const metadata = new Metadata();
  assert.equal((await client.unary(ECHO.say, { text: 'a' }, { metadata })).text, 'a by middleware');
  assert.equal(metadata.size, 0, 'what the caller gave stays as it is');
  assert.equal((await client.unary(ECHO.say, { text: 'cached' })).text, 'from the cache');
  assert.deepEqual(seen, ['unary']);
});

test('cancelling a stream reaches the call below the middleware', async (t) => {
  const passOn: Middleware = (request, next) => next(request);
  const { client } = await startPair(t, { services: SERVICES }, { middleware: [passOn] });
  const stream = client.bidiStream(ECHO.chat, endless());
  stream.cancel();
  await assert.rejects(
    async () => {
      for await (const _ of stream);
    },
    (error) => (error as RpcError).code === 'RPC_CANCELLED',
  );
  await assert.rejects(stream.trailers, (error) => (error as RpcError).code === 'RPC_CANCELLED');

  async function* endless(): AsyncIterable<SayRequest> {
    for (;;) {
      yield {};
      await new Promise(setImmediate);
    }
  }
});
