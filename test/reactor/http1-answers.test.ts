// What a handler may answer, what goes out for it, and what happens to answers that cannot be sent.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Http1Respond, Http1ResponseHeaders } from '../../reactor/index.js';
import { bodiesOf, keptGet, LAST_GET, rawExchange, serveHttp1 } from '../support/http1-server.js';
import { RawClient } from '../support/raw-client.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const LAST_HEAD = LAST_GET.replace('GET', 'HEAD');
const GET_10 = 'GET / HTTP/1.0\r\n\r\n';
const WRONG_HEADERS: readonly (readonly [string, unknown])[] = [
  ['a line end in a value', { a: 'b\r\nc: d' }],
  ['a bare LF in a value', { a: 'b\nc: d' }],
  ['a NUL in a value', { a: 'b\0' }],
  ['a character that is no byte', { a: '€' }],
  ['a line end in a name', { 'a\r\nb': 'c' }],
  ['a colon in a name', { 'a:b': 'c' }],
  ['an empty name', { '': 'c' }],
  ['a value that is an object', { a: { b: 1 } }],
  ['a line that is no string', { a: ['b', 1] }],
  ['transfer-encoding', { 'Transfer-Encoding': 'chunked' }],
  ['a wrong content-length', { 'content-length': '3' }],
  ['a content-length that is no number', { 'content-length': '5x' }],
  ['connection: upgrade', { connection: 'upgrade' }],
  ['text in place of headers', 'a: b'],
];

forEachTransport((transport) => {
  test(`${transport}: a whole answer has a length, a date and the headers it was given`, async (t) => {
    const { port } = await serveHttp1(t, transport, (_request, respond) =>
      respond(201, { 'X-A': ['b', 'c'], 'x-n': 5, 'x-e': 'é', none: undefined }, 'grüß'),
    );
    const [head, body] = (await rawExchange(t, port, keptGet() + LAST_GET)).split('\r\n\r\n');
    const lines = head!.split('\r\n');
    const date = lines.find((line) => line.startsWith('Date: '))!;
    assert(Math.abs(Date.parse(date.slice(6)) - Date.now()) < 5000);
    assert.deepEqual(
      lines.filter((line) => line !== date),
      [
        'HTTP/1.1 201 Created',
        'X-A: b',
        'X-A: c',
        'x-n: 5',
        'x-e: \xe9',
        'Connection: keep-alive',
        'Keep-Alive: timeout=5',
        'Content-Length: 6',
      ],
    );
    assert(body!.startsWith(Buffer.from('grüß').toString('latin1')));
  });

  for (const [status, headers, framing] of [
    [200, {}, /Content-Length: 4\r\n/],
    [200, { 'content-length': 4 }, /Content-Length: 4\r\n/],
    [204, {}, /^(?![^]*Content-Length)/],
    [304, { 'content-length': 9 }, /Content-Length: 9\r\n/],
    [304, {}, /^(?![^]*Content-Length)/],
  ] as const) {
    test(`${transport}: HEAD, and ${status} with ${JSON.stringify(headers)}, have no body`, async (t) => {
      const { port } = await serveHttp1(t, transport, (request, respond) => {
        if (request.path === '/') return respond(status, headers, 'body');
        const writer = respond.stream(status, headers);
        writer.write('bo');
        return writer.end('dy');
      });
      for (const wire of [LAST_HEAD, ...(status === 200 ? [] : [LAST_GET])]) {
        const answer = await rawExchange(t, port, wire);
        assert.match(answer, framing);
        assert(answer.endsWith('\r\n\r\n'), answer);
      }
      assert((await rawExchange(t, port, LAST_HEAD.replace(' / ', ' /stream '))).endsWith('\r\n\r\n'));
    });
  }

  test(`${transport}: headers that would change what the client reads are refused, and the handler told`, async (t) => {
    const { port, errors } = await serveHttp1(t, transport, (_request, respond) => {
      for (const [what, headers] of WRONG_HEADERS) {
        const wrong = headers as Http1ResponseHeaders;
        assert.throws(() => respond(200, wrong, 'hello'), { code: 'REACTOR_ANSWER_INVALID' }, what);
        if (what === 'a wrong content-length') continue; // a stream cannot know
        assert.throws(() => respond.stream(200, wrong), { code: 'REACTOR_ANSWER_INVALID' }, what);
      }
      for (const status of [0, 99, 101, 1000, 200.5, Number.NaN, '200' as unknown as number]) {
        assert.throws(() => respond(status), { code: 'REACTOR_ANSWER_INVALID' }, String(status));
      }
      for (const body of [5, null, {}] as unknown as string[]) {
        assert.throws(() => respond(200, {}, body), { code: 'REACTOR_ANSWER_INVALID' });
      }
      respond(200, {}, 'fine');
      assert.throws(() => respond(200), { code: 'REACTOR_ANSWER_INVALID' });
      assert.throws(() => respond.stream(200), { code: 'REACTOR_ANSWER_INVALID' });
    });
    assert.deepEqual(bodiesOf(await rawExchange(t, port, LAST_GET)), ['fine']);
    assert.deepEqual(errors, []);
  });

  test(`${transport}: an answer larger than the hard cap arrives whole, as the client takes it`, async (t) => {
    const body = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
    const { url } = await serveHttp1(t, transport, (request, respond) =>
      respond(200, {}, request.path === '/text' ? body.toString() : body),
    );
    for (const path of ['/bytes', '/text']) {
      const answer = Buffer.from(await (await fetch(url + path)).arrayBuffer());
      assert(answer.equals(body), path);
    }
  });

  test(`${transport}: a stream of a told length ends with it, one without is chunked, and HTTP/1.0 gets neither`, async (t) => {
    const { port } = await serveHttp1(t, transport, (request, respond) => {
      const writer = respond.stream(200, request.path === '/told' ? { 'content-length': 6 } : {});
      assert.equal(writer.write('abc'), 'sent');
      writer.end(Buffer.from('def'));
      assert.throws(() => writer.write('g'), { code: 'REACTOR_ANSWER_INVALID' });
    });
    const told = await rawExchange(t, port, LAST_GET.replace(' / ', ' /told '));
    assert.match(told, /Content-Length: 6\r\n\r\nabcdef$/);
    const chunked = await rawExchange(t, port, LAST_GET);
    assert.match(chunked, /Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n$/);
    const old = await rawExchange(t, port, GET_10);
    assert.match(old, /^HTTP\/1\.1 200 OK\r\nDate: [^\r]+\r\nConnection: close\r\n\r\nabcdef$/);
  });

  test(`${transport}: a body that breaks its promised length breaks the connection`, async (t) => {
    const { port, errors } = await serveHttp1(t, transport, (_request, respond) => {
      const writer = respond.stream(200, { 'content-length': 6 });
      assert.throws(() => writer.write('1234567'), { code: 'REACTOR_ANSWER_INVALID' });
      writer.write('123');
      writer.end();
    });
    const client = await RawClient.connect(t, port);
    client.write(LAST_GET);
    await client.closed();
    assert(!client.received().toString().endsWith('456'));
    assert(errors.some(({ code }) => code === 'REACTOR_ANSWER_INVALID'));
  });

  for (const [what, fail] of [
    ['throws', () => assert.fail('on purpose')],
    ['rejects', () => Promise.reject(new Error('on purpose'))],
    ['settles without an answer', async () => {}],
  ] as const) {
    test(`${transport}: a handler that ${what} is answered 500, reported, and the connection goes on`, async (t) => {
      const { port, server, errors } = await serveHttp1(t, transport, (request, respond) =>
        request.path === '/' ? respond(200, {}, 'fine') : fail(),
      );
      const answer = await rawExchange(t, port, keptGet('/fail') + LAST_GET);
      assert.match(answer, /^HTTP\/1\.1 500 Internal Server Error\r\n[^]*HTTP\/1\.1 200 OK\r\n[^]*fine$/);
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['REACTOR_HANDLER_FAILED'],
      );
      assert.equal(server.reactor.counters.total('handler_errors'), 1);
    });
  }

  test(`${transport}: a handler that fails halfway through its answer cuts it off`, async (t) => {
    const { port, errors } = await serveHttp1(t, transport, async (_request, respond) => {
      respond.stream(200).write('half');
      await Promise.resolve();
      throw new Error('on purpose');
    });
    const client = await RawClient.connect(t, port);
    client.write(LAST_GET);
    await client.closed();
    assert(!client.received().toString().endsWith('0\r\n\r\n'));
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['REACTOR_HANDLER_FAILED'],
    );
  });

  test(`${transport}: pipelined requests are answered in order, however their handlers finish`, async (t) => {
    const { port, server } = await serveHttp1(
      t,
      transport,
      async (request, respond) => {
        const number = Number(request.path.slice(1));
        for (let turn = 0; turn < 7 - (number % 7); turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (number % 3 > 0) return respond(200, {}, String(number));
        const writer = respond.stream(200, { 'content-length': String(number).length });
        await new Promise((resolve) => setImmediate(resolve));
        return writer.end(String(number));
      },
      { pipelinedMax: 4 },
    );
    const numbers = Array.from({ length: 40 }, (_, number) => String(number));
    const wire = numbers.map((number) => keptGet(`/${number}`)).join('') + LAST_GET.replace(' / ', ' /40 ');
    assert.deepEqual(bodiesOf(await rawExchange(t, port, wire)), [...numbers, '40']);
    assert.equal(server.reactor.counters.total('requests'), 41);
  });

  test(`${transport}: no more than pipelinedMax requests of a connection are at work`, async (t) => {
    const waiting: Http1Respond[] = [];
    const { port } = await serveHttp1(t, transport, (_request, respond) => waiting.push(respond), {
      pipelinedMax: 3,
    });
    const client = await RawClient.connect(t, port);
    client.write(keptGet().repeat(9) + LAST_GET);
    let answered = 0;
    while (answered < 10) {
      await until(() => waiting.length > 0);
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      assert(waiting.length <= 3);
      for (const respond of waiting.splice(0).toReversed()) respond(200, {}, String((answered += 1)));
    }
    assert.equal(bodiesOf((await client.receiveUntilEnd()).toString()).length, 10);
  });

  test(`${transport}: an answer after the client has gone is 'closed' and hurts nobody`, async (t) => {
    let late: Http1Respond | null = null;
    const { port, server } = await serveHttp1(t, transport, (_request, respond) => (late = respond));
    const client = await RawClient.connect(t, port);
    client.write(keptGet());
    await until(() => late !== null);
    client.reset();
    await until(() => server.reactor.counters.total('connections_open') === 0);
    const respond = late as unknown as Http1Respond;
    const writer = respond.stream(200);
    assert.equal(writer.write('x'), 'closed');
    await assert.rejects(writer.drained(), { code: 'REACTOR_CONNECTION_CLOSED' });
    writer.end();
  });

  test(`${transport}: sendBody puts a body on the connection in its turn`, async (t) => {
    const { port } = await serveHttp1(t, transport, async (request, respond) => {
      if (request.path === '/first') {
        await new Promise((resolve) => setImmediate(resolve));
        return respond(200, {}, 'first');
      }
      const writer = respond.stream(200, { 'content-length': 6 });
      await writer.sendBody(6, async (connection) => connection.write('direct'));
      return writer.end();
    });
    const answer = await rawExchange(t, port, keptGet('/first') + keptGet('/second') + LAST_HEAD + LAST_GET);
    assert.match(
      answer,
      /\r\n\r\nfirstHTTP[^]*Content-Length: 6\r\n\r\ndirectHTTP[^]*Content-Length: 6\r\n\r\n$/,
    );
  });
});
