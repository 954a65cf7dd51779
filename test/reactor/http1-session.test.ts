// One connection's HTTP over memory: requests cut anywhere, when connections are kept, and what time does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Http1Handlers, Http1Options, Http1Respond, HttpTimeouts } from '../../reactor/index.js';
import { bodiesOf, keptGet, LAST_GET } from '../support/http1-server.js';
import { MemoryHttp, settle } from '../support/memory-http.js';
import { SeededRandom } from '../support/seeded-random.js';
import type { MemoryConnection } from '../support/memory-connection.js';

const HEAD = 'HTTP/1.1\r\nHost: x\r\n';
/** Requests of every kind in one go; their bodies come back. */
const WIRE = [
  keptGet('/first'),
  `POST /length ${HEAD}Content-Length: 6\r\n\r\nlength`,
  `POST /chunked ${HEAD}X-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c="d"\r\nchu\r\n00004\r\nnked\r\n0\r\n\r\n`,
  `POST /nothing ${HEAD}content-length:0\r\n\r\n`,
  `PUT /skipped ${HEAD}Content-Length: 3\r\n\r\nxyz`,
  `GET /blanks ${HEAD}X:  \t a b \t\r\nContent-Length: 0 \r\nConnection: close\r\n\r\n`,
].join('');
const ANSWERS = ['/first', '/length length', '/chunked chunked', '/nothing ', '/skipped', '/blanks a b'];

const echo: Http1Handlers = {
  async request(request, respond) {
    if (request.method === 'POST') respond(200, {}, `${request.path} ${await request.text()}`);
    else
      respond(
        200,
        {},
        [request.path, request.headers.get('x')].filter((part) => part !== undefined).join(' '),
      );
  },
};

async function answersTo(http: MemoryHttp, pieces: readonly Buffer[]): Promise<string> {
  const connection = http.connect();
  for (const piece of pieces) connection.feedBytes(piece);
  return await finish(http, connection);
}

async function finish(http: MemoryHttp, connection: MemoryConnection): Promise<string> {
  await settle();
  http.endTurn();
  return connection.sent().toString('latin1');
}

test('requests cut at every byte are answered the same, in order, and the connection ends', async (t) => {
  const http = new MemoryHttp(t, echo);
  const bytes = Buffer.from(WIRE);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const connection = http.connect();
    connection.feedBytes(bytes.subarray(0, cut));
    connection.feedBytes(bytes.subarray(cut));
    assert.deepEqual(bodiesOf(await finish(http, connection)), ANSWERS, `cut at ${cut}`);
    assert(connection.hasSentFin);
    connection.destroy();
  }
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  assert.deepEqual(bodiesOf(await answersTo(http, single)), ANSWERS);
  assert.deepEqual(http.failures, []);
});

test('the same while a handler waits before every step', async (t) => {
  const http = new MemoryHttp(t, {
    async request(request, respond) {
      await new Promise((resolve) => setImmediate(resolve));
      await echo.request(request, respond);
    },
  });
  const bytes = Buffer.from(WIRE);
  for (const size of [1, 7, 50, bytes.length]) {
    const connection = http.connect();
    for (let at = 0; at < bytes.length; at += size) connection.feedBytes(bytes.subarray(at, at + size));
    for (let turn = 0; turn < 2 * ANSWERS.length && !connection.hasSentFin; turn += 1)
      await finish(http, connection);
    assert.deepEqual(bodiesOf(connection.sent().toString()), ANSWERS, `pieces of ${size}`);
    connection.destroy();
  }
});

for (const [what, wire, isKept] of [
  ['HTTP/1.1', keptGet(), true],
  ['HTTP/1.1 with close', LAST_GET, false],
  ['HTTP/1.1 with close in a list', `GET / ${HEAD}Connection: x, Close\r\n\r\n`, false],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', false],
  ['HTTP/1.0 with keep-alive', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', true],
  [
    'HTTP/1.0 with keep-alive and a body',
    'GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx',
    true,
  ],
] as const) {
  test(`${what}: the connection is ${isKept ? 'kept' : 'ended'}, and the answer says so`, async (t) => {
    const http = new MemoryHttp(t, echo);
    const connection = http.connect();
    connection.feedBytes(Buffer.from(wire));
    const answer = await finish(http, connection);
    assert.equal(connection.hasSentFin, !isKept);
    assert.match(answer, isKept ? /Connection: keep-alive\r\n/ : /Connection: close\r\n/);
  });
}

test('a handler ends the connection by `connection: close`', async (t) => {
  const http = new MemoryHttp(t, {
    request: (_request, respond) => respond(200, { connection: 'close' }, 'bye'),
  });
  const connection = http.connect();
  connection.feedBytes(Buffer.from(keptGet() + keptGet()));
  const answer = await finish(http, connection);
  assert.equal(answer.match(/Connection: close\r\n/g)?.length, 1);
  assert(connection.hasSentFin);
});

test('a client that sends FIN behind its request is told the answer all the same', async (t) => {
  const waiting: Http1Respond[] = [];
  const http = new MemoryHttp(t, {
    request(request, respond) {
      waiting.push(respond);
      request.signal.addEventListener('abort', () => waiting.push(respond));
    },
  });
  const connection = http.connect();
  connection.feedBytes(Buffer.from(keptGet()));
  connection.feedEnd();
  await settle();
  assert.equal(waiting.length, 2, 'the signal was aborted');
  assert(!connection.hasSentFin);
  waiting[0]!(200, {}, 'late');
  assert.match(await finish(http, connection), /Connection: close\r\n[^]*late$/);
  assert(connection.hasSentFin);
});

test('a FIN inside a request is answered 400', async (t) => {
  for (const [wire, reads] of [
    ['GET / HTTP/1.1\r\nHo', 0],
    [`POST / ${HEAD}Content-Length: 9\r\n\r\nx`, 1],
  ] as const) {
    let count = 0;
    const http = new MemoryHttp(t, {
      async request(request, respond) {
        count += 1;
        respond(200, {}, await request.bytes());
      },
    });
    const connection = http.connect();
    connection.feedBytes(Buffer.from(wire));
    connection.feedEnd();
    assert.match(await finish(http, connection), /^HTTP\/1\.1 400 [^]*ended inside a request\n$/);
    assert.equal(count, reads);
  }
});

const LIMITS: readonly (readonly [status: number, options: Http1Options, wire: string])[] = [
  [431, {}, `GET / ${HEAD}X: ${'x'.repeat(16_384)}\r\n\r\n`],
  [431, {}, `GET / ${HEAD}X: ${'x'.repeat(20_000)}`],
  [431, { headerBytesMax: 64 }, `GET / ${HEAD}X: ${'x'.repeat(64)}\r\n\r\n`],
  [431, {}, `GET / ${HEAD}${'X: y\r\n'.repeat(100)}\r\n`],
  [431, { headerCountMax: 2 }, `GET / ${HEAD}X: y\r\nX: y\r\n\r\n`],
  [414, {}, `GET /${'x'.repeat(8192)} ${HEAD}\r\n`],
  [414, { targetBytesMax: 4 }, `GET /1234 ${HEAD}\r\n`],
  [414, {}, `GET /${'x'.repeat(20_000)}`],
  [413, {}, `POST / ${HEAD}Content-Length: 1048577\r\n\r\n`],
  [413, { bodyBytesMax: 0 }, `POST / ${HEAD}Content-Length: 1\r\n\r\nx`],
  [413, {}, `POST / ${HEAD}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`],
];

for (const [status, options, wire] of LIMITS) {
  const title = `${wire.slice(0, 16).replaceAll(/\s+/g, ' ')}… of ${wire.length} bytes, ${JSON.stringify(options)}`;
  test(`${title}: is answered ${status}, in one piece and in many`, async (t) => {
    const http = new MemoryHttp(t, echo, options);
    const bytes = Buffer.from(wire);
    for (const size of [bytes.length, 1000, 1]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      const answer = await answersTo(http, pieces);
      assert.match(
        answer,
        new RegExp(`^HTTP/1\\.1 ${status} [^]*Connection: close\r\n`),
        `pieces of ${size}`,
      );
    }
  });
}

test('what is exactly at a limit is served', async (t) => {
  const head = `GET /1234567 ${HEAD}Connection: close\r\nX: `;
  const filled = `${head}${'x'.repeat(200 - head.length - 4)}\r\n\r\n`;
  const options = { headerBytesMax: 200, headerCountMax: 3, targetBytesMax: 8 };
  assert.equal(filled.length, 200);
  assert.match(await answersTo(new MemoryHttp(t, echo, options), [Buffer.from(filled)]), /^HTTP\/1\.1 200 /);
});

/** What a connection does that got `wire` and then `ms` pass, looked at every second. */
async function after(
  http: MemoryHttp,
  wire: string,
  ms: number,
): Promise<{ text: string; hasEnded: boolean }> {
  const connection = http.connect();
  if (wire !== '') connection.feedBytes(Buffer.from(wire));
  await settle();
  await http.pass(ms);
  const text = await finish(http, connection);
  const { hasSentFin } = connection;
  connection.destroy();
  return { text, hasEnded: hasSentFin };
}

const TIMEOUTS: HttpTimeouts & Http1Options = {
  headersTimeoutMs: 2000,
  requestTimeoutMs: 4000,
  keepAliveTimeoutMs: 3000,
  answerTimeoutMs: 5000,
};

for (const [what, wire, ms, status] of [
  ['a client that says nothing', '', 2000, null],
  ['a head that does not come to its end', 'GET / HTTP/1.1\r\n', 2000, 408],
  ['a body that does not come to its end', `POST / ${HEAD}Content-Length: 9\r\n\r\nx`, 4000, 408],
  ['a body that nobody asks for', `PUT / ${HEAD}Content-Length: 9\r\n\r\nx`, 4000, 408],
  ['a client that asks no more', keptGet('/now'), 3000, 200],
  ['a handler that does not answer', keptGet('/never'), 5000, 503],
] as const) {
  test(`${what} is waited for up to its timeout and not longer`, async (t) => {
    const http = new MemoryHttp(
      t,
      {
        async request(request, respond) {
          if (request.path === '/never') await new Promise(() => {});
          respond(200, {}, request.method === 'PUT' ? '' : await request.bytes());
        },
      },
      TIMEOUTS,
    );
    const before = await after(http, wire, ms - 100);
    assert(!before.hasEnded);
    const late = await after(http, wire, ms + 100);
    if (status === null) assert.equal(late.text, '');
    else assert.match(late.text, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(late.hasEnded, status !== 503, 'a request that was whole costs no connection');
  });
}

test('a client that goes on sending, slowly, is not cut before its time', async (t) => {
  const http = new MemoryHttp(t, echo, TIMEOUTS);
  const connection = http.connect();
  for (let count = 1; count <= 20; count += 1) {
    connection.feedBytes(Buffer.from(keptGet()));
    await http.pass(2500);
    assert.equal(bodiesOf(await finish(http, connection)).length, count);
  }
  assert(!connection.hasSentFin);
});

test('a peer that takes no answers is not served more than the high-water mark', async (t) => {
  let served = 0;
  const http = new MemoryHttp(t, {
    request(_request, respond) {
      served += 1;
      respond(200, {}, 'x'.repeat(10_000));
    },
  });
  const connection = http.connect(0);
  connection.feedBytes(Buffer.from(keptGet().repeat(100)));
  http.endTurn();
  assert(served < 10, String(served));
  assert(!connection.isReading);
  for (let round = 0; round < 30; round += 1) {
    connection.peerReads(40_000);
    await finish(http, connection);
  }
  assert.equal(served, 100);
  connection.peerReads(10_000_000);
  assert.equal(bodiesOf(await finish(http, connection)).length, 100);
});

test('a body of single bytes is kept in few objects, and whole', async (t) => {
  const http = new MemoryHttp(t, {
    async request(request, respond) {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      respond(200, {}, `${pieces.length} ${Buffer.concat(pieces).toString()}`);
    },
  });
  const body = Array.from({ length: 5000 }, (_, index) => String(index % 10)).join('');
  const chunks = body.replaceAll(/./g, '1\r\n$&\r\n');
  const wire = `POST / ${HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
  const [answer] = bodiesOf(await answersTo(http, [Buffer.from(wire)]));
  const [count, received] = answer!.split(' ');
  assert.equal(received, body);
  assert(Number(count) <= 3, count);
});

test('a connection that was broken off serves nothing of what was pipelined', async (t) => {
  const seen: string[] = [];
  const http = new MemoryHttp(t, {
    request(request, respond) {
      seen.push(request.path);
      respond.stream(200, { 'content-length': 2 }).end('x');
    },
  });
  const connection = http.connect();
  connection.feedBytes(Buffer.from(keptGet('/first') + keptGet('/second')));
  await settle();
  assert.deepEqual(seen, ['/first']);
  assert.equal(connection.state, 'closed');
});

test('mutated requests, cut anywhere and handled at any pace, never break a session', async (t) => {
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const http = new MemoryHttp(t, {
    async request(request, respond) {
      const kind = random.integer(0, 5);
      if (kind < 2) await new Promise((resolve) => setImmediate(resolve));
      if (kind === 2) throw new Error('on purpose');
      if (kind === 3) return respond(200, {}, 'unread');
      if (kind === 4) {
        const writer = respond.stream(200);
        for await (const piece of request) writer.write(piece);
        return writer.end();
      }
      return respond(200, {}, await request.bytes(random.integer(0, 19)));
    },
  });
  for (let round = 0; round < 1000; round += 1) {
    const bytes = Buffer.from(WIRE.replace('Connection: close\r\n', ''));
    for (let count = random.integer(0, 3); count > 0; count -= 1)
      bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    const connection = http.connect(random.integer(0, 1) === 0 ? Infinity : 100);
    for (let at = 0; at < bytes.length && connection.state === 'open'; ) {
      const size = 1 + random.integer(0, bytes.length - 1);
      connection.feedBytes(bytes.subarray(at, at + size));
      at += size;
      if (random.integer(0, 2) === 0) await settle();
    }
    if (random.integer(0, 1) === 0 && connection.state === 'open') connection.feedEnd();
    connection.peerReads(1_000_000);
    await settle();
    http.endTurn();
    if (connection.state !== 'closed') connection.destroy();
    await settle();
    assert.equal(http.loop.pool.stats().lentBytes, 0, `round ${round}`);
  }
  for (const failure of http.failures) assert.match(String(failure), /on purpose/);
});
