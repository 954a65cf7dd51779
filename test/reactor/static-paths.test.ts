// Paths of requests: which file they mean, and that none means a file outside of the folder.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, readdirSync, readSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { mediaTypeOf } from '../../reactor/static/media-type.js';
import { parseStaticPath } from '../../reactor/static/request-path.js';
import { StaticFolder } from '../../reactor/static/static-folder.js';
import { SeededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('a path is its names, decoded', () => {
  assert.deepEqual(parseStaticPath('/', false), { names: [], isDirectory: true });
  assert.deepEqual(parseStaticPath('/a/b.txt', false), { names: ['a', 'b.txt'], isDirectory: false });
  assert.deepEqual(parseStaticPath('/a%20b/%C3%A4/', false), { names: ['a b', 'ä'], isDirectory: true });
  assert.deepEqual(parseStaticPath('/a..b/...c', true), { names: ['a..b', '...c'], isDirectory: false });
});

test('names that begin with a dot are hidden unless they are wanted, and those that climb always', () => {
  for (const path of ['/.env', '/.git/config', '/a/.b', '/%2eenv']) {
    assert.equal(parseStaticPath(path, false), 'hidden', path);
    assert.equal(typeof parseStaticPath(path, true), 'object', path);
  }
  const climbing = [
    '/..',
    '/../etc/passwd',
    '/a/../../b',
    '/a/..',
    '/%2e%2e/x',
    '/.%2e/x',
    '/%2E./x',
    '/./x',
    '//x',
    '/a//b',
    '/a//',
  ];
  for (const path of climbing) {
    assert.equal(parseStaticPath(path, false), 'hidden', path);
    assert.equal(parseStaticPath(path, true), 'hidden', path);
  }
});

test('what no name may have is malformed', () => {
  const paths = [
    '',
    'a',
    '*',
    '/a%2fb',
    '/..%2fetc',
    '/a%5cb',
    '/a\\b',
    '/%00',
    '/a%00.txt',
    '/%',
    '/%zz',
    '/%C3',
    '/ä',
    '/a b',
    '/a\tb',
    '/%c0%ae%c0%ae/x',
    '/%252e%',
  ];
  for (const path of paths) assert.equal(parseStaticPath(path, true), 'malformed', path);
});

test('what comes out of any path has no name that climbs, hides or separates', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 20_000; round += 1) {
    const path = `/${random.bytes(random.integer(0, 12), Buffer.from('./%2eEfF5cC0aA\\')).toString('latin1')}`;
    const target = parseStaticPath(path, false);
    if (typeof target === 'string') continue;
    for (const name of target.names) assert.match(name, /^[^./\\\0][^/\\\0]*$/, path);
  }
});

test('only regular files below the root are opened, whatever links say', (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  mkdirSync(join(root, 'sub'), { recursive: true });
  mkdirSync(join(folder, 'rooted'));
  writeFileSync(join(folder, 'secret'), 'secret');
  writeFileSync(join(folder, 'rooted', 'secret'), 'secret');
  writeFileSync(join(root, 'sub', 'file'), 'inside');
  symlinkSync('sub/file', join(root, 'link-inside'));
  symlinkSync('../secret', join(root, 'link-outside'));
  symlinkSync('../rooted', join(root, 'folder-outside'));
  symlinkSync('loop', join(root, 'loop'));
  symlinkSync('/dev/null', join(root, 'device'));
  symlinkSync(root, join(folder, 'by-link'));
  const before = readdirSync('/proc/self/fd').length;
  for (const served of [new StaticFolder(root), new StaticFolder(pathToFileURL(join(folder, 'by-link')))]) {
    for (const names of [['sub', 'file'], ['link-inside']]) {
      const found = served.open(names);
      assert(found !== null && found !== 'folder');
      const content = Buffer.alloc(6);
      readSync(found.fd, content);
      closeSync(found.fd);
      assert.equal(content.toString(), 'inside');
      assert.equal(found.sizeBytes, 6);
    }
    assert.equal(served.open([]), 'folder');
    assert.equal(served.open(['sub']), 'folder');
    const absent = ['none', 'link-outside', 'folder-outside', 'loop', 'device', 'x'.repeat(300)];
    for (const name of absent) assert.equal(served.open([name]), null, name);
    assert.equal(served.open(['folder-outside', 'secret']), null);
    assert.equal(served.open(['sub', 'file', 'below']), null);
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('a FIFO below the root neither holds the thread up nor is served', (t) => {
  const folder = temporaryFolder(t);
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  assert.equal(new StaticFolder(folder).open(['fifo']), null);
});

test('what is no folder is refused as a root', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  for (const root of [join(folder, 'file'), join(folder, 'none'), 'a\0b']) {
    assert.throws(() => new StaticFolder(root), { code: 'REACTOR_OPTION_INVALID' });
  }
});

test('a name promises a content type, text with its charset', () => {
  assert.equal(mediaTypeOf('/a/index.html'), 'text/html; charset=utf-8');
  assert.equal(mediaTypeOf('a.JS'), 'text/javascript; charset=utf-8');
  assert.equal(mediaTypeOf('a.png'), 'image/png');
  assert.equal(mediaTypeOf('a.wasm'), 'application/wasm');
  for (const name of ['README', 'a.unheard-of', '.profile', 'a.'])
    assert.equal(mediaTypeOf(name), 'application/octet-stream');
});
