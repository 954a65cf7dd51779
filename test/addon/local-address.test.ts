// listenUnix, and localAddress for every kind of socket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { requireAddon } from '../../addon/index.js';
import { connectPair, fdOf, systemCallFailed } from './support/loopback.js';

const addon = requireAddon();
const folder = mkdtempSync(join(tmpdir(), 'reactor-net-unix-'));
after(() => rmSync(folder, { recursive: true }));

test('a net.Server adopts a Unix listener of the addon and serves on it', async () => {
  const path = join(folder, 'served');
  const fd = addon.listenUnix({ path, backlog: 16 });
  assert.deepEqual(addon.localAddress(fd), { path });
  const server = net.createServer((socket) => socket.end('hello'));
  server.listen({ fd });
  await once(server, 'listening');
  const client = net.connect(path);
  const [chunk] = (await once(client, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'hello');
  await once(client, 'close');
  server.close();
  await once(server, 'close');
});

test('a path that exists is refused', () => {
  const path = join(folder, 'taken');
  const fd = addon.listenUnix({ path, backlog: 16 });
  assert.throws(() => addon.listenUnix({ path, backlog: 16 }), systemCallFailed('EADDRINUSE', 'bind'));
  addon.closeFd(fd);
});

test('an abstract name reads back with its leading NUL', () => {
  const path = `\0reactor-net-test-${process.pid}`;
  const fd = addon.listenUnix({ path, backlog: 16 });
  assert.deepEqual(addon.localAddress(fd), { path });
  addon.closeFd(fd);
});

test('a path too long for a Unix address is refused, whatever its characters', () => {
  for (const path of ['', 'x'.repeat(108), 'é'.repeat(54)]) {
    assert.throws(() => addon.listenUnix({ path, backlog: 16 }), /path must have 1 to 107 bytes/);
  }
});

test('TCP and UDP sockets tell host and port', () => {
  const tcp = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 16 });
  const udp = addon.bindUdp({ host: '127.0.0.1', port: 0 });
  for (const { fd, port } of [tcp, udp]) {
    assert.deepEqual(addon.localAddress(fd), { host: '127.0.0.1', port });
    addon.closeFd(fd);
  }
});

test('a file and a free number have no address', () => {
  const file = openSync('/dev/null', 'r');
  assert.throws(() => addon.localAddress(file), systemCallFailed('ENOTSOCK', 'getsockname'));
  closeSync(file);
  assert.throws(() => addon.localAddress(19_999), systemCallFailed('EBADF', 'getsockname'));
});

test('the remote address of one end is the local address of the other', async () => {
  await using pair = await connectPair();
  assert.deepEqual(addon.remoteAddress(fdOf(pair.client)), addon.localAddress(fdOf(pair.server)));
  const { fd } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 1 });
  assert.throws(() => addon.remoteAddress(fd), systemCallFailed('ENOTCONN', 'getpeername'));
  addon.closeFd(fd);
});
