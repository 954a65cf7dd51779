// listenTcp and bindUdp: sockets that Node adopts, and who may share a port.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { requireAddon } from '../../addon/index.js';
import { invalidArgument, openDescriptorCount, systemCallFailed } from './support/loopback.js';

const addon = requireAddon();
const LISTEN = { host: '127.0.0.1', port: 0, backlog: 16 };

test('a net.Server adopts a listening socket of the addon and serves on it', async () => {
  const { fd, port } = addon.listenTcp(LISTEN);
  const server = net.createServer((socket) => socket.end('hello'));
  server.listen({ fd });
  await once(server, 'listening');
  const client = net.connect(port, '127.0.0.1');
  const [chunk] = (await once(client, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'hello');
  await once(client, 'close');
  server.close();
  await once(server, 'close');
});

test('a port is shared by listeners that all set reusePort', () => {
  const first = addon.listenTcp({ ...LISTEN, reusePort: true });
  const second = addon.listenTcp({ ...LISTEN, port: first.port, reusePort: true });
  assert.equal(second.port, first.port);
  assert.notEqual(second.fd, first.fd);
  addon.closeFd(first.fd);
  addon.closeFd(second.fd);
});

test('a listener without reusePort is refused a taken port and leaves no descriptor', () => {
  const first = addon.listenTcp({ ...LISTEN, reusePort: true });
  const before = openDescriptorCount();
  assert.throws(
    () => addon.listenTcp({ ...LISTEN, port: first.port }),
    systemCallFailed('EADDRINUSE', 'bind'),
  );
  assert.equal(openDescriptorCount(), before);
  addon.closeFd(first.fd);
});

test('fast open and defer accept are set on the listener', () => {
  const { fd } = addon.listenTcp({ ...LISTEN, fastOpen: 5, deferAcceptSeconds: 3 });
  assert.equal(addon.getSocketOption(fd, 'fastOpen'), 5);
  assert.equal(addon.getSocketOption(fd, 'deferAcceptSeconds'), 3);
  assert.equal(addon.getSocketOption(fd, 'reusePort'), 0);
  addon.closeFd(fd);
});

test('an IPv6 listener takes IPv4 connections unless ipv6Only is set', async (t) => {
  if (!hasIpv6(t)) return;
  const both = addon.listenTcp({ ...LISTEN, host: '::' });
  const only = addon.listenTcp({ ...LISTEN, host: '::', ipv6Only: true });
  assert.equal(await connects(both.port), true);
  assert.equal(await connects(only.port), false);
  addon.closeFd(both.fd);
  addon.closeFd(only.fd);
});

test('two dgram sockets share a UDP port through reusePort, and each datagram reaches one of them', async () => {
  const first = addon.bindUdp({ host: '127.0.0.1', port: 0, reusePort: true });
  const second = addon.bindUdp({ host: '127.0.0.1', port: first.port, reusePort: true });
  assert.throws(
    () => addon.bindUdp({ host: '127.0.0.1', port: first.port }),
    systemCallFailed('EADDRINUSE', 'bind'),
  );
  const receivers = await Promise.all([first.fd, second.fd].map(adoptUdp));
  // Many senders, since the kernel picks the receiver by the sender's port.
  const senders = Array.from({ length: 20 }, () => dgram.createSocket('udp4'));
  const bodies = await new Promise<string[]>((resolve) => {
    const seen: string[] = [];
    for (const receiver of receivers) {
      receiver.on('message', (body) => {
        seen.push(body.toString());
        if (seen.length === senders.length) resolve(seen);
      });
    }
    for (const [index, sender] of senders.entries()) sender.send(String(index), first.port, '127.0.0.1');
  });
  await Promise.all([...receivers, ...senders].map((socket) => once(socket.close(), 'close')));
  assert.equal(new Set(bodies).size, senders.length);
});

test('impossible options are refused by name', () => {
  assert.throws(() => addon.listenTcp({ ...LISTEN, host: 'localhost' }), invalidArgument('host'));
  assert.throws(() => addon.listenTcp({ ...LISTEN, port: 65536 }), invalidArgument('port'));
  assert.throws(() => addon.listenTcp({ ...LISTEN, backlog: 0 }), invalidArgument('backlog'));
  assert.throws(() => addon.listenTcp({ ...LISTEN, fastOpen: 1.5 }), invalidArgument('fastOpen'));
  assert.throws(() => addon.bindUdp({ host: '127.0.0.1', port: Number.NaN }), invalidArgument('port'));
  // @ts-expect-error a flag is a boolean
  assert.throws(() => addon.listenTcp({ ...LISTEN, reusePort: 1 }), invalidArgument('reusePort'));
  // @ts-expect-error options are required
  assert.throws(() => addon.listenTcp(), invalidArgument('options'));
});

test('a getter on the options that throws is not swallowed', () => {
  const options = {
    ...LISTEN,
    get host(): string {
      throw new RangeError('from the getter');
    },
  };
  assert.throws(() => addon.listenTcp(options), RangeError);
});

test('an address of another computer is refused by the system', () => {
  assert.throws(
    () => addon.listenTcp({ ...LISTEN, host: '192.0.2.1' }),
    systemCallFailed('EADDRNOTAVAIL', 'bind'),
  );
});

async function adoptUdp(fd: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  const listening = once(socket, 'listening'); // before bind, which emits it at once for a descriptor
  socket.bind({ fd });
  await listening;
  return socket;
}

async function connects(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function hasIpv6(t: { skip(message: string): void }): boolean {
  try {
    addon.closeFd(addon.listenTcp({ ...LISTEN, host: '::1' }).fd);
    return true;
  } catch {
    t.skip('this system has no IPv6');
    return false;
  }
}
