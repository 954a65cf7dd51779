// HttpServer with the small API as a whole: what it refuses to serve, what it counts, how it reloads and closes.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { HttpServer, type Http1Respond, type HttpServerOptions } from '../../reactor/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { bodiesOf, keptGet, LAST_GET, rawExchange, serveHttp1 } from '../support/http1-server.js';
import { RawClient } from '../support/raw-client.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const TLS = { cert: SERVER_CERT, key: SERVER_KEY };
const NODE_HANDLER = (_request: http.IncomingMessage, response: http.ServerResponse): unknown =>
  response.end('node');

for (const [what, application] of [
  ['a node:http handler', NODE_HANDLER],
  ['{ onRequest }', { onRequest: NODE_HANDLER }],
  ['an http.Server', http.createServer(NODE_HANDLER)],
  ['a request that is no function', { request: 'GET' }],
  ['an onError that is no function', { request: () => {}, onError: 1 }],
] as const) {
  test(`epoll refuses ${what} and says what it serves`, async (t) => {
    const handlers = (() => application) as unknown as () => () => void;
    const server = new HttpServer({ transport: 'epoll', threads: 0, host: '127.0.0.1', handlers });
    t.after(() => server.close());
    const words = what.startsWith('an onError')
      ? /onError/
      : /\{ request\(request, respond\).*transport 'net'/;
    await assert.rejects(server.listen(), { code: 'REACTOR_HANDLERS_INVALID', message: words });
  });
}

test('epoll refuses HTTPS and names the net transport', () => {
  const make = (): HttpServer =>
    new HttpServer({ transport: 'epoll', threads: 0, tls: TLS, handlers: () => NODE_HANDLER });
  assert.throws(make, { code: 'REACTOR_UNSUPPORTED', message: /HTTPS.*transport 'net'/ });
});

test('net serves the small API over TLS', async (t) => {
  const { port } = await serveHttp1(t, 'net', (_request, respond) => respond(200, {}, 'secret'), {
    tls: TLS,
  });
  const options = { port, ca: AUTHORITY, ALPNProtocols: ['http/1.1'], agent: false };
  const [response] = (await once(https.get(options), 'response')) as [http.IncomingMessage];
  assert.equal(await text(response), 'secret');
});

test('net refuses the options of the small API for a node:http handler', async (t) => {
  const server = new HttpServer({ threads: 0, bodyBytesMax: 5, handlers: () => NODE_HANDLER });
  t.after(() => server.close());
  await assert.rejects(server.listen(), { code: 'REACTOR_OPTION_INVALID', message: /^bodyBytesMax: / });
});

for (const options of [
  { headerBytesMax: -1 },
  { headerBytesMax: 10 },
  { headerBytesMax: 1e9 },
  { headerCountMax: 1.5 },
  { bodyBytesMax: Number.NaN },
  { pipelinedMax: 0 },
  { answerTimeoutMs: -1 },
  { targetBytesMax: '5' as unknown as number },
] satisfies Partial<HttpServerOptions>[]) {
  test(`the option ${JSON.stringify(options)} is refused`, () => {
    const make = (): HttpServer => new HttpServer({ threads: 0, handlers: () => NODE_HANDLER, ...options });
    assert.throws(make, {
      code: 'REACTOR_OPTION_INVALID',
      message: new RegExp(`^${Object.keys(options)[0]} `),
    });
  });
}

forEachTransport((transport) => {
  test(`${transport}: what is not done is refused in words that name the transport which does it`, async (t) => {
    const { port } = await serveHttp1(t, transport, () => assert.fail('not called'));
    const head = 'Host: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    for (const wire of [`GET / HTTP/1.1\r\n${head}`, 'CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n']) {
      const answer = await rawExchange(t, port, wire);
      assert.match(answer, /^HTTP\/1\.1 501 [^]*upgrades and CONNECT [^]*transport 'net'/);
    }
  });

  test(`${transport}: requests are counted and sampled with their times, bytes and status`, async (t) => {
    const { port, server } = await serveHttp1(t, transport, async (request, respond) => {
      respond(request.path === '/' ? 200 : 404, {}, `${await request.text()}!`);
    });
    await rawExchange(
      t,
      port,
      `POST /else HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody${keptGet()}${LAST_GET}`,
    );
    const { counters } = server.reactor;
    assert.equal(counters.total('requests'), 3);
    assert.equal(counters.total('frames_received'), 0);
    const { seen, requests } = await server.reactor.sampleRequests();
    assert.equal(seen, 3);
    const first = requests.find(({ name }) => name === 'POST /else');
    const { bytesIn, bytesOut, outcome, durationUs } = first!;
    assert.deepEqual({ bytesIn, bytesOut, outcome }, { bytesIn: 4, bytesOut: 5, outcome: '404' });
    assert(durationUs >= 0);
  });

  test(`${transport}: every request has an asynchronous context of its own`, async (t) => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const { port } = await serveHttp1(
      t,
      transport,
      async (request, respond) => {
        seen.push(storage.getStore());
        await storage.run(request.target, async () => {
          await new Promise((resolve) => setImmediate(resolve));
          respond(200, {}, `${await request.text()}${storage.getStore()}`);
        });
      },
      { pipelinedMax: 1 },
    );
    const post = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n-`;
    const answer = await rawExchange(t, port, post('/a') + post('/b') + keptGet('/c') + LAST_GET);
    assert.deepEqual(bodiesOf(answer), ['-/a', '-/b', '/c', '/']);
    assert.deepEqual(seen, [undefined, undefined, undefined, undefined]);
  });

  test(`${transport}: closing answers what is under way, ends what is idle and tells the handlers`, async (t) => {
    const waiting: Http1Respond[] = [];
    let closes = 0;
    const { port, server } = await serveHttp1(
      t,
      transport,
      (request, respond) => {
        if (request.path === '/wait') waiting.push(respond);
        else respond(200, {}, 'now');
      },
      { onClose: () => (closes += 1) },
    );
    const idle = await RawClient.connect(t, port);
    idle.write(keptGet());
    await until(() => idle.received().toString().endsWith('now'));
    const busy = await RawClient.connect(t, port);
    busy.write(keptGet('/wait') + keptGet('/wait'));
    const arriving = await RawClient.connect(t, port);
    arriving.write('GET / HTTP/1.1\r\nHo');
    const streaming = await RawClient.connect(t, port);
    streaming.write(keptGet('/wait'));
    await until(() => waiting.length === 3);
    const writer = waiting.pop()!.stream(200);
    writer.write('begun');
    await until(() => streaming.received().toString().includes('begun'));
    await until(() => server.reactor.counters.total('bytes_read') >= 3 * keptGet('/wait').length + 40);
    const closing = server.close({ drainTimeoutMs: 10_000 });
    await idle.receiveUntilEnd();
    idle.end();
    arriving.write('st: x\r\n\r\n');
    assert.match((await arriving.receiveUntilEnd()).toString(), /Connection: close\r\n[^]*now$/);
    arriving.end();
    for (const respond of waiting) respond(200, {}, 'late');
    assert.match(
      (await busy.receiveUntilEnd()).toString(),
      /keep-alive[^]*lateHTTP[^]*Connection: close[^]*late$/,
    );
    busy.end();
    writer.end();
    assert.match((await streaming.receiveUntilEnd()).toString(), /Connection: keep-alive[^]*0\r\n\r\n$/);
    streaming.end();
    assert.deepEqual(await closing, { drained: true });
    assert.equal(closes, 1);
  });

  test(`${transport}: what is not answered by the deadline is cut off`, async (t) => {
    let seen = false;
    const { port, server } = await serveHttp1(t, transport, () => {
      seen = true;
    });
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {}); // reset or ended, as the kernel likes
    socket.write(keptGet());
    await until(() => seen);
    const ended = once(socket.resume(), 'close');
    assert.deepEqual(await server.close({ drainTimeoutMs: 30 }), { drained: false });
    await ended;
  });

  test(`${transport}: keep-alive clients of node:http and fetch reuse their connections`, async (t) => {
    const { url, server } = await serveHttp1(t, transport, (request, respond) =>
      respond(200, {}, request.path),
    );
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let count = 0; count < 20; count += 1) {
      const [response] = (await once(http.get(`${url}/${count}`, { agent }), 'response')) as [
        http.IncomingMessage,
      ];
      assert.equal(await text(response), `/${count}`);
    }
    assert.equal(server.reactor.counters.total('connections_opened'), 1);
  });
});
