import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, test } from 'node:test';
import type { ReactorError } from '../../reactor/errors.js';
import { createHttpService, type HttpService, type HttpServiceOptions } from '../../reactor/http-service.js';

const fronts: { readonly front: net.Server; readonly service: HttpService }[] = [];

after(async () => {
  for (const { front, service } of fronts) {
    front.close();
    await service.close({ deadlineMs: 0 });
  }
});

/** A service behind a plain acceptor, as a sub-reactor would feed it. */
async function serve(
  application: unknown,
  options: HttpServiceOptions = {},
): Promise<{ service: HttpService; port: number }> {
  const service = await createHttpService(application, options);
  const front = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => service.adopt(socket));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  fronts.push({ front, service });
  return { service, port: (front.address() as net.AddressInfo).port };
}

/** Writes `wire` on a new connection and gives all it answers until the server ends it. */
async function exchange(port: number, wire: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write(wire);
  return await received(socket);
}

async function received(socket: net.Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8');
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const KEPT = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const LAST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

test('a plain handler answers, keeps the connection alive and counts each request once', async () => {
  const { service, port } = await serve((request: http.IncomingMessage, response: http.ServerResponse) => {
    response.end(`hello ${request.url}`);
  });
  const answer = await exchange(port, KEPT + KEPT + LAST);
  assert.equal(answer.split('hello /').length - 1, 3, answer);
  const { connectionsAdopted, requestsStarted, requestsDone, requestsActive, requestsAborted } =
    service.stats;
  assert.deepEqual(
    { connectionsAdopted, requestsStarted, requestsDone, requestsActive, requestsAborted },
    { connectionsAdopted: 1, requestsStarted: 3, requestsDone: 3, requestsActive: 0, requestsAborted: 0 },
  );
});

test('a client that never finishes its headers is answered 408 and cut, though the server never listens', async () => {
  const { port } = await serve(() => assert.fail('no request was complete'), {
    headersTimeoutMs: 100,
    timeoutCheckIntervalMs: 20,
  });
  assert.match(await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1\.1 408 /);
});

test('a client that connects and says nothing is cut by the headers timeout too', async () => {
  const { port } = await serve(() => {}, { headersTimeoutMs: 100, timeoutCheckIntervalMs: 20 });
  assert.match(await exchange(port, ''), /^HTTP\/1\.1 408 /);
});

test('a client that never finishes its body is cut by the request timeout', async () => {
  const options = { headersTimeoutMs: 100, requestTimeoutMs: 150, timeoutCheckIntervalMs: 20 };
  const { service, port } = await serve((request: http.IncomingMessage) => request.resume(), options);
  assert.match(
    await exchange(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf'),
    /^HTTP\/1\.1 408 /,
  );
  assert.equal(service.requestsActive, 0);
});

test('an idle kept-alive connection ends after keepAliveTimeoutMs', async () => {
  const { port } = await serve((_request: unknown, response: http.ServerResponse) => response.end('bye'), {
    keepAliveTimeoutMs: 50,
  });
  assert.match(await exchange(port, KEPT), /bye$/);
});

test('a handler that throws or rejects is answered 500, reported with a code, and the next request is served', async () => {
  const errors: ReactorError[] = [];
  const handler = (request: http.IncomingMessage, response: http.ServerResponse): unknown => {
    if (request.url === '/throw') throw new Error('thrown');
    if (request.url === '/reject') return Promise.reject(new Error('rejected'));
    return response.end('fine');
  };
  const { port } = await serve(handler, { onError: (error) => errors.push(error) });
  const answer = await exchange(port, KEPT.replace('/', '/throw') + KEPT.replace('/', '/reject') + LAST);
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 500', 'HTTP/1.1 500', 'HTTP/1.1 200']);
  assert.deepEqual(
    errors.map(({ code, cause }) => [code, (cause as Error).message]),
    [
      ['REACTOR_HANDLER_FAILED', 'thrown'],
      ['REACTOR_HANDLER_FAILED', 'rejected'],
    ],
  );
});

test('a handler that throws halfway cuts the connection, so that half an answer does not look whole', async () => {
  const errors: ReactorError[] = [];
  const handler = (_request: unknown, response: http.ServerResponse): void => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    throw new Error('thrown');
  };
  const { service, port } = await serve(handler, { onError: (error) => errors.push(error) });
  const outcome = exchange(port, KEPT);
  assert.doesNotMatch(await outcome.catch(() => ''), /500/);
  assert.equal(errors.length, 1);
  assert.equal(service.requestsActive, 0);
});

test('a client that vanishes before its answer is counted as aborted, and a late answer harms nobody', async () => {
  const pending: http.ServerResponse[] = [];
  const { service, port } = await serve((_request: unknown, response: http.ServerResponse) =>
    pending.push(response),
  );
  const socket = net.connect(port, '127.0.0.1');
  socket.write(KEPT);
  await until(() => pending.length === 1);
  assert.equal(service.requestsActive, 1);
  socket.resetAndDestroy();
  await until(() => service.connections === 0);
  pending[0]?.end('late');
  assert.equal(service.requestsActive, 0);
  assert.equal(service.stats.requestsAborted, 1);
  assert.equal(service.stats.requestsDone, 0);
});

test('onRequestDone sees every answer with its duration', async () => {
  const seen: [string | undefined, number, boolean][] = [];
  const { port } = await serve(
    (_request: unknown, response: http.ServerResponse) => {
      response.statusCode = 201;
      setTimeout(() => response.end('x'), 20);
    },
    {
      onRequestDone: ({ url }, { statusCode }, durationMs) =>
        seen.push([url, statusCode, durationMs >= 15 && durationMs < 10_000]),
    },
  );
  await exchange(port, KEPT.replace('/', '/a') + LAST.replace('/', '/b'));
  assert.deepEqual(seen, [
    ['/a', 201, true],
    ['/b', 201, true],
  ]);
});

test('two services in one thread count only their own requests', async () => {
  const handler = (_request: unknown, response: http.ServerResponse): unknown => response.end();
  const one = await serve(handler);
  const other = await serve(handler);
  await exchange(one.port, KEPT + LAST);
  assert.equal(one.service.stats.requestsDone, 2);
  assert.equal(other.service.stats.requestsDone, 0);
});

test('what is no HTTP application is refused with a code', async () => {
  const listening = http.createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const notReady = {
    server: http.createServer(),
    ready: () => Promise.reject(new Error('plugin')),
    close: () => {},
  };
  const notHttp1 = { server: net.createServer(), ready: () => Promise.resolve(), close: () => {} };
  for (const application of [undefined, 7, {}, { onRequest: 'no' }, listening, notReady, notHttp1]) {
    await assert.rejects(createHttpService(application), { code: 'REACTOR_HANDLERS_INVALID' });
  }
  listening.close();
});

/** Waits, a loop turn at a time, for what another socket's events bring about. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    assert(performance.now() < deadlineMs, 'the awaited condition did not come about');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
