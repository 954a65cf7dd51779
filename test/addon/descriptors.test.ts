// dupFd, closeFd, socketInode and closeSocketIf: a number that was reused is never closed by mistake.
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';

import { requireAddon } from '../../addon/index.js';
import {
  connectPair,
  fdOf,
  invalidArgument,
  openDescriptorCount,
  systemCallFailed,
} from './support/loopback.js';

const addon = requireAddon();
const FREE = 19_999;

test('a connection lives on in a duplicate after its first owner destroyed it', async () => {
  await using pair = await connectPair();
  const copy = addon.dupFd(fdOf(pair.server));
  pair.server.destroy();
  await once(pair.server, 'close');
  const adopted = new net.Socket({ fd: copy });
  adopted.end('still here');
  const [chunk] = (await once(pair.client, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'still here');
  adopted.destroy();
});

test('the bytes that wait at a socket are counted without being read', async () => {
  const [near, far] = addon.socketPair();
  try {
    assert.equal(addon.readableBytes(near), 0);
    writeSync(far, 'hello');
    assert.equal(addon.readableBytes(near), 5);
    assert.equal(addon.readableBytes(near), 5);
    assert.throws(() => addon.readableBytes(FREE), systemCallFailed('EBADF', 'ioctl'));
    assert.throws(() => addon.readableBytes(-1), invalidArgument('fd'));
  } finally {
    addon.closeFd(near);
    addon.closeFd(far);
  }
});

test('a duplicate is the same socket under another number, closed on exec', async () => {
  await using pair = await connectPair();
  const fd = fdOf(pair.server);
  const copy = addon.dupFd(fd);
  assert.notEqual(copy, fd);
  assert.equal(addon.socketInode(copy), addon.socketInode(fd));
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${copy}`, 'utf8'))?.[1];
  const closeOnExec = 0o2000000;
  assert.equal(Number.parseInt(flags ?? '0', 8) & closeOnExec, closeOnExec);
  addon.closeFd(copy);
});

test('closeSocketIf closes the socket it was told about', async () => {
  await using pair = await connectPair();
  const before = openDescriptorCount();
  const copy = addon.dupFd(fdOf(pair.server));
  assert.equal(addon.closeSocketIf(copy, addon.socketInode(copy)), true);
  assert.equal(openDescriptorCount(), before);
});

test('closeSocketIf leaves alone another socket, a file and a free number', async () => {
  await using pair = await connectPair();
  const inode = addon.socketInode(fdOf(pair.client));
  const copy = addon.dupFd(fdOf(pair.server));
  const file = openSync('/dev/null', 'r');
  assert.equal(addon.closeSocketIf(copy, inode), false);
  assert.equal(addon.closeSocketIf(file, inode), false);
  assert.equal(addon.closeSocketIf(FREE, inode), false);
  closeSync(file); // throws EBADF had it been closed
  addon.closeFd(copy);
});

test('a free number is told by errno and syscall', () => {
  assert.throws(() => addon.dupFd(FREE), systemCallFailed('EBADF', 'fcntl'));
  assert.throws(() => addon.closeFd(FREE), systemCallFailed('EBADF', 'close'));
  assert.throws(() => addon.socketInode(FREE), systemCallFailed('EBADF', 'fstat'));
});

test('a file is not a socket', () => {
  const file = openSync('/dev/null', 'r');
  assert.throws(() => addon.socketInode(file), systemCallFailed('ENOTSOCK', 'fstat'));
  closeSync(file);
});

test('what cannot be a descriptor is refused before any system call', () => {
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 31]) {
    assert.throws(() => addon.closeFd(wrong), invalidArgument('fd'));
  }
  // @ts-expect-error a number is required
  assert.throws(() => addon.dupFd('3'), invalidArgument('fd'));
  // @ts-expect-error both arguments are required
  assert.throws(() => addon.closeSocketIf(3), invalidArgument('inode'));
});
