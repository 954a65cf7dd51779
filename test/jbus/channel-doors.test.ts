// How two processes that share a key find each other, and who is sent away: strangers, other users, the wrong channel.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';

import { loadAddon } from '../../addon/index.js';
import {
  attachChannel,
  type Channel,
  channelHash,
  createChannel,
  type JbusErrorCode,
  pairKey,
  peerArguments,
  ShmRing,
  ShmSegment,
} from '../../addon/jbus/index.js';
import { doorbellName } from '../../addon/jbus/doorbells.js';
import { socketPath } from '../../addon/jbus/socket-place.js';
import { encodeGreeting } from '../../addon/jbus/socket-wire.js';
import { BACKINGS } from '../support/backings.js';
import { until } from '../support/until.js';
import { ECHO_PEER } from './support/echo.js';
import { jbusError } from './support/rings.js';

const SMALL = { capacityOut: 4096, capacityIn: 4096 };
const shared = BACKINGS.filter((name) => name !== 'memory');
const hasAddon = loadAddon() !== null;

let keys = 0;
/** A key that no other test uses: processes differ in their namespace. */
function freshKey(): number {
  keys += 1;
  return pairKey(keys, keys + 1, process.pid % 8_000_000);
}

async function openOwner(t: TestContext, options: Parameters<typeof createChannel>[0]): Promise<Channel> {
  const { channel } = await createChannel({ ...SMALL, ...options });
  t.after(() => channel.close());
  return channel;
}

/** The right peer comes and is heard. */
async function expectTalk(
  t: TestContext,
  owner: Channel,
  backing: (typeof shared)[number],
  key: number,
): Promise<void> {
  const peer = await attachChannel({ backing, key }, { name: owner.name });
  t.after(() => peer.close());
  await owner.join({ timeoutMs: 5000 });
  await peer.writeAsync(Buffer.from('it is me'));
  assert.equal((await owner.readAsync({ timeoutMs: 5000 })).data.toString(), 'it is me');
}

/** Connects to the door and leaves again, having said `words`. */
async function visit(backing: (typeof shared)[number], key: number, words: Uint8Array): Promise<void> {
  const path = backing === 'socket' ? socketPath(key) : doorbellName(key);
  const stream = new Socket({ fd: loadAddon()!.connectUnix(path) });
  stream.on('error', () => {});
  stream.resume();
  stream.end(words);
  await once(stream, 'close');
}

for (const backing of shared) {
  test(`${backing}: strangers come and go, and the right peer still finds its owner`, async (t) => {
    const key = freshKey();
    const owner = await openOwner(t, { backing, key });
    const downs: string[] = [];
    owner.onPeerDown(({ code }) => downs.push(code));
    await visit(backing, key, Buffer.from(''));
    await visit(backing, key, Buffer.alloc(200, 7));
    await expectTalk(t, owner, backing, key);
    assert.deepEqual(downs, []);
  });

  test(`${backing}: a peer of another channel is refused, and does not disturb this one`, async (t) => {
    const key = freshKey();
    const owner = await openOwner(t, { backing, key, name: 'frames' });
    await assert.rejects(
      attachChannel({ backing, key }, { name: 'status' }),
      jbusError('JBUS_OTHER_CHANNEL'),
    );
    await expectTalk(t, owner, backing, key);
  });

  test(`${backing}: once the peer is here, neither a second peer nor a second owner gets in`, async (t) => {
    const key = freshKey();
    const owner = await openOwner(t, { backing, key });
    if (backing !== 'socket') {
      await assert.rejects(createChannel({ ...SMALL, backing, key }), jbusError('JBUS_KEY_IN_USE'));
    }
    await expectTalk(t, owner, backing, key);
    await assert.rejects(attachChannel({ backing, key }), jbusError('JBUS_NO_SEGMENT'));
    assert.equal(owner.ended, undefined);
  });

  test(`${backing}: nobody there is said in a code`, async () => {
    await assert.rejects(attachChannel({ backing, key: freshKey() }), jbusError('JBUS_NO_SEGMENT'));
  });
}

test('another user who comes to the door is sent away', {
  skip: process.geteuid?.() !== 0 || !hasAddon,
}, async (t) => {
  const key = freshKey();
  const owner = await openOwner(t, { backing: 'memfd', key });
  const program = `import socket
s = socket.socket(socket.AF_UNIX)
s.connect('${doorbellName(key).replace('\0', '\\0')}')
print(s.recv(100))`;
  const visitor = spawn('python3', ['-c', program], { uid: 65_534, stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(await text(visitor.stdout), "b''\n"); // not a byte, least of all the memory
  await expectTalk(t, owner, 'memfd', key);
});

test('an owner that died without a word leaves a socket file that the next owner replaces', async (t) => {
  const key = freshKey();
  const place = socketPath(key);
  execFileSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind('${place}')`]);
  const owner = await openOwner(t, { backing: 'socket', key });
  await expectTalk(t, owner, 'socket', key);
});

test('two owners of one socket place: the second is refused', async (t) => {
  const key = freshKey();
  const owner = await openOwner(t, { backing: 'socket', key });
  await assert.rejects(createChannel({ ...SMALL, backing: 'socket', key }), jbusError('JBUS_KEY_IN_USE'));
  await expectTalk(t, owner, 'socket', key);
});

test('a peer in another IPC namespace is told that there is no segment', {
  skip: !canUnshare(),
}, async (t) => {
  const { channel, address } = await createChannel({ ...SMALL, backing: 'sysv' });
  t.after(() => channel.close());
  const [near, far] = loadAddon()!.socketPair();
  t.after(() => loadAddon()!.closeFd(near));
  const args = ['--ipc', process.execPath, ECHO_PEER, ...peerArguments(address, 3)];
  const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe', far] });
  loadAddon()!.closeFd(far);
  assert.match(await text(child.stderr!), /JBUS_NO_SEGMENT/);
});

const WRONG_STREAMS: readonly (readonly [string, Buffer, JbusErrorCode])[] = [
  ['nothing', Buffer.alloc(0), 'JBUS_NO_SEGMENT'],
  ['noise', Buffer.alloc(64, 9), 'JBUS_NOT_OURS'],
];

for (const backing of ['memfd', 'socket'] as const) {
  for (const [what, bytes, code] of WRONG_STREAMS) {
    test(`${backing}: an inherited stream that says ${what} is refused`, { skip: !hasAddon }, async () => {
      const [near, far] = loadAddon()!.socketPair();
      const other = new Socket({ fd: near });
      other.on('error', () => {});
      other.end(bytes);
      await assert.rejects(attachChannel({ backing, doorbellFd: far }), jbusError(code));
      other.destroy();
    });
  }
}

test('socket: a peer that greets with impossible sizes is refused', { skip: !hasAddon }, async () => {
  const [near, far] = loadAddon()!.socketPair();
  const other = new Socket({ fd: near });
  const sizes = { capacityOut: 1, capacityIn: 2 ** 40 };
  other.write(encodeGreeting({ pid: 1, epoch: 1, channelHash: channelHash(''), ...sizes }));
  await assert.rejects(attachChannel({ backing: 'socket', doorbellFd: far }), jbusError('JBUS_BAD_LAYOUT'));
  other.destroy();
});

test('a header that is broken while both sides are open ends the channel for both', {
  skip: !hasAddon,
}, async (t) => {
  const { channel, address } = await createChannel({ ...SMALL, backing: 'sysv', heartbeatMs: 20 });
  t.after(() => channel.close());
  const peer = await attachChannel(address, { heartbeatMs: 20 });
  t.after(() => peer.close());
  await channel.join();
  assert('sendId' in address);
  const segment = ShmSegment.attach(address.receiveId);
  t.after(() => segment.close());
  new BigUint64Array(segment.buffer, 0x080, 1)[0] = 12_345n; // a tail that is no multiple of 8
  await assert.rejects(peer.readAsync({ timeoutMs: 5000 }), jbusError('JBUS_POISONED'));
  await until(() => channel.ended !== undefined);
  assert.equal(channel.ended?.code, 'JBUS_POISONED');
});

function canUnshare(): boolean {
  return hasAddon && spawnSync('unshare', ['--ipc', 'true']).status === 0;
}

for (const backing of shared) {
  test(`${backing}: a channel that cannot be made or joined leaves no descriptor open`, {
    skip: !hasAddon,
  }, async () => {
    const [near, far] = loadAddon()!.socketPair();
    const other = new Socket({ fd: far });
    const ended = new Promise((resolve) => other.on('close', resolve));
    other.on('error', () => {});
    other.resume();
    await assert.rejects(
      createChannel({ backing, doorbellFd: near, capacityOut: 5000 }),
      jbusError('JBUS_INVALID_ARGUMENT'),
    );
    await ended;
    for (const options of [{ spinMicros: -1 }, { name: 'nobody has made it' }]) {
      const [theirs, ours] = loadAddon()!.socketPair();
      const address =
        backing === 'sysv' ? { backing, sendId: 2 ** 30, receiveId: 2 ** 30, epoch: 1 } : { backing };
      const witness = new Socket({ fd: theirs });
      const gone = new Promise((resolve) => witness.on('close', resolve));
      witness.on('error', () => {});
      witness.resume();
      witness.write(Buffer.alloc(64, 1));
      await assert.rejects(attachChannel({ ...address, doorbellFd: ours }, options));
      await gone;
    }
  });
}

test('a peer that cannot have its side has not come', { skip: !hasAddon }, async (t) => {
  const { channel, address } = await createChannel({ ...SMALL, backing: 'sysv' });
  t.after(() => channel.close());
  assert('sendId' in address);
  const ring = ShmRing.attach(address.sendId, { ready: false });
  const taken = ring.writer();
  await assert.rejects(attachChannel(address), jbusError('JBUS_SIDE_TAKEN'));
  await assert.rejects(channel.join({ timeoutMs: 20 }), jbusError('JBUS_TIMEOUT'));
  taken.close();
  ring.close();
  const peer = await attachChannel(address);
  t.after(() => peer.close());
  await channel.join({ timeoutMs: 5000 });
});
