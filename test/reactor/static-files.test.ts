// Static files over HTTP, as clients see them: whole, in parts, not again when they have them, and nothing else.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { HttpServer, staticFiles, type StaticFilesOptions } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const PAGE = '<!doctype html><title>page</title>';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Site {
  readonly root: string;
  readonly port: number;
  readonly server: HttpServer;
  readonly get: (
    path: string,
    headers?: Readonly<Record<string, string>>,
    method?: string,
  ) => Promise<Answer>;
}

forEachTransport((transport) => {
  test(`${transport}: a file comes whole with what is to be known about it, and HEAD brings the same without it`, async (t) => {
    const site = await serveSite(t, transport);
    const answer = await site.get('/page.html');
    assert.equal(answer.status, 200);
    assert.equal(answer.body, PAGE);
    assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(answer.headers['content-length'], String(PAGE.length));
    assert.equal(answer.headers['accept-ranges'], 'bytes');
    assert.equal(answer.headers['cache-control'], 'no-cache');
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers['last-modified'], 'Fri, 02 Jan 2026 03:04:05 GMT');
    assert.match(answer.headers.etag ?? '', /^"[^"]+"$/);
    const head = await site.get('/page.html', {}, 'HEAD');
    assert.deepEqual({ ...head.headers, date: '' }, { ...answer.headers, date: '' });
    assert.equal(head.body, '');
    const empty = await site.get('/empty');
    assert.deepEqual([empty.status, empty.headers['content-length'], empty.body], [200, '0', '']);
  });

  test(`${transport}: a part comes with its place, and what is not there with the size`, async (t) => {
    const { get } = await serveSite(t, transport);
    const part = await get('/page.html', { range: 'bytes=2-8' });
    assert.deepEqual([part.status, part.body], [206, PAGE.slice(2, 9)]);
    assert.equal(part.headers['content-range'], `bytes 2-8/${PAGE.length}`);
    assert.equal(part.headers['content-length'], '7');
    const tail = await get('/page.html', { range: 'bytes=-4', 'if-range': part.headers.etag! });
    assert.deepEqual([tail.status, tail.body], [206, PAGE.slice(-4)]);
    const changed = await get('/page.html', { range: 'bytes=-4', 'if-range': '"older"' });
    assert.deepEqual([changed.status, changed.body], [200, PAGE]);
    const several = await get('/page.html', { range: 'bytes=0-1,4-5' });
    assert.deepEqual([several.status, several.body], [200, PAGE]);
    const beyond = await get('/page.html', { range: 'bytes=900-' });
    assert.deepEqual([beyond.status, beyond.body], [416, '']);
    assert.equal(beyond.headers['content-range'], `bytes */${PAGE.length}`);
  });

  test(`${transport}: what the client has is not sent again, and what has changed is`, async (t) => {
    const { root, get } = await serveSite(t, transport);
    const { etag, 'last-modified': modified } = (await get('/page.html')).headers;
    for (const headers of [{ 'if-none-match': etag! }, { 'if-modified-since': modified! }]) {
      const again = await get('/page.html', headers);
      assert.deepEqual([again.status, again.body, again.headers.etag], [304, '', etag]);
    }
    assert.equal((await get('/page.html', { 'if-match': '"other"' })).status, 412);
    appendFileSync(join(root, 'page.html'), 'more');
    const after = await get('/page.html', { 'if-none-match': etag! });
    assert.deepEqual([after.status, after.body], [200, `${PAGE}more`]);
    assert.match(after.headers.etag ?? '', /^W\//, 'it may change again within the same tick');
  });

  test(`${transport}: a folder is its index, and no folder is listed`, async (t) => {
    const { get } = await serveSite(t, transport);
    assert.deepEqual([(await get('/')).status, (await get('/docs/')).body], [404, 'the index']);
    const moved = await get('/docs?a=b');
    assert.deepEqual([moved.status, moved.headers.location], [301, './docs/?a=b']);
    const odd = await get('/a:b%20c');
    assert.equal(odd.headers.location, './a%3Ab%20c/');
    assert.equal((await get('/a:b%20c/')).status, 404);
    assert.equal((await get('/page.html/')).status, 404);
  });

  test(`${transport}: nothing outside of the folder is served, and nothing that hides`, async (t) => {
    const { get } = await serveSite(t, transport);
    const absent = [
      '/../secret',
      '/docs/../../secret',
      '/%2e%2e/secret',
      '/.env',
      '/docs/.hidden',
      '//page.html',
      '/link-outside',
      '/none',
      '/none/none',
      '/link-loop',
    ];
    for (const path of absent) assert.equal((await get(path)).status, 404, path);
    const malformed = ['/..%2fsecret', '/page.html%00', '/%zz', '/a%5cb'];
    for (const path of malformed) assert.equal((await get(path)).status, 400, path);
    assert.equal((await get('/link-inside')).body, PAGE);
    const posted = await get('/page.html', {}, 'POST');
    assert.deepEqual([posted.status, posted.headers.allow], [405, 'GET, HEAD']);
  });

  test(`${transport}: prefix, index, dot files and caching are the user's to choose`, async (t) => {
    const options = { prefix: '/assets/', index: 'page.html', dotFiles: true, cacheControl: 'max-age=60' };
    const { get } = await serveSite(t, transport, options);
    const index = await get('/assets/');
    assert.deepEqual([index.body, index.headers['cache-control']], [PAGE, 'max-age=60']);
    assert.equal((await get('/assets/.env')).body, 'TOKEN=1');
    assert.equal((await get('/page.html')).status, 404);
    assert.equal((await get('/assets')).status, 404);
    assert.equal((await get('/assets/../secret')).status, 404);
  });

  test(`${transport}: pipelined answers keep their order around files`, async (t) => {
    const { root, port } = await serveSite(t, transport);
    const content = Buffer.alloc(3 * MIB, 'z');
    writeFileSync(join(root, 'big'), content);
    const client = await RawClient.connect(t, port);
    const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    client.write(
      ask('/big') +
        ask('/none') +
        ask('/page.html') +
        ask('/big').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
    );
    const received = (await client.receiveUntilEnd()).toString('latin1');
    const bodies = received.split(/HTTP\/1\.1 \d+ [^]*?\r\n\r\n/).slice(1);
    assert.deepEqual(received.match(/HTTP\/1\.1 \d+/g), [
      'HTTP/1.1 200',
      'HTTP/1.1 404',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
    ]);
    assert.deepEqual(
      bodies.map((body) => body.length),
      [3 * MIB, 10, PAGE.length, 3 * MIB],
    );
    assert.equal(bodies[2], PAGE);
  });

  test(`${transport}: 100 downloads broken off leave no descriptor, and the server goes on`, async (t) => {
    const { root, port, server, get } = await serveSite(t, transport);
    writeFileSync(join(root, 'big'), Buffer.alloc(16 * MIB));
    const { occupancy } = server.reactor;
    await get('/page.html');
    await until(() => occupancy.open() === 0);
    const before = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 10; round += 1) {
      const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(t, port)));
      for (const client of clients) client.write('GET /big HTTP/1.1\r\nHost: x\r\n\r\n');
      await Promise.all(clients.map((client) => client.receive(1)));
      for (const [index, client] of clients.entries()) {
        if (index % 2 === 0) client.reset();
        else client.socket.destroy();
      }
      await until(() => occupancy.open() === 0);
    }
    await until(() => readdirSync('/proc/self/fd').length <= before);
    assert.equal((await get('/page.html')).body, PAGE);
  });
});

test('an impossible option is refused before anything is served', (t) => {
  const root = temporaryFolder(t);
  const wrong: StaticFilesOptions[] = [
    { prefix: 'assets/' },
    { prefix: '/assets' },
    { index: '../secret' },
    { index: '..' },
    { cacheControl: 'a\r\nb: c' },
    { dotFiles: 'yes' as unknown as boolean },
  ];
  for (const options of wrong) {
    assert.throws(
      () => staticFiles(root, options),
      { code: 'REACTOR_OPTION_INVALID' },
      JSON.stringify(options),
    );
  }
  assert.throws(() => staticFiles(join(root, 'none')), { code: 'REACTOR_OPTION_INVALID' });
});

async function serveSite(
  t: TestContext,
  transport: TransportName,
  options: StaticFilesOptions = {},
): Promise<Site> {
  const root = siteFolder(t);
  const handlers = { request: staticFiles(root, options) };
  const server = new HttpServer({ host: '127.0.0.1', threads: 0, transport, handlers: () => handlers });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  await server.listen();
  const port = server.address.port!;
  return { root, port, server, get: (path, headers, method) => get(port, path, headers, method) };
}

function siteFolder(t: TestContext): string {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  for (const name of ['docs', 'a:b c']) mkdirSync(join(root, name), { recursive: true });
  const files = {
    'page.html': PAGE,
    empty: '',
    '.env': 'TOKEN=1',
    'docs/index.html': 'the index',
    'docs/.hidden': 'h',
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(root, name), content);
    utimesSync(join(root, name), new Date(), new Date('2026-01-02T03:04:05.600Z'));
  }
  writeFileSync(join(folder, 'secret'), 'secret');
  symlinkSync('../secret', join(root, 'link-outside'));
  symlinkSync('page.html', join(root, 'link-inside'));
  symlinkSync('link-loop', join(root, 'link-loop'));
  return root;
}

/** On a connection of its own; the path goes out as it is. */
async function get(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method: string = 'GET',
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, path, method, headers, agent: false },
      (response) => {
        text(response).then(
          (body) => resolve({ status: response.statusCode!, headers: response.headers, body }),
          reject,
        );
      },
    );
    request.once('error', reject);
    request.end();
  });
}
