// What a server is told to do beside answering: who may connect, for how long, how many at a time, on which threads.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { WorkerPool } from '../../reactor/index.js';
import {
  implement,
  Metadata,
  type Middleware,
  offload,
  RpcClient,
  type RpcClientOptions,
  RpcError,
  type ServerCall,
} from '../../rpc/index.js';
import { loadAddon } from '../../addon/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TRANSPORTS } from '../support/transports.js';
import { until } from '../support/until.js';
import { deferred } from './support/deferred.js';
import { ECHO, ECHO_CONTRACT, echoService, type SayRequest } from './support/echo.js';
import { startClient, startPair, startServer } from './support/rpc-pair.js';

const whoCalls = echoService({
  say: (_: SayRequest, call: ServerCall) => ({ text: call.peer.identity ?? 'nobody' }),
});

test('over mutual TLS the client is whom its certificate names', async (t) => {
  const { client } = await startPair(
    t,
    { tls: { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY }, services: [whoCalls] },
    { tls: { ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY } },
  );
  assert.notEqual((await client.unary(ECHO.say, {})).text, 'nobody');
});

test('a client without a certificate is turned away where one is asked for', async (t) => {
  const { client } = await startPair(
    t,
    { tls: { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY } },
    { tls: { ca: AUTHORITY }, timeoutMs: 3000 },
  );
  await assert.rejects(client.unary(ECHO.say, {}), { status: 'UNAVAILABLE', executed: 'no' });
});

for (const transport of TRANSPORTS) {
  test(`a token says who the client is; a wrong one and none are refused with a code (${transport})`, async (t) => {
    const tokens = [{ token: 'open sesame', name: 'ali' }];
    const { target, client } = await startPair(
      t,
      { transport, tokens, services: [whoCalls] },
      { transport, token: 'open sesame' },
    );
    assert.equal((await client.unary(ECHO.say, {})).text, 'ali');
    for (const token of ['open barley', '']) {
      const stranger = startClient(t, { target, transport, token });
      await assert.rejects(stranger.unary(ECHO.say, {}), { code: 'RPC_UNAUTHENTICATED', executed: 'no' });
    }
  });

  test(`an application may judge tokens by itself (${transport})`, async (t) => {
    const application = {
      services: [whoCalls],
      authenticate: (token: string) => {
        if (token !== 'x') throw new RpcError('RPC_UNAUTHENTICATED', 'only x', { executed: 'no' });
        return 'mister x';
      },
    };
    const { target, client } = await startPair(
      t,
      { transport, services: application },
      { transport, token: 'x' },
    );
    assert.equal((await client.unary(ECHO.say, {})).text, 'mister x');
    const stranger = startClient(t, { target, transport, token: 'y' });
    await assert.rejects(stranger.unary(ECHO.say, {}), { code: 'RPC_UNAUTHENTICATED', message: /only x/ });
  });

  test(`a connection that is too old is renewed without a failed call (${transport})`, async (t) => {
    const { client } = await startPair(t, { transport, connectionAgeMs: 60 }, { transport });
    const calls: Promise<unknown>[] = [];
    await until(() => {
      if (calls.length < 20_000) calls.push(client.unary(ECHO.count, {}));
      return client.figures().hosts.reduce((sum, { totals }) => sum + totals.dials, 0) >= 4;
    });
    await Promise.all(calls);
  });

  test(`a Unix socket carries calls (${transport})`, async (t) => {
    const folder = temporaryFolder(t);
    const socket = path.join(folder, 'rpc.sock');
    await startServer(t, { transport, path: socket, host: undefined, port: undefined } as never);
    const client = startClient(t, { target: `unix:${socket}`, transport });
    assert.equal((await client.unary(ECHO.say, { text: 'by path' })).text, 'by path');
  });

  test(`a method's limit refuses what is too much, surely not executed (${transport})`, async (t) => {
    const release = deferred<void>();
    const application = {
      services: [echoService({ count: async () => release.promise.then(() => ({})) })],
      limits: { '/demo.Echo/Count': { concurrencyMax: 2 } },
    };
    const { client } = await startPair(
      t,
      { transport, services: application },
      { transport, retry: { attemptsMax: 1 }, pool: { connectionsMin: 1, connectionsMax: 1 } },
    );
    const accepted = [client.unary(ECHO.count, {}), client.unary(ECHO.count, {})];
    await assert.rejects(client.unary(ECHO.count, {}), { code: 'RPC_RESOURCE_EXHAUSTED', executed: 'no' });
    assert.equal((await client.unary(ECHO.say, { text: 'others' })).text, 'others');
    release.resolve();
    await Promise.all(accepted);
    await client.unary(ECHO.count, {}); // there is room again
  });

  test(`the same middleware stands around calls of both sides, unary and streaming (${transport})`, async (t) => {
    const seen: string[] = [];
    const watch: Middleware = async (request, next) => {
      seen.push(`${request.side} ${request.method.localName}`);
      if (request.side === 'client') request.metadata.set('x-by', 'middleware');
      const response = await next(request);
      if (request.side === 'server')
        request.call!.trailers.set('x-seen', request.metadata.text('x-by') ?? '');
      return response;
    };
    const { client } = await startPair(
      t,
      { transport, services: { services: [echoService()], middleware: [watch] } },
      { transport, middleware: [watch] },
    );
    const trailers = deferred<Metadata>();
    const answer = await client.unary(
      ECHO.say,
      { text: 'through' },
      { onTrailers: (got) => trailers.resolve(got) },
    );
    assert.equal(answer.text, 'through');
    assert.equal((await trailers.promise).text('x-seen'), 'middleware');
    const texts: string[] = [];
    for await (const { text } of client.bidiStream(ECHO.chat, [{ text: 'a' }, { text: 'b' }]))
      texts.push(text);
    assert.deepEqual(texts, ['re a', 're b']);
    const { count } = await client.clientStream(ECHO.upload, [{}, {}, {}]);
    assert.equal(count, 3n);
    assert.deepEqual(seen, [
      'client say',
      'server say',
      'client chat',
      'server chat',
      'client upload',
      'server upload',
    ]);
  });

  test(`in exclusive mode a connection carries one call at a time, and comes back (${transport})`, async (t) => {
    const { client } = await startPair(
      t,
      { transport },
      { transport, pool: { mode: 'exclusive', connectionsMin: 0, connectionsMax: 3 } },
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => client.unary(ECHO.say, { text: String(index), delayMs: 5 })),
    );
    assert.deepEqual(
      answers.map(({ text }) => text),
      Array.from({ length: 20 }, (_, index) => String(index)),
    );
    const [host] = client.figures().hosts;
    assert.equal(host!.connections, 3);
    assert.equal(host!.lent, 0);
  });

  if (loadAddon() === null) continue;

  test(`a service module runs on every thread, and a reload renews it under open connections (${transport})`, async (t) => {
    const folder = temporaryFolder(t);
    const file = path.join(folder, 'services.mjs');
    const echo = pathToFileURL(path.resolve('dist/test/rpc/support/echo.js')).href;
    const write = (version: string): Promise<void> =>
      writeFile(
        file,
        `import { echoService } from '${echo}';
         export default (loop) => [echoService({ say: () => ({ text: '${version} on ' + loop.threadIndex }) })];`,
      );
    await write('first');
    const { server, target } = await startServer(t, { transport, threads: 2, services: pathToFileURL(file) });
    const pool = { connectionsMin: 4, connectionsMax: 4, callsPerConnectionSoftMax: 1 };
    const client = startClient(t, { target, transport, pool });
    const texts = async (): Promise<Set<string>> =>
      new Set(
        (await Promise.all(Array.from({ length: 40 }, () => client.unary(ECHO.say, {})))).map(
          ({ text }) => text,
        ),
      );
    const seen = new Set<string>();
    while (seen.size < 2) for (const text of await texts()) seen.add(text);
    assert.deepEqual([...seen].toSorted(), ['first on 0', 'first on 1']);
    const dialsBefore = client.figures().hosts[0]!.totals.dials;
    await write('second');
    await server.reload();
    for (const text of await texts()) assert.match(text, /^second on/);
    assert.equal(client.figures().hosts[0]!.totals.dials, dialsBefore, 'the connections stayed');
    const figures = await server.figures();
    assert.equal(figures.length, 2);
    assert(figures.reduce((sum, { connections }) => sum + connections, 0) >= 4);
  });
}

test('a CPU-heavy method runs on a worker pool while others are answered', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'jobs.mjs');
  await writeFile(
    file,
    `export function spin({ number }) { const end = Date.now() + Number(number); while (Date.now() < end); return { text: 'spun' }; }
     export function crash() { throw new Error('on purpose'); }`,
  );
  const pool = new WorkerPool({ module: pathToFileURL(file), threadsMax: 1, queueMax: 1 });
  t.after(() => pool.close());
  const service = implement(ECHO_CONTRACT, {
    say: ({ text }: SayRequest) => ({ text }),
    count: offload(pool, 'spin'),
    list: offload(pool, 'crash') as never,
    upload: () => ({}),
    chat: () => [],
  });
  const { client } = await startPair(t, { services: [service] }, { retry: { attemptsMax: 1 } });
  const spinning = client.unary(ECHO.count, { number: 400n });
  await until(() => pool.stats().threadsBusy === 1);
  const quick = await Promise.race([spinning, client.unary(ECHO.say, { text: 'quick' })]);
  assert.equal(quick.text, 'quick');
  const queued = client.unary(ECHO.count, { number: 1n });
  await assert.rejects(client.unary(ECHO.count, { number: 1n }), {
    code: 'RPC_RESOURCE_EXHAUSTED',
    executed: 'no',
  });
  assert.equal((await spinning).text, 'spun');
  assert.equal((await queued).text, 'spun');
});

test('a handler that throws what is no RpcError fails its call with RPC_UNKNOWN, and the server goes on', async (t) => {
  const warned = deferred<Error>();
  const onWarning = (warning: Error): void => warned.resolve(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const service = echoService({
    say: () => {
      throw new TypeError('a defect');
    },
  });
  const { client } = await startPair(t, { services: [service] });
  await assert.rejects(client.unary(ECHO.say, {}), { code: 'RPC_UNKNOWN', message: /a defect/ });
  await client.unary(ECHO.count, {});
  assert.match((await warned.promise).message, /a defect/);
});

test('options out of range are refused with their name', () => {
  for (const [name, value] of [
    ['messageBytesMax', 0],
    ['metadataBytesMax', 1e6],
    ['streamWindowBytes', 100],
    ['streamsMax', 0],
    ['keepaliveTimeoutMs', -1],
    ['compression', 'zip'],
    ['serializers', []],
  ] as const) {
    const options = { target: '127.0.0.1:1', [name]: value } as RpcClientOptions;
    assert.throws(() => new RpcClient(options), { code: 'RPC_OPTION_INVALID', message: new RegExp(name) });
  }
});
