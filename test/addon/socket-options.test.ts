// setSocketOption, getSocketOption and tcpInfo on real loopback connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { requireAddon, type SocketOptionName } from '../../addon/index.js';
import { connectPair, fdOf, invalidArgument, systemCallFailed } from './support/loopback.js';

const addon = requireAddon();
const FREE = 19_999;

const EXACT: readonly (readonly [SocketOptionName, number])[] = [
  ['noDelay', 1],
  ['keepAlive', 1],
  ['keepAliveIdleSeconds', 40],
  ['keepAliveIntervalSeconds', 7],
  ['keepAliveCount', 3],
  ['userTimeoutMs', 12_000],
  ['quickAck', 1],
  ['cork', 1],
  ['cork', 0],
  ['notSentLowWaterBytes', 16_384],
  ['lingerSeconds', 0],
  ['lingerSeconds', -1],
];

test('TCP options read back as they were set', async () => {
  await using pair = await connectPair();
  const fd = fdOf(pair.client);
  for (const [name, value] of EXACT) {
    addon.setSocketOption(fd, name, value);
    assert.equal(addon.getSocketOption(fd, name), value, name);
  }
});

test('the kernel doubles buffer sizes', async () => {
  await using pair = await connectPair();
  const fd = fdOf(pair.client);
  for (const name of ['receiveBufferBytes', 'sendBufferBytes'] as const) {
    addon.setSocketOption(fd, name, 32_768);
    assert.equal(addon.getSocketOption(fd, name), 65_536);
  }
});

test('lingerSeconds 0 turns close into a reset', async () => {
  await using pair = await connectPair();
  addon.setSocketOption(fdOf(pair.server), 'lingerSeconds', 0);
  const failed = once(pair.client, 'error') as Promise<[NodeJS.ErrnoException]>;
  pair.server.destroy();
  const [error] = await failed;
  assert.equal(error.code, 'ECONNRESET');
});

test('tcpInfo counts what a connection carried', async () => {
  await using pair = await connectPair();
  const body = Buffer.alloc(10_000, 1);
  let received = 0;
  pair.server.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received === body.length) pair.server.end('bye');
  });
  pair.client.write(body);
  const [reply] = (await once(pair.client, 'data')) as [Buffer];
  assert.equal(reply.toString(), 'bye');
  const info = addon.tcpInfo(fdOf(pair.client));
  assert.equal(info.bytesSent, body.length);
  assert.equal(info.bytesAcked, body.length + 1); // the SYN counts as one
  assert(info.bytesReceived >= 3);
  assert(info.rttUs > 0 && info.sendMss > 0 && info.congestionWindow > 0);
  assert.equal(info.totalRetransmits, 0);
});

test('tcpInfo follows the state of a connection', async () => {
  await using pair = await connectPair();
  const fd = addon.dupFd(fdOf(pair.client));
  assert.equal(addon.tcpInfo(fd).state, 'established');
  pair.server.end();
  pair.client.resume();
  pair.client.allowHalfOpen = true;
  await once(pair.client, 'end');
  assert.equal(addon.tcpInfo(fd).state, 'close-wait');
  addon.closeFd(fd);
});

test('an unknown option is refused with the list of known ones', () => {
  // @ts-expect-error the name is not in the list
  assert.throws(() => addon.setSocketOption(0, 'nodelay', 1), /name must be one of noDelay, keepAlive/);
  // @ts-expect-error the name is not in the list
  assert.throws(() => addon.getSocketOption(0, '__proto__'), invalidArgument('name'));
});

test('what the system refuses carries errno and syscall', async () => {
  await using pair = await connectPair();
  assert.throws(
    () => addon.setSocketOption(fdOf(pair.client), 'keepAliveCount', 100_000),
    systemCallFailed('EINVAL', 'setsockopt'),
  );
  assert.throws(() => addon.setSocketOption(FREE, 'noDelay', 1), systemCallFailed('EBADF', 'setsockopt'));
  assert.throws(() => addon.getSocketOption(FREE, 'lingerSeconds'), systemCallFailed('EBADF', 'getsockopt'));
  assert.throws(() => addon.tcpInfo(FREE), systemCallFailed('EBADF', 'getsockopt'));
});

test('tcpInfo refuses a socket that is not TCP', () => {
  const { fd } = addon.bindUdp({ host: '127.0.0.1', port: 0 });
  assert.throws(() => addon.tcpInfo(fd), systemCallFailed('ENOTSUP', 'getsockopt'));
  addon.closeFd(fd);
});
