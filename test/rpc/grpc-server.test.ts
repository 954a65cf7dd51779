// Ordinary grpc-js clients, made from the .proto alone, call services of ours.

import * as grpc from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import test from 'node:test';
import protobuf from 'protobufjs/minimal.js';
import { type Middleware, Metadata, RpcError, type ServerCall, STATUS } from '../../rpc/index.js';
import { temporarySocketPath } from '../support/temporary-folder.js';
import { until } from '../support/until.js';
import { deferred } from './support/deferred.js';
import { echoService, type SayRequest } from './support/echo.js';
import { startGrpcServer } from './support/grpc-pair.js';
import { plainClient, plainRead, plainSay } from './support/plain-grpc.js';

test('a unary call is answered', async (t) => {
  const { target } = await startGrpcServer(t);
  const request = { text: 'grüße', number: '9007199254740993', payload: Buffer.from([0, 255]) };
  const { answer, status } = await plainSay(plainClient(t, target), request);
  assert.deepEqual({ ...answer, payload: [...answer!.payload] }, { ...request, payload: [0, 255] });
  assert.equal(status.code, grpc.status.OK);
});

test('a server stream arrives whole and in order', async (t) => {
  const { target } = await startGrpcServer(t);
  const { answers, status } = await plainRead(plainClient(t, target).list({ text: 'n', count: 3000 }));
  assert.deepEqual(
    answers.map(({ text }) => text),
    Array.from({ length: 3000 }, (_, index) => `n${index}`),
  );
  assert.equal(status.code, grpc.status.OK);
});

test('a client stream is counted', async (t) => {
  const { target } = await startGrpcServer(t);
  const answer = await new Promise<unknown>((resolve, reject) => {
    const stream = plainClient(t, target).upload(new grpc.Metadata(), {}, (error, value) =>
      error === null ? resolve(value) : reject(error),
    );
    for (let index = 0; index < 500; index += 1) stream.write({ payload: Buffer.alloc(1000) });
    stream.end();
  });
  assert.deepEqual(answer, { count: '500', bytes: '500000' });
});

test('both sides stream at once', async (t) => {
  const { target } = await startGrpcServer(t);
  const stream = plainClient(t, target).chat();
  stream.write({ text: 'one' });
  const [first] = (await once(stream, 'data')) as [{ text: string }];
  assert.equal(first.text, 're one', 'answered before the client ended');
  stream.write({ text: 'two' });
  stream.end();
  const { answers, status } = await plainRead(stream);
  assert.deepEqual(
    answers.map(({ text }) => text),
    ['re two'],
  );
  assert.equal(status.code, grpc.status.OK);
});

test('messages of megabytes cross both ways, and above the limit the client is told', async (t) => {
  const { target } = await startGrpcServer(t);
  const client = plainClient(t, target, undefined, { 'grpc.max_receive_message_length': -1 });
  const payload = Buffer.alloc(3_900_000).map((_, index) => index * 7);
  const { answer } = await plainSay(client, { payload });
  assert.equal(Buffer.compare(answer!.payload, payload), 0);
  const { error } = await plainSay(client, { payload: Buffer.alloc(4 * 1024 * 1024) });
  assert.equal(error?.code, grpc.status.RESOURCE_EXHAUSTED);
});

test('an answer above the server’s limit fails with the side, the limit and the size', async (t) => {
  const { target } = await startGrpcServer(t, { sentBytesMax: 1000 });
  const { error } = await plainSay(plainClient(t, target), { payload: Buffer.alloc(2000) });
  assert.equal(error?.code, grpc.status.RESOURCE_EXHAUSTED);
  assert.match(error.details, /2003 bytes .* the server sends, 1000/);
});

test('every status reaches the client with its text', async (t) => {
  const services = [
    echoService({
      say: ({ text }: SayRequest) => {
        throw new RpcError(`RPC_${text}` as 'RPC_UNKNOWN', `it is ${text} – 100 %`);
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const client = plainClient(t, target);
  for (const [name, code] of Object.entries(STATUS)) {
    if (name === 'OK') continue;
    const { error } = await plainSay(client, { text: name });
    assert.equal(error?.code, code, name);
    assert.equal(error.details, `it is ${name} – 100 %`);
  }
});

test('details of an error arrive as google.rpc.Status, trailers and pushback beside them', async (t) => {
  const value = Uint8Array.from([8, 7]);
  const services = [
    echoService({
      say: () => {
        throw new RpcError('RPC_QUEUE_FULL', 'later', {
          details: [{ typeUrl: 'type.googleapis.com/demo.Why', value }],
          trailers: Metadata.from({ 'x-why': 'full', 'x-why-bin': Uint8Array.from([1, 2]) }),
          retryPushbackMs: 250,
        });
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const { error } = await plainSay(plainClient(t, target), {});
  assert.equal(error?.code, grpc.status.RESOURCE_EXHAUSTED);
  assert.deepEqual(error.metadata.get('x-why'), ['full']);
  assert.deepEqual(error.metadata.get('x-why-bin'), [Buffer.from([1, 2])]);
  assert.deepEqual(error.metadata.get('grpc-retry-pushback-ms'), ['250']);
  const { Root } = (await import('protobufjs')).default;
  const root = Root.fromJSON({
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
  });
  const bytes = error.metadata.get('grpc-status-details-bin')[0] as Buffer;
  const status = root
    .lookupType('Status')
    .toObject(root.lookupType('Status').decode(protobuf.Reader.create(bytes)));
  assert.equal(status['code'], 8);
  assert.equal(status['message'], 'later');
  assert.deepEqual(status['details'], [
    { typeUrl: 'type.googleapis.com/demo.Why', value: Buffer.from(value) },
  ]);
});

test('metadata, headers and trailers cross, with several values and binary ones', async (t) => {
  let seen: ServerCall['metadata'] | null = null;
  const services = [
    echoService({
      say: (_: SayRequest, call: ServerCall) => {
        seen = call.metadata;
        call.sendHeaders(Metadata.from({ 'x-head': 'h', 'x-head-bin': Uint8Array.from([0, 1]) }));
        call.trailers
          .add('x-tail', 't')
          .add('x-tail-bin', Uint8Array.from([2]))
          .add('x-tail-bin', Uint8Array.from([3]));
        return {};
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const metadata = new grpc.Metadata();
  metadata.add('x-one', 'a');
  metadata.add('x-many-bin', Buffer.from([1]));
  metadata.add('x-many-bin', Buffer.from([2, 255]));
  const { headers, status } = await plainSay(plainClient(t, target), {}, metadata);
  const sent = seen as ServerCall['metadata'] | null;
  assert.equal(sent?.get('x-one'), 'a');
  assert.deepEqual(
    sent?.getAll('x-many-bin').map((value) => Array.from(value as Uint8Array)),
    [[1], [2, 255]],
  );
  assert.deepEqual(
    Array.from(sent ?? []).filter(
      ([key]) => key.startsWith('grpc-') || key === 'te' || key === 'content-type',
    ),
    [],
    'what belongs to gRPC stays there',
  );
  assert.deepEqual(headers?.get('x-head'), ['h']);
  assert.deepEqual(headers?.get('x-head-bin'), [Buffer.from([0, 1])]);
  assert.deepEqual(status.metadata.get('x-tail'), ['t']);
  assert.deepEqual(status.metadata.get('x-tail-bin'), [Buffer.from([2]), Buffer.from([3])]);
});

test('trailers that HTTP/2 forbids fail the call, not the server', async (t) => {
  const services = [
    echoService({
      say: (_: SayRequest, call: ServerCall) => {
        call.trailers.add('connection', 'close');
        return {};
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const client = plainClient(t, target);
  const { error } = await plainSay(client, {});
  assert.match(error?.details ?? '', /'connection' belongs to HTTP\/2/);
  const { answers } = await plainRead(client.list({ text: 'still', count: 1 }));
  assert.equal(answers[0]?.text, 'still0');
});

test('the handler knows the time that is left and is stopped when it has passed', async (t) => {
  const left = deferred<number>();
  const aborted = deferred<unknown>();
  const services = [
    echoService({
      say: (_: SayRequest, call: ServerCall) => {
        left.resolve(call.remainingMs());
        call.signal.addEventListener('abort', () => aborted.resolve(call.signal.reason));
        return new Promise(() => {});
      },
    }),
  ];
  const { server, target } = await startGrpcServer(t, { services });
  const metadata = new grpc.Metadata();
  metadata.set('grpc-timeout', '300m'); // by hand, so that the client itself would wait for ever
  const { error } = await plainSay(plainClient(t, target), {}, metadata);
  assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
  const leftMs = await left.promise;
  assert(leftMs > 0 && leftMs <= 301, `${leftMs} ms were left`);
  const reason = await aborted.promise;
  assert(reason instanceof RpcError);
  assert.equal(reason.code, 'RPC_DEADLINE_EXCEEDED');
  assert.equal(server.figures().callsInFlight, 0);
});

test('a call without deadline has infinite time', async (t) => {
  const services = [
    echoService({ say: (_: SayRequest, call: ServerCall) => ({ text: String(call.remainingMs()) }) }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const { answer } = await plainSay(plainClient(t, target), {});
  assert.equal(answer?.text, 'Infinity');
});

test('cancelling reaches the handler of each kind of call', async (t) => {
  const aborted: string[] = [];
  const started: string[] = [];
  const hang = (name: string, call: ServerCall): Promise<never> => {
    started.push(name);
    return new Promise((_, reject) => {
      call.signal.addEventListener('abort', () => {
        aborted.push(`${name} ${(call.signal.reason as RpcError).code}`);
        reject(call.signal.reason);
      });
    });
  };
  const services = [
    echoService({
      say: (_: unknown, call: ServerCall) => hang('say', call),
      async *list(_: unknown, call: ServerCall) {
        yield await hang('list', call);
      },
      upload: (_: unknown, call: ServerCall) => hang('upload', call),
      async *chat(_: unknown, call: ServerCall) {
        yield await hang('chat', call);
      },
    }),
  ];
  const { server, target } = await startGrpcServer(t, { services });
  const client = plainClient(t, target);
  const calls = [
    client.say({}, new grpc.Metadata(), {}, () => {}),
    client.list({}).on('error', () => {}),
    client.upload(new grpc.Metadata(), {}, () => {}),
    client.chat().on('error', () => {}),
  ];
  await until(() => started.length === 4);
  for (const call of calls) call.cancel();
  await until(() => aborted.length === 4);
  assert.deepEqual(aborted.toSorted(), [
    'chat RPC_CANCELLED',
    'list RPC_CANCELLED',
    'say RPC_CANCELLED',
    'upload RPC_CANCELLED',
  ]);
  await until(() => server.figures().callsInFlight === 0);
});

test('a client that goes away mid-stream ends the requests with an error', async (t) => {
  const outcome = deferred<unknown>();
  const begun = deferred<void>();
  const services = [
    echoService({
      async upload(requests: AsyncIterable<SayRequest>) {
        try {
          for await (const _ of requests) begun.resolve();
        } catch (error) {
          outcome.resolve(error);
        }
        return {};
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const stream = plainClient(t, target).upload(new grpc.Metadata(), {}, () => {});
  stream.write({ text: 'one' });
  await begun.promise;
  stream.cancel();
  const error = await outcome.promise;
  assert(error instanceof RpcError);
  assert.equal(error.code, 'RPC_CANCELLED');
});

test('a stream is made no faster than the client reads it', async (t) => {
  let made = 0;
  const services = [
    echoService({
      *list() {
        const payload = new Uint8Array(16 * 1024);
        for (; made < 2000; made += 1) yield { payload };
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const stream = plainClient(t, target).list({});
  await once(stream, 'data'); // grpc-js takes everything until it is first read from
  stream.pause();
  let before = -1;
  while (made !== before) {
    before = made;
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
  }
  assert(made < 200, `${made} of 2000 messages were made for a client that reads none`);
  const { answers } = await plainRead(stream);
  assert.equal(answers.length, 1999);
});

test('a stream is read no faster than the handler takes it', async (t) => {
  const gate = deferred<void>();
  const services = [
    echoService({
      async upload(requests: AsyncIterable<SayRequest>) {
        await gate.promise;
        let count = 0n;
        for await (const _ of requests) count += 1n;
        return { count };
      },
    }),
  ];
  const { target } = await startGrpcServer(t, { services });
  const payload = Buffer.alloc(64 * 1024);
  let written = 0;
  const answer = deferred<{ count: string }>();
  const stream = plainClient(t, target).upload(new grpc.Metadata(), {}, (error, value) => {
    if (error === null) answer.resolve(value!);
    else answer.reject(error);
  });
  const write = (): void => {
    while (written < 500) {
      written += 1;
      if (!stream.write({ payload })) {
        stream.once('drain', write);
        return;
      }
    }
    stream.end();
  };
  write();
  let before = -1;
  while (written !== before) {
    before = written;
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
  }
  assert(written < 200, `${written} of 500 messages were taken by a handler that reads none`);
  gate.resolve();
  assert.equal((await answer.promise).count, '500');
});

test('bytes that are no message are the client’s fault', async (t) => {
  const { target } = await startGrpcServer(t);
  const client = plainClient(t, target);
  const bytes = (value: Buffer): Buffer => value;
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest('/demo.Echo/Say', bytes, bytes, Buffer.from([0xff]), (failure) =>
      resolve(failure),
    );
  });
  assert.equal(error?.code, grpc.status.INVALID_ARGUMENT);
  assert.match(error.details, /is no demo.SayRequest/);
});

test('a method that is not there is unimplemented', async (t) => {
  const { target } = await startGrpcServer(t);
  const bytes = (value: Buffer): Buffer => value;
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    const client = plainClient(t, target);
    client.makeUnaryRequest('/demo.Echo/Sing', bytes, bytes, Buffer.alloc(0), (failure) => resolve(failure));
  });
  assert.equal(error?.code, grpc.status.UNIMPLEMENTED);
});

test('a handler that throws something else fails its call as UNKNOWN, and is warned of', async (t) => {
  const services = [
    echoService({
      say: () => {
        throw new TypeError('oops');
      },
    }),
  ];
  const { server, target } = await startGrpcServer(t, { services });
  const warned = once(process, 'warning');
  const { error } = await plainSay(plainClient(t, target), {});
  assert.equal(error?.code, grpc.status.UNKNOWN);
  assert.equal(error.details, '/demo.Echo/Say failed: oops');
  await warned;
  assert.equal(server.figures().calls[0]?.handlerFailures, 1);
});

test('the same middleware stands around every kind of call', async (t) => {
  const passed: string[] = [];
  const middleware: Middleware = async (request, next) => {
    passed.push(`${request.side} ${request.method.name}`);
    if (request.metadata.text('x-stop') !== undefined) throw new RpcError('RPC_PERMISSION_DENIED', 'no');
    return next(request);
  };
  const { target } = await startGrpcServer(t, {
    services: { services: [echoService()], middleware: [middleware] },
  });
  const client = plainClient(t, target);
  await plainSay(client, {});
  await plainRead(client.list({ count: 2 }));
  const chat = client.chat();
  chat.end();
  await plainRead(chat);
  assert.deepEqual(passed, ['server Say', 'server List', 'server Chat']);
  const metadata = new grpc.Metadata();
  metadata.set('x-stop', '1');
  const { error } = await plainSay(client, {}, metadata);
  assert.equal(error?.code, grpc.status.PERMISSION_DENIED);
});

test('a method at its limit of concurrent calls refuses more', async (t) => {
  const gate = deferred<void>();
  const { target } = await startGrpcServer(t, {
    services: {
      services: [echoService({ say: () => gate.promise.then(() => ({})) })],
      limits: { '/demo.Echo/Say': { concurrencyMax: 1 } },
    },
  });
  const client = plainClient(t, target);
  const first = plainSay(client, {});
  const { error } = await plainSay(client, {});
  assert.equal(error?.code, grpc.status.RESOURCE_EXHAUSTED);
  gate.resolve();
  assert.equal((await first).status.code, grpc.status.OK);
});

test('a token is asked for, and says who the client is', async (t) => {
  const services = [
    echoService({ say: (_: SayRequest, call: ServerCall) => ({ text: String(call.peer.identity) }) }),
  ];
  const { target } = await startGrpcServer(t, { services, tokens: [{ token: 's3cret', name: 'alice' }] });
  const client = plainClient(t, target);
  const without = await plainSay(client, {});
  assert.equal(without.error?.code, grpc.status.UNAUTHENTICATED);
  const metadata = new grpc.Metadata();
  metadata.set('authorization', 'Bearer s3cret');
  assert.equal((await plainSay(client, {}, metadata)).answer?.text, 'alice');
});

test('a drain finishes what runs, refuses what comes, and reports what it cut', async (t) => {
  const gate = deferred<void>();
  const running = deferred<void>();
  const services = [
    echoService({
      say: async ({ text }: SayRequest) => {
        running.resolve();
        await gate.promise;
        return { text };
      },
      chat: async function* chat() {
        yield { text: 'open' };
        await new Promise(() => {});
      },
    }),
  ];
  const { server, target } = await startGrpcServer(t, { services });
  const client = plainClient(t, target);
  const under = plainSay(client, { text: 'finished' });
  const stream = client.chat().on('error', () => {});
  await once(stream, 'data');
  await running.promise;
  const closing = server.close({ graceMs: 200 });
  gate.resolve();
  assert.equal((await under).answer?.text, 'finished');
  const { status } = await plainRead(stream);
  assert.equal(status.code, grpc.status.UNAVAILABLE, 'told, not hung up on');
  assert.deepEqual(await closing, { cut: 1 });
  assert.equal((await plainSay(client, {})).error?.code, grpc.status.UNAVAILABLE);
});

test('a drain without calls ends at once although a client stays connected', async (t) => {
  const { server, target } = await startGrpcServer(t);
  const client = plainClient(t, target);
  await plainSay(client, {});
  assert.deepEqual(await server.close({ graceMs: 20_000 }), { cut: 0 });
});

test('a Unix socket serves as well as a port, and an address in use is an error', async (t) => {
  const path = temporarySocketPath(t);
  const { target } = await startGrpcServer(t, { path });
  assert.equal(target, `unix:${path}`);
  const { answer } = await plainSay(plainClient(t, target), { text: 'by file' });
  assert.equal(answer?.text, 'by file');
  const { server } = await startGrpcServer(t);
  await assert.rejects(startGrpcServer(t, { port: server.address.port ?? 0 }), (error) => {
    assert(error instanceof RpcError);
    return error.code === 'RPC_UNAVAILABLE';
  });
});

test('a client that vanishes with its connection ends its calls', async (t) => {
  const aborted = deferred<void>();
  const begun = deferred<void>();
  const services = [
    echoService({
      say: (_: SayRequest, call: ServerCall) => {
        call.signal.addEventListener('abort', () => aborted.resolve());
        begun.resolve();
        return new Promise(() => {});
      },
    }),
  ];
  const { server, target } = await startGrpcServer(t, { services });
  const socket = net.connect(server.address.port ?? 0, '127.0.0.1');
  const session = http2.connect(`http://${target}`, { createConnection: () => socket });
  session.on('error', () => {}); // it is destroyed below
  const stream = session.request({
    ':method': 'POST',
    ':path': '/demo.Echo/Say',
    'content-type': 'application/grpc',
  });
  stream.on('error', () => {});
  stream.end(Buffer.alloc(5)); // an empty message
  await begun.promise;
  socket.destroy();
  await aborted.promise;
  await until(() => server.figures().callsInFlight === 0);
});

test('what is no gRPC at all is refused, and the server stays', async (t) => {
  const { target } = await startGrpcServer(t);
  const session = http2.connect(`http://${target}`);
  t.after(() => session.destroy());
  const status = async (
    headers: http2.OutgoingHttpHeaders,
    body: Buffer,
  ): Promise<http2.IncomingHttpHeaders> => {
    const stream = session.request({ ':method': 'POST', ':path': '/demo.Echo/Say', ...headers });
    stream.on('error', () => {}); // a reset is an answer too
    stream.end(body);
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    stream.resume();
    return answer;
  };
  const type = 'application/grpc';
  assert.equal((await status({ 'content-type': 'text/plain' }, Buffer.from('hello')))[':status'], 415);
  const huge = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  assert.equal(
    (await status({ 'content-type': type }, huge))['grpc-status'],
    String(grpc.status.RESOURCE_EXHAUSTED),
  );
  const strange = Buffer.from([1, 0, 0, 0, 1, 7]);
  const compressed = await status({ 'content-type': type, 'grpc-encoding': 'lzw' }, strange);
  assert.equal(compressed['grpc-status'], String(grpc.status.UNIMPLEMENTED));
  const nothing = await status({ 'content-type': type }, Buffer.alloc(0));
  assert.notEqual(nothing['grpc-status'], '0');
  const late = await status({ 'content-type': type, 'grpc-timeout': 'soon' }, Buffer.alloc(5));
  assert.equal(late['grpc-status'], String(grpc.status.INTERNAL));
  const { answer } = await plainSay(plainClient(t, target), { text: 'still here' });
  assert.equal(answer?.text, 'still here');
});
