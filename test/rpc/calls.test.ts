// All four kinds of call over real sockets, on every transport: messages, metadata, errors, deadlines, cancellation.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Metadata, RpcError, type ServerCall } from '../../rpc/index.js';
import { TRANSPORTS } from '../support/transports.js';
import { ECHO, echoService, type SayReply, type SayRequest } from './support/echo.js';
import { deferred } from './support/deferred.js';
import { startPair } from './support/rpc-pair.js';

for (const transport of TRANSPORTS) {
  const both = [{ transport }, { transport }] as const;

  test(`a unary call is answered (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    const answer = await client.unary(ECHO.say, { text: 'hello', number: 2n ** 60n });
    assert.equal(answer.text, 'hello');
    assert.equal(answer.number, 2n ** 60n);
  });

  test(`messages of every length come back whole (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    for (const bytes of [0, 1, 16_000, 16_384, 65_000, 65_536, 70_000, 300_000, 4_000_000]) {
      const payload = new Uint8Array(bytes).map((_, index) => index * 7);
      const answer = await client.unary(ECHO.say, { payload });
      assert.equal(Buffer.compare(answer.payload, payload), 0, `${bytes} bytes`);
    }
  });

  test(`a server stream is read in order to its end (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    const texts: string[] = [];
    for await (const { text } of client.serverStream(ECHO.list, { text: 'n', count: 5000 })) texts.push(text);
    assert.deepEqual(
      texts,
      Array.from({ length: 5000 }, (_, index) => `n${index}`),
    );
  });

  test(`a client stream is counted (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    const payload = new Uint8Array(1000);
    const requests = Array.from({ length: 3000 }, () => ({ payload }));
    const { count, bytes } = await client.clientStream(ECHO.upload, requests);
    assert.equal(count, 3000n);
    assert.equal(bytes, 3_000_000n);
  });

  test(`both sides stream at once, with messages above the window (${transport})`, async (t) => {
    const { client } = await startPair(t, ...both);
    const payload = new Uint8Array(700_000).fill(9);
    async function* requests(): AsyncIterable<SayRequest> {
      for (let index = 0; index < 20; index += 1) yield { text: String(index), payload };
    }
    const answers: SayReply[] = [];
    for await (const answer of client.bidiStream(ECHO.chat, requests())) answers.push(answer);
    assert.deepEqual(
      answers.map(({ text }) => text),
      Array.from({ length: 20 }, (_, index) => `re ${index}`),
    );
    assert(answers.every((answer) => Buffer.compare(answer.payload, payload) === 0));
  });

  test(`headers, trailers and metadata travel, binary too (${transport})`, async (t) => {
    const service = echoService({
      say: (request: SayRequest, call: ServerCall) => {
        call.sendHeaders(Metadata.from({ 'x-first': 'yes' }));
        call.trailers.add('x-last-bin', call.metadata.get('x-token-bin')!);
        return { text: call.metadata.text('x-name') ?? '' };
      },
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    const seen: Metadata[] = [];
    const answer = await client.unary(
      ECHO.say,
      {},
      {
        metadata: Metadata.from({ 'X-Name': 'ada', 'x-token-bin': Buffer.from([0, 255]) }),
        onHeaders: (headers) => seen.push(headers),
        onTrailers: (trailers) => seen.push(trailers),
      },
    );
    assert.equal(answer.text, 'ada');
    assert.equal(seen[0]?.text('x-first'), 'yes');
    assert.deepEqual(seen[1]?.get('x-last-bin'), new Uint8Array([0, 255]));
  });

  test(`an error of a handler arrives with its code, text, details and trailers (${transport})`, async (t) => {
    const detail = { typeUrl: 'type.googleapis.com/demo.Why', value: new Uint8Array([1, 2]) };
    const service = echoService({
      say: () => {
        throw new RpcError('RPC_NOT_FOUND', 'no such jöb', {
          details: [detail],
          trailers: Metadata.from({ 'x-why': 'gone' }),
        });
      },
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    await assert.rejects(client.unary(ECHO.say, {}), (error: RpcError) => {
      assert.equal(error.code, 'RPC_NOT_FOUND');
      assert.equal(error.message, 'no such jöb');
      assert.deepEqual(error.details, [detail]);
      assert.equal(error.trailers?.text('x-why'), 'gone');
      return true;
    });
  });

  test(`a deadline ends the call here and the handler there (${transport})`, async (t) => {
    const aborted = deferred<unknown>();
    const service = echoService({
      count: (_: SayRequest, call: ServerCall) =>
        new Promise((_resolve, reject) => {
          call.signal.addEventListener('abort', () => {
            aborted.resolve(call.signal.reason);
            reject(call.signal.reason);
          });
        }),
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    await client.unary(ECHO.say, {}); // on a busy machine connecting alone may take longer than the deadline below
    await assert.rejects(client.unary(ECHO.count, {}, { timeoutMs: 50 }), { code: 'RPC_DEADLINE_EXCEEDED' });
    assert.equal(((await aborted.promise) as RpcError).code, 'RPC_DEADLINE_EXCEEDED');
  });

  test(`an AbortSignal cancels the call on both sides (${transport})`, async (t) => {
    const started = deferred<AbortSignal>();
    const service = echoService({
      count: (_: SayRequest, call: ServerCall) => {
        started.resolve(call.signal);
        return new Promise(() => {});
      },
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    const controller = new AbortController();
    const answer = client.unary(ECHO.count, {}, { signal: controller.signal });
    const signal = await started.promise;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    controller.abort(new Error('not needed any more'));
    await assert.rejects(answer, { code: 'RPC_CANCELLED', message: /not needed any more/ });
    await aborted;
  });

  test(`a reader that leaves a stream stops the handler (${transport})`, async (t) => {
    const finished = deferred<void>();
    const service = echoService({
      async *list() {
        try {
          for (;;) {
            yield { text: 'more' };
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          finished.resolve();
        }
      },
    });
    const { client } = await startPair(t, { services: [service], transport }, { transport });
    for await (const { text } of client.serverStream(ECHO.list, {})) {
      assert.equal(text, 'more');
      break;
    }
    await finished.promise;
  });

  test(`a message above the limit is refused, and the error names side, limit and size (${transport})`, async (t) => {
    const { client } = await startPair(
      t,
      { messageBytesMax: 1000, transport },
      { messageBytesMax: 500, transport },
    );
    await assert.rejects(client.unary(ECHO.say, { payload: new Uint8Array(1001) }), {
      code: 'RPC_MESSAGE_TOO_LARGE',
      message: /10\d\d bytes.*server.*1000/,
    });
    await assert.rejects(client.unary(ECHO.say, { payload: new Uint8Array(600) }), {
      code: 'RPC_MESSAGE_TOO_LARGE',
      message: /6\d\d bytes.*client.*500/,
    });
  });

  test(`a method that is not there was surely not executed (${transport})`, async (t) => {
    const { client } = await startPair(t, { services: [], transport }, { transport });
    await assert.rejects(client.unary(ECHO.say, {}), {
      code: 'RPC_METHOD_UNKNOWN',
      executed: 'no',
      status: 'UNIMPLEMENTED',
    });
  });

  test(`a compressed message is the same message (${transport})`, async (t) => {
    const { client } = await startPair(
      t,
      { compression: 'gzip', transport },
      { compression: 'gzip', transport },
    );
    for (const bytes of [100, 5000, 3_000_000]) {
      const payload = new Uint8Array(bytes).fill(5);
      const answer = await client.unary(ECHO.say, { payload });
      assert.equal(Buffer.compare(answer.payload, payload), 0, `${bytes} bytes`);
    }
  });

  test(`JSON is spoken when the client prefers it (${transport})`, async (t) => {
    const { client } = await startPair(t, { transport }, { serializers: ['json'], transport });
    const answer = await client.unary(ECHO.say, { text: 'as text', number: 2n ** 62n });
    assert.equal(answer.text, 'as text');
    assert.equal(answer.number, 2n ** 62n);
  });
}
