// Our client code calls ordinary grpc-js servers, made from the .proto alone.

import * as grpc from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import test from 'node:test';
import protobuf from 'protobufjs';
import {
  type Caller,
  type Middleware,
  Metadata,
  RpcError,
  type ServerCall,
  STATUS,
} from '../../rpc/index.js';
import { until } from '../support/until.js';
import { deferred } from './support/deferred.js';
import { ECHO, echoService, type SayRequest } from './support/echo.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { plainServer } from './support/plain-grpc.js';

type Unary = grpc.handleUnaryCall<PlainRequest, object>;
interface PlainRequest {
  text: string;
  number: string;
  payload: Buffer;
  count: number;
}

const UPLOAD: grpc.handleClientStreamingCall<PlainRequest, object> = (call, done) => {
  let count = 0;
  let bytes = 0;
  call.on('data', ({ payload }: PlainRequest) => {
    count += 1;
    bytes += payload.length;
  });
  call.on('end', () => done(null, { count, bytes }));
};

/** What an ordinary programmer would write. */
const HANDLERS: grpc.UntypedServiceImplementation = {
  Say: ((call, done) => done(null, call.request)) satisfies Unary,
  List: ((call) => {
    for (let index = 0; index < call.request.count; index += 1)
      call.write({ text: `${call.request.text}${index}` });
    call.end();
  }) satisfies grpc.handleServerStreamingCall<PlainRequest, object>,
  Upload: UPLOAD,
  Chat: ((call) => {
    call.on('data', ({ text, payload }: PlainRequest) => call.write({ text: `re ${text}`, payload }));
    call.on('end', () => call.end());
  }) satisfies grpc.handleBidiStreamingCall<PlainRequest, object>,
  Count: ((call, done) => done(null, call.request)) satisfies Unary,
};

const coded =
  (code: string, text?: RegExp) =>
  (error: unknown): true => {
    assert(error instanceof RpcError);
    assert.equal(error.code, code);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };

async function texts(stream: AsyncIterable<{ text: string }>): Promise<string[]> {
  const result: string[] = [];
  for await (const { text } of stream) result.push(text);
  return result;
}

test('all four kinds of call are answered', async (t) => {
  const { target } = await plainServer(t, HANDLERS);
  const caller = startGrpcCaller(t, { target });
  const answer = await caller.unary(ECHO.say, { text: 'grüße', number: 2n ** 53n + 1n });
  assert.equal(answer.text, 'grüße');
  assert.equal(answer.number, 2n ** 53n + 1n);
  const listed = await texts(caller.serverStream(ECHO.list, { text: 'n', count: 1000 }));
  assert.deepEqual(
    listed,
    Array.from({ length: 1000 }, (_, index) => `n${index}`),
  );
  const requests = Array.from({ length: 300 }, () => ({ payload: new Uint8Array(1000) }));
  assert.deepEqual(await caller.clientStream(ECHO.upload, requests), { count: 300n, bytes: 300_000n });
  const words = deferred<void>();
  async function* talk(): AsyncIterable<SayRequest> {
    yield { text: 'one' };
    await words.promise;
    yield { text: 'two' };
  }
  const heard: string[] = [];
  for await (const { text } of caller.bidiStream(ECHO.chat, talk())) {
    heard.push(text);
    words.resolve();
  }
  assert.deepEqual(heard, ['re one', 're two'], 'answered while the requests went on');
});

test('messages of megabytes cross both ways, and above the limit the error names it', async (t) => {
  const { target } = await plainServer(t, HANDLERS);
  const caller = startGrpcCaller(t, { target });
  const payload = new Uint8Array(3_900_000).map((_, index) => index * 7);
  const answer = await caller.unary(ECHO.say, { payload });
  assert.equal(Buffer.compare(answer.payload, payload), 0);
  await assert.rejects(
    caller.unary(ECHO.say, { payload: new Uint8Array(5_000_000) }),
    coded('RPC_MESSAGE_TOO_LARGE'),
  );
  const small = startGrpcCaller(t, { target, sentBytesMax: 100 });
  await assert.rejects(
    small.unary(ECHO.say, { payload: new Uint8Array(200) }),
    coded('RPC_MESSAGE_TOO_LARGE', /203 bytes .* the client sends, 100/),
  );
});

test('every status becomes its code, with text, details, trailers and pushback', async (t) => {
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Say: ((call, done) => {
      const metadata = new grpc.Metadata();
      const { Root } = protobuf;
      const type = Root.fromJSON({
        nested: {
          Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
          Status: {
            fields: {
              code: { type: 'int32', id: 1 },
              message: { type: 'string', id: 2 },
              details: { rule: 'repeated', type: 'Any', id: 3 },
            },
          },
        },
      }).lookupType('Status');
      const details = [{ typeUrl: 'type.googleapis.com/demo.Why', value: Buffer.from([8, 7]) }];
      const bytes = type.encode({ code: Number(call.request.number), message: 'm', details }).finish();
      metadata.set('grpc-status-details-bin', Buffer.from(bytes));
      metadata.set('x-why', 'because');
      metadata.set('grpc-retry-pushback-ms', '70');
      done({
        code: grpc.status[call.request.text as keyof typeof grpc.status],
        details: 'it failed – 100 %',
        metadata,
      });
    }) satisfies Unary,
  });
  const caller = startGrpcCaller(t, { target });
  for (const [name, number] of Object.entries(STATUS)) {
    if (name === 'OK') continue;
    const error = await caller.unary(ECHO.say, { text: name, number: BigInt(number) }).then(
      () => null,
      (failure: unknown) => failure,
    );
    assert(error instanceof RpcError);
    assert.equal(error.code, `RPC_${name}`);
    assert.equal(error.message, 'it failed – 100 %');
    assert.deepEqual(error.details, [
      { typeUrl: 'type.googleapis.com/demo.Why', value: Uint8Array.from([8, 7]) },
    ]);
    assert.equal(error.trailers?.get('x-why'), 'because');
    assert.deepEqual([...error.trailers].length, 1, 'what belongs to gRPC is no trailer');
    assert.equal(error.retryPushbackMs, 70);
    assert.equal(error.executed, 'unknown');
  }
});

test('metadata, headers and trailers cross, binary ones too', async (t) => {
  const seen: grpc.Metadata[] = [];
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Say: ((call, done) => {
      seen.push(call.metadata);
      const headers = new grpc.Metadata();
      headers.set('x-head', 'h');
      call.sendMetadata(headers);
      const trailers = new grpc.Metadata();
      trailers.add('x-tail-bin', Buffer.from([1, 255]));
      done(null, {}, trailers);
    }) satisfies Unary,
    List: ((call) => {
      const headers = new grpc.Metadata();
      headers.set('x-head', 'list');
      call.sendMetadata(headers);
      const trailers = new grpc.Metadata();
      trailers.set('x-tail', 'end');
      call.write({ text: 'one' });
      call.end(trailers);
    }) satisfies grpc.handleServerStreamingCall<PlainRequest, object>,
  });
  const caller = startGrpcCaller(t, { target, token: 's3cret' });
  let headers: Metadata | null = null;
  let trailers: Metadata | null = null;
  const metadata = Metadata.from({
    'x-one': ' a ',
    'x-two-bin': [Uint8Array.from([1]), Uint8Array.from([2, 3])],
  });
  await caller.unary(
    ECHO.say,
    {},
    {
      metadata,
      onHeaders: (received) => {
        headers = received;
      },
      onTrailers: (received) => {
        trailers = received;
      },
    },
  );
  assert.deepEqual(seen[0]?.get('x-one'), ['a']);
  assert.deepEqual(seen[0]?.get('x-two-bin'), [Buffer.from([1]), Buffer.from([2, 3])]);
  assert.deepEqual(seen[0]?.get('authorization'), ['Bearer s3cret']);
  assert.deepEqual([...headers!], [['x-head', 'h']]);
  assert.deepEqual(
    [...trailers!].map(([key, value]) => [key, [...(value as Uint8Array)]]),
    [['x-tail-bin', [1, 255]]],
  );
  const stream = caller.serverStream(ECHO.list, {});
  assert.equal((await stream.headers).get('x-head'), 'list');
  assert.deepEqual(await texts(stream), ['one']);
  assert.equal((await stream.trailers).get('x-tail'), 'end');
});

test('metadata keys of HTTP/2 and gRPC itself are refused before anything is sent', async (t) => {
  const { target } = await plainServer(t, HANDLERS);
  const caller = startGrpcCaller(t, { target });
  for (const key of ['connection', 'te', 'grpc-timeout', 'content-type']) {
    const metadata = Metadata.from({ [key]: '1' });
    await assert.rejects(
      caller.unary(ECHO.say, {}, { metadata }),
      coded('RPC_INVALID_ARGUMENT', new RegExp(key)),
    );
  }
});

test('a call ends at its deadline, the client’s own when it names none, and the server knows it', async (t) => {
  const deadlines: number[] = [];
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Say: ((call) => {
      deadlines.push(Number(call.getDeadline()) - Date.now());
    }) satisfies Unary,
  });
  const caller = startGrpcCaller(t, { target, timeoutMs: 300 });
  await assert.rejects(caller.unary(ECHO.say, {}), coded('RPC_DEADLINE_EXCEEDED', /within 300 ms/));
  await assert.rejects(
    caller.unary(ECHO.say, {}, { timeoutMs: 200 }),
    coded('RPC_DEADLINE_EXCEEDED', /within 200 ms/),
  );
  assert(deadlines[0]! > 0 && deadlines[0]! <= 300, `${deadlines[0]} ms at the server`);
});

test('an AbortSignal and leaving a stream cancel the call at the server', async (t) => {
  const cancelled: string[] = [];
  const started: string[] = [];
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Say: ((call) => {
      started.push('say');
      call.on('cancelled', () => cancelled.push('say'));
    }) satisfies Unary,
    List: ((call) => {
      call.on('cancelled', () => cancelled.push('list'));
      call.write({ text: 'one' });
    }) satisfies grpc.handleServerStreamingCall<PlainRequest, object>,
  });
  const caller = startGrpcCaller(t, { target });
  const abort = new AbortController();
  const call = caller.unary(ECHO.say, {}, { signal: abort.signal });
  await until(() => started.length === 1);
  abort.abort(new Error('not wanted'));
  await assert.rejects(call, coded('RPC_CANCELLED', /not wanted/));
  await assert.rejects(caller.unary(ECHO.say, {}, { signal: abort.signal }), coded('RPC_CANCELLED'));
  for await (const { text } of caller.serverStream(ECHO.list, {})) {
    assert.equal(text, 'one');
    break;
  }
  await until(() => cancelled.length === 2);
  assert.deepEqual(cancelled.toSorted(), ['list', 'say']);
  assert.equal(caller.figures().callsInFlight, 0);
});

test('requests that fail to be made cancel the call with their error', async (t) => {
  const { target } = await plainServer(t, HANDLERS);
  const caller = startGrpcCaller(t, { target });
  async function* broken(): AsyncIterable<SayRequest> {
    yield { text: 'one' };
    throw new RpcError('RPC_ABORTED', 'no more');
  }
  await assert.rejects(caller.clientStream(ECHO.upload, broken()), coded('RPC_ABORTED'));
  await assert.rejects(
    caller.unary(ECHO.say, { number: 'no number' } as never),
    coded('RPC_MESSAGE_INVALID'),
  );
});

test('a fast writer waits for a server that does not read', async (t) => {
  const gate = deferred<void>();
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Upload: ((call, done) => {
      void gate.promise.then(() => UPLOAD(call, done));
    }) satisfies grpc.handleClientStreamingCall<PlainRequest, object>,
  });
  const caller = startGrpcCaller(t, { target, timeoutMs: 60_000 });
  let made = 0;
  function* requests(): Iterable<SayRequest> {
    const payload = new Uint8Array(16 * 1024);
    for (; made < 2000; made += 1) yield { payload };
  }
  const call = caller.clientStream(ECHO.upload, requests());
  await until(() => made > 0);
  let before = -1;
  while (made !== before) {
    before = made;
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
  }
  assert(made < 400, `${made} of 2000 requests were made for a server that reads none`);
  gate.resolve();
  assert.equal((await call).count, 2000n);
});

test('a server that cannot be reached fails the call as never executed', async (t) => {
  const { server, target } = await plainServer(t, HANDLERS);
  server.forceShutdown();
  const caller = startGrpcCaller(t, { target });
  const error = await caller.unary(ECHO.say, {}).catch((failure: unknown) => failure);
  assert(error instanceof RpcError);
  assert.equal(error.code, 'RPC_CONNECT_FAILED');
  assert.equal(error.status, 'UNAVAILABLE');
  assert.equal(error.executed, 'no');
});

test('middleware stands around every kind of call and sees headers and trailers', async (t) => {
  const { target } = await plainServer(t, HANDLERS);
  const passed: string[] = [];
  const middleware: Middleware = async (request, next) => {
    passed.push(`${request.side} ${request.method.name}`);
    assert(request.remainingMs() > 0);
    return next(request);
  };
  const caller = startGrpcCaller(t, { target, middleware: [middleware] });
  await caller.unary(ECHO.say, {});
  const stream = caller.serverStream(ECHO.list, { text: 'n', count: 2 });
  assert.deepEqual(await texts(stream), ['n0', 'n1']);
  assert.deepEqual([...(await stream.trailers)], []);
  await caller.clientStream(ECHO.upload, []);
  await texts(caller.bidiStream(ECHO.chat, []));
  assert.deepEqual(passed, ['client Say', 'client List', 'client Upload', 'client Chat']);
});

test('our codes and what was surely not executed cross between two of us', async (t) => {
  const services = [
    echoService({
      say: () => {
        throw new RpcError('RPC_RATE_LIMITED', 'slowly', { executed: 'no' });
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const error = await startGrpcCaller(t, { target })
    .unary(ECHO.say, {})
    .catch((failure: unknown) => failure);
  assert(error instanceof RpcError);
  assert.equal(error.code, 'RPC_RATE_LIMITED');
  assert.equal(error.executed, 'no');
  assert.equal(error.trailers, null);
});

test('a call made inside a handler inherits the time that is left, through three hops', async (t) => {
  const left: number[] = [];
  const callers: { next: Caller | null } = { next: null };
  const last = await startGrpcServer(t, {
    services: [
      echoService({
        say: (_: SayRequest, call: ServerCall) => {
          left.push(call.remainingMs());
          return {};
        },
      }),
    ],
  });
  const middle = await startGrpcServer(t, {
    services: [
      echoService({
        say: (request: SayRequest, call: ServerCall) => {
          left.push(call.remainingMs());
          return callers.next!.unary(ECHO.say, request);
        },
      }),
    ],
  });
  callers.next = startGrpcCaller(t, { target: last.target });
  await startGrpcCaller(t, { target: middle.target }).unary(ECHO.say, {}, { timeoutMs: 5_000 });
  assert.equal(left.length, 2);
  assert(left[1]! < left[0]! && left[0]! <= 5_000, left.join(' then '));
});

test('a handler that is cancelled cancels the calls it made', async (t) => {
  const reached = deferred<void>();
  const aborted = deferred<void>();
  const last = await startGrpcServer(t, {
    services: [
      echoService({
        say: (_: SayRequest, call: ServerCall) => {
          reached.resolve();
          call.signal.addEventListener('abort', () => aborted.resolve());
          return new Promise(() => {});
        },
      }),
    ],
  });
  const inner = startGrpcCaller(t, { target: last.target });
  const middle = await startGrpcServer(t, {
    services: [echoService({ say: (request: SayRequest) => inner.unary(ECHO.say, request) })],
  });
  const abort = new AbortController();
  const call = startGrpcCaller(t, { target: middle.target }).unary(ECHO.say, {}, { signal: abort.signal });
  await reached.promise;
  abort.abort();
  await assert.rejects(call, coded('RPC_CANCELLED'));
  await aborted.promise;
});

test('closing waits for calls under way, refuses new ones and ends what is left', async (t) => {
  const reached = deferred<grpc.sendUnaryData<object>>();
  const { target } = await plainServer(t, {
    ...HANDLERS,
    Say: ((_, done) => reached.resolve(done)) satisfies Unary,
  });
  const caller = startGrpcCaller(t, { target });
  const call = caller.unary(ECHO.say, {});
  const done = await reached.promise;
  const closed = caller.close(20_000);
  await assert.rejects(caller.unary(ECHO.say, {}), coded('RPC_CLOSED'));
  done(null, { text: 'in time' });
  assert.equal((await call).text, 'in time');
  await closed;
  const other = startGrpcCaller(t, { target });
  const hanging = other.serverStream(ECHO.chat as never, {} as never);
  const failed = assert.rejects(texts(hanging as never), coded('RPC_CLOSED'));
  await other.close(0);
  await failed;
});

test('an unusable option is named', (t) => {
  const make = (options: object) => () => startGrpcCaller(t, { target: '127.0.0.1:1', ...options });
  assert.throws(make({ timeoutMs: 0 }), coded('RPC_OPTION_INVALID', /timeoutMs/));
  assert.throws(make({ balancer: 'best' }), coded('RPC_OPTION_INVALID', /balancer/));
  assert.throws(make({ retries: 3 }), coded('RPC_OPTION_INVALID', /retries does not exist/));
});
