// What a handler is given of a request, and how its body is read, on both transports and with real clients.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Http1Request } from '../../reactor/index.js';
import { LAST_GET, rawExchange, serveHttp1 } from '../support/http1-server.js';
import { RawClient } from '../support/raw-client.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

forEachTransport((transport) => {
  test(`${transport}: a handler sees method, target, path, query, headers and the client's address`, async (t) => {
    const { port } = await serveHttp1(t, transport, (request, respond) => {
      const { method, target, path, query, headers, remoteAddress } = request;
      const seen = {
        method,
        target,
        path,
        query,
        remoteAddress,
        repeated: headers.get('x-REPEATED'),
        each: headers.getAll('X-Repeated'),
        cookie: headers.get('cookie'),
        missing: headers.get('missing') ?? null,
        has: headers.has('HOST'),
        raw: [...headers],
      };
      respond(200, {}, JSON.stringify(seen));
    });
    const lines =
      'X-Repeated: a\r\nCookie: b=1\r\nx-repeated:  c, d \r\nCookie: e=2\r\nConnection: close\r\n';
    const answer = await rawExchange(
      t,
      port,
      `OPTIONS /a/%20b?c=d?e HTTP/1.1\r\nHost: example.com:80\r\n${lines}\r\n`,
    );
    assert.deepEqual(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), {
      method: 'OPTIONS',
      target: '/a/%20b?c=d?e',
      path: '/a/%20b',
      query: 'c=d?e',
      remoteAddress: '127.0.0.1',
      repeated: 'a, c, d',
      each: ['a', 'c, d'],
      cookie: 'b=1; e=2',
      missing: null,
      has: true,
      raw: [
        ['Host', 'example.com:80'],
        ['X-Repeated', 'a'],
        ['Cookie', 'b=1'],
        ['x-repeated', 'c, d'],
        ['Cookie', 'e=2'],
        ['Connection', 'close'],
      ],
    });
  });

  for (const [target, path, query] of [
    ['http://x/', '/', ''],
    ['http://x', '/', ''],
    ['http://x?a=b', '/', 'a=b'],
    ['HTTP://x/a?b', '/a', 'b'],
    ['//a/b', '//a/b', ''],
  ] as const) {
    test(`${transport}: the target ${target} has the path ${path}`, async (t) => {
      const { port } = await serveHttp1(t, transport, (request, respond) =>
        respond(200, {}, `${request.path} ${request.query}`),
      );
      const answer = await rawExchange(
        t,
        port,
        `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      assert(answer.endsWith(`\r\n\r\n${path} ${query}`), answer);
    });
  }

  test(`${transport}: fetch sends text, JSON and streams, and gets them back`, async (t) => {
    const { url } = await serveHttp1(t, transport, async (request, respond) => {
      if (request.path === '/text') return respond(200, {}, await request.text());
      if (request.path === '/json') return respond(200, {}, JSON.stringify(await request.json()));
      return respond(200, {}, await request.bytes());
    });
    const post = (path: string, body: RequestInit['body']): Promise<Response> =>
      fetch(url + path, { method: 'POST', body: body!, duplex: 'half' });
    assert.equal(await (await post('/text', 'grüße')).text(), 'grüße');
    assert.deepEqual(await (await post('/json', '{"a":[1]}')).json(), { a: [1] });
    const pieces = new ReadableStream({
      start(controller) {
        for (const piece of ['one', 'two', 'three']) controller.enqueue(Buffer.from(piece));
        controller.close();
      },
    });
    assert.equal(await (await post('/bytes', pieces)).text(), 'onetwothree');
    const noJson = await post('/json', '{');
    assert.deepEqual([noJson.status, await noJson.text()], [400, 'the body is not JSON\n']);
    assert.equal(await (await post('/json', '1')).text(), '1');
  });

  test(`${transport}: a body is streamed both ways, and a slow client is waited for`, async (t) => {
    let waits = 0;
    const { port } = await serveHttp1(
      t,
      transport,
      async (request, respond) => {
        const writer = respond.stream(200);
        for await (const piece of request) {
          if (writer.write(piece) !== 'full') continue;
          waits += 1;
          await writer.drained();
        }
        writer.end();
      },
      { bodyBytesMax: 16 * MIB },
    );
    const body = Buffer.alloc(8 * MIB, 'abcdefghij');
    const request = http.request({ port, method: 'POST', agent: false });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(response.headers['transfer-encoding'], 'chunked');
    await until(() => waits > 0); // nobody reads the answer yet
    assert((await text(response)) === body.toString());
  });

  test(`${transport}: a reader that stops halfway leaves the connection usable`, async (t) => {
    const { port } = await serveHttp1(t, transport, async (request, respond) => {
      for await (const piece of request) return respond(200, {}, piece.subarray(0, 2));
      return respond(200, {}, 'empty');
    });
    const answer = await rawExchange(
      t,
      port,
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}${LAST_GET}`,
    );
    assert.match(answer, /\r\n\r\nxxHTTP\/1\.1 200 OK\r\n[^]*empty$/);
  });

  test(`${transport}: a body that nobody reads is skipped, also one asked for after the answer`, async (t) => {
    const late: Promise<unknown>[] = [];
    const { port } = await serveHttp1(t, transport, (request, respond) => {
      respond(200, {}, request.method);
      if (request.method === 'POST')
        late.push(assert.rejects(request.bytes(), { code: 'REACTOR_ANSWER_INVALID' }));
    });
    const body = 'GET /inner HTTP/1.1\r\nHost: x\r\n\r\n';
    const wire = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}${LAST_GET}`;
    const answer = await rawExchange(t, port, wire);
    assert.match(answer, /POSTHTTP\/1\.1 200 OK\r\n[^]*GET$/);
    assert.equal(late.length, 1);
    await late[0];
  });

  test(`${transport}: 100 Continue goes out when the body is asked for, and not before`, async (t) => {
    let ask: () => void = () => {};
    const asked = new Promise<void>((resolve) => (ask = resolve));
    let seen = false;
    const { port } = await serveHttp1(t, transport, async (request, respond) => {
      seen = true;
      await asked;
      respond(200, {}, await request.bytes());
    });
    const client = await RawClient.connect(t, port);
    client.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await until(() => seen);
    assert.equal(client.receivedBytes, 0);
    ask();
    const interim = 'HTTP/1.1 100 Continue\r\n\r\n';
    assert.equal((await client.receive(interim.length)).toString(), interim);
    client.write('body');
    await until(() => client.received().toString().endsWith('body'));
    assert.match(client.received().toString(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

  test(`${transport}: a body that was expected and not asked for ends the connection with the answer`, async (t) => {
    const { port } = await serveHttp1(t, transport, (_request, respond) => respond(401));
    const answer = await rawExchange(
      t,
      port,
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 401 Unauthorized\r\n[^]*Connection: close\r\n/);
  });

  test(`${transport}: node:http's client with Expect gets its 100 and its answer`, async (t) => {
    const { port } = await serveHttp1(t, transport, async (request, respond) =>
      respond(200, {}, await request.text()),
    );
    const request = http.request({ port, method: 'POST', agent: false, headers: { expect: '100-continue' } });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('expected');
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(await text(response), 'expected');
  });

  test(`${transport}: too large a body is answered 413, announced or not, and the smaller bound of the handler counts`, async (t) => {
    const seen: string[] = [];
    const { port, errors } = await serveHttp1(
      t,
      transport,
      async (request, respond) => {
        seen.push(request.path);
        respond(200, {}, await request.bytes(request.path === '/small' ? 10 : undefined));
      },
      { bodyBytesMax: 1000 },
    );
    const announced = (path: string, bytes: number): string =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`;
    const chunked = `POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const tooLarge =
      /^HTTP\/1\.1 413 Payload Too Large\r\n[^]*Connection: close\r\n[^]*more than (\d+) bytes\n$/;
    assert.equal(tooLarge.exec(await rawExchange(t, port, announced('/announced', 1001)))?.[1], '1000');
    assert.equal(
      tooLarge.exec(await rawExchange(t, port, `${chunked}3e9\r\n${'x'.repeat(1001)}\r\n`))?.[1],
      '1000',
    );
    assert.match(
      await rawExchange(t, port, announced('/small', 11) + LAST_GET),
      /^HTTP\/1\.1 413 [^]*more than 10 bytes\nHTTP\/1\.1 200 OK/,
    );
    assert.deepEqual(seen, ['/chunked', '/small', '/']);
    assert.deepEqual([...new Set(errors.map(({ code }) => code))], ['REACTOR_REQUEST_TOO_LARGE']);
  });

  test(`${transport}: the signal is aborted and the body fails when the client goes`, async (t) => {
    const requests: Http1Request[] = [];
    const bodies: Promise<unknown>[] = [];
    const { port, errors } = await serveHttp1(t, transport, (request) => {
      requests.push(request);
      if (request.method === 'POST') {
        bodies.push(assert.rejects(request.bytes(), { code: 'REACTOR_CONNECTION_CLOSED' }));
      }
      assert(!request.signal.aborted);
    });
    const busy = await RawClient.connect(t, port);
    busy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const sending = await RawClient.connect(t, port);
    sending.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nx');
    await until(() => requests.length === 2);
    busy.reset();
    sending.reset();
    await until(() => requests.every(({ signal }) => signal.aborted));
    await bodies[0];
    assert.equal((requests[0]!.signal.reason as { code: string }).code, 'REACTOR_CONNECTION_CLOSED');
    assert(errors.every(({ code }) => code === 'REACTOR_CONNECTION_CLOSED'));
  });
});
