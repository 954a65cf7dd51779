import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { ReactorError } from '../../reactor/errors.js';
import { NOT_SAMPLED } from '../../reactor/request-sample.js';
import { createHttpService } from '../../reactor/http-service.js';
import { exchange, received, serveHttp } from '../support/http-front.js';
import { until } from '../support/until.js';

const KEPT = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const LAST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

const failing = (request: http.IncomingMessage, response: http.ServerResponse): unknown => {
  if (request.url === '/throw') throw new Error('thrown');
  if (request.url === '/reject') return Promise.reject(new Error('rejected'));
  return response.end('fine');
};

const failingHalfway = (_request: unknown, response: http.ServerResponse): void => {
  response.writeHead(200, { 'content-length': 100 });
  response.write('half');
  throw new Error('thrown');
};

const tellAddress = (request: http.IncomingMessage, response: http.ServerResponse): void => {
  const { remoteAddress, remotePort, remoteFamily } = request.socket;
  response.end(`${remoteAddress} ${remotePort} ${remoteFamily}`);
};

const empty = (_request: unknown, response: http.ServerResponse): unknown => response.end();

test('a plain handler answers, keeps the connection alive and counts each request once', async (t) => {
  const { service, port } = await serveHttp(
    t,
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.end(`hello ${request.url}`);
    },
  );
  const answer = await exchange(port, KEPT + KEPT + LAST);
  assert.equal(answer.split('hello /').length - 1, 3, answer);
  const { connectionsAdopted, requestsStarted, requestsDone, requestsActive, requestsAborted } =
    service.stats;
  assert.deepEqual(
    { connectionsAdopted, requestsStarted, requestsDone, requestsActive, requestsAborted },
    { connectionsAdopted: 1, requestsStarted: 3, requestsDone: 3, requestsActive: 0, requestsAborted: 0 },
  );
});

test('a client that never finishes its headers is answered 408 and cut, though the server never listens', async (t) => {
  const { port } = await serveHttp(t, () => assert.fail('no request was complete'), {
    headersTimeoutMs: 100,
    timeoutCheckIntervalMs: 20,
  });
  assert.match(await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1\.1 408 /);
});

test('a client that connects and says nothing is cut by the headers timeout too', async (t) => {
  const { port } = await serveHttp(t, () => {}, { headersTimeoutMs: 100, timeoutCheckIntervalMs: 20 });
  assert.match(await exchange(port, ''), /^HTTP\/1\.1 408 /);
});

test('a client that never finishes its body is cut by the request timeout', async (t) => {
  const options = { headersTimeoutMs: 100, requestTimeoutMs: 150, timeoutCheckIntervalMs: 20 };
  const { service, port } = await serveHttp(t, (request: http.IncomingMessage) => request.resume(), options);
  assert.match(
    await exchange(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf'),
    /^HTTP\/1\.1 408 /,
  );
  assert.equal(service.requestsActive, 0);
});

test('an idle kept-alive connection ends after keepAliveTimeoutMs', async (t) => {
  const options = { keepAliveTimeoutMs: 50, timeoutCheckIntervalMs: 20 };
  const { port } = await serveHttp(t, empty, options);
  assert.match(await exchange(port, KEPT), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
});

test('a kept-alive client that never finishes the headers of its next request is answered 408', async (t) => {
  const options = { headersTimeoutMs: 100, keepAliveTimeoutMs: 0, timeoutCheckIntervalMs: 20 };
  const { service, port } = await serveHttp(t, empty, options);
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  const answers = received(socket);
  socket.write(KEPT);
  await until(() => service.stats.requestsDone === 1);
  // A header line now and then, so that only the deadline for all of them can end it.
  const drip = setInterval(() => socket.write('X-More: 1\r\n'), 10);
  socket.write('GET / HTTP/1.1\r\n');
  try {
    assert.deepEqual((await answers).match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 408']);
  } finally {
    clearInterval(drip);
  }
});

test('a timeout that the application sets on a socket holds, before an answer and after it', async (t) => {
  for (const answers of [false, true]) {
    const { service, port } = await serveHttp(
      t,
      (request: http.IncomingMessage, response: http.ServerResponse) => {
        if (answers) response.end();
        request.socket.setTimeout(30, () => request.socket.destroy());
      },
      { keepAliveTimeoutMs: 0 },
    );
    await exchange(port, KEPT).catch(() => '');
    await until(() => service.connections === 0);
  }
});

test('an upgraded socket has left the timeouts of HTTP behind', async (t) => {
  const options = {
    headersTimeoutMs: 50,
    requestTimeoutMs: 50,
    keepAliveTimeoutMs: 50,
    timeoutCheckIntervalMs: 10,
  };
  const echo = {
    onRequest: empty,
    onUpgrade: (_request: http.IncomingMessage, socket: Duplex) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
    },
  };
  const { port } = await serveHttp(t, echo, options);
  const upgraded = net.connect(port, '127.0.0.1');
  t.after(() => upgraded.destroy());
  upgraded.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await once(upgraded, 'data');
  // Connections that begin later meet the same deadline, so the upgraded one's would have passed.
  for (let later = 0; later < 2; later += 1) assert.match(await exchange(port, ''), /^HTTP\/1\.1 408 /);
  upgraded.write('still here');
  const [echoed] = await once(upgraded, 'data');
  assert.equal(String(echoed), 'still here');
});

test('a handler that throws or rejects is answered 500, reported with a code, and the next request is served', async (t) => {
  const errors: ReactorError[] = [];
  const { port } = await serveHttp(t, failing, { onError: (error) => errors.push(error) });
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

test('a handler that throws halfway cuts the connection, so that half an answer does not look whole', async (t) => {
  const errors: ReactorError[] = [];
  const { service, port } = await serveHttp(t, failingHalfway, { onError: (error) => errors.push(error) });
  const outcome = exchange(port, KEPT);
  assert.doesNotMatch(await outcome.catch(() => ''), /500/);
  assert.equal(errors.length, 1);
  assert.equal(service.requestsActive, 0);
});

test('a client that vanishes before its answer is counted as aborted, and a late answer harms nobody', async (t) => {
  const pending: http.ServerResponse[] = [];
  const { service, port } = await serveHttp(t, (_request: unknown, response: http.ServerResponse) =>
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

test('a sampled request is told with its answer and its start, one that is not costs nothing', async (t) => {
  let asked = 0;
  const seen: [string | undefined, number, boolean][] = [];
  const { port } = await serveHttp(
    t,
    (_request: unknown, response: http.ServerResponse) => {
      response.statusCode = 201;
      setTimeout(() => response.end('x'), 20);
    },
    {
      sampler: {
        begin: () => (asked++ % 2 === 0 ? 7 : NOT_SAMPLED),
        finish: (ticket, { url }, { statusCode }, startedMs) => {
          assert.equal(ticket, 7);
          const durationMs = performance.now() - startedMs;
          seen.push([url, statusCode, durationMs >= 15 && durationMs < 10_000]);
        },
      },
    },
  );
  await exchange(port, KEPT.replace('/', '/a') + LAST.replace('/', '/b'));
  assert.deepEqual(seen, [['/a', 201, true]]);
  assert.equal(asked, 2);
});

test('the application sees the address of the client that a PROXY header named', async (t) => {
  const service = await createHttpService(tellAddress);
  const front = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    service.adopt(socket, { address: '2001:db8::7', port: 1234 });
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(async () => {
    front.close();
    await service.close({ deadlineMs: 0 });
  });
  assert.match(await exchange((front.address() as net.AddressInfo).port, LAST), /2001:db8::7 1234 IPv6$/);
});

test('two services in one thread count only their own requests', async (t) => {
  const one = await serveHttp(t, empty);
  const other = await serveHttp(t, empty);
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
