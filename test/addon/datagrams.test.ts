// Datagrams: batches between C++ and JavaScript, what is told beside datagrams, and who owns the descriptor.
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';

import {
  AddonError,
  DATAGRAM_ADDRESS_WORDS,
  DATAGRAM_RECEIVE_FAILED,
  DATAGRAM_RECEIVED,
  DATAGRAM_SEND_FAILED,
  DATAGRAM_TRUNCATED,
  DATAGRAMS_PER_BATCH,
  requireAddon,
} from '../../addon/index.js';
import { runScript } from '../support/script.js';
import { until } from '../support/until.js';
import { invalidArgument, openDescriptorCount, systemCallFailed } from './support/loopback.js';
import { type DatagramNews, TinyDatagrams } from './support/tiny-datagrams.js';

const addon = requireAddon();
const LOOPBACK = '127.0.0.1';

test('a burst arrives in batches of at most 64 and is answered with one system call per batch', async () => {
  const { fd, port } = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const server: TinyDatagrams = new TinyDatagrams(fd, (news) =>
    server.stage(server.bytesOf(news), news.address),
  );
  const answers: string[] = [];
  const client: TinyDatagrams = new TinyDatagrams(addon.connectUdp(LOOPBACK, port), (news) => {
    answers.push(String(client.bytesOf(news)));
  });
  const texts = Array.from({ length: 100 }, (_, i) => `number ${i}`);
  for (const text of texts) client.stage(Buffer.from(text));
  client.datagrams.flush();
  await until(() => answers.length === texts.length);
  assert.deepEqual(answers, texts);
  assert.deepEqual(server.batchSizes, [DATAGRAMS_PER_BATCH, texts.length - DATAGRAMS_PER_BATCH]);
  const { received, sent, sendCalls, batches } = server.datagrams.stats();
  assert.deepEqual(
    { received, sent, sendCalls, batches },
    { received: 100, sent: 100, sendCalls: 2, batches: 2 },
  );
  server.datagrams.close();
  client.datagrams.close();
});

test('the words of an address say where a datagram came from, over IPv4 and IPv6', async (t) => {
  for (const host of [LOOPBACK, '::1']) {
    let bound: { fd: number; port: number };
    try {
      bound = addon.bindUdp({ host, port: 0 });
    } catch {
      t.diagnostic('this system has no IPv6');
      continue;
    }
    const seen: Int32Array[] = [];
    const server = new TinyDatagrams(bound.fd, ({ address }) => void seen.push(address));
    const fd = addon.connectUdp(host, bound.port);
    const from = addon.localAddress(fd);
    const client = new TinyDatagrams(fd, () => {});
    client.stage(Buffer.from('x'));
    client.datagrams.flush();
    await until(() => seen.length === 1);
    assert.deepEqual(addon.readAddress(seen[0]!), from);
    server.datagrams.close();
    client.datagrams.close();
  }
});

test('a datagram above the bound, a refusal by the network and one by the kernel are told by number', async () => {
  const { fd, port } = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const seen: DatagramNews[] = [];
  const server = new TinyDatagrams(fd, (news) => void seen.push(news), 100);
  const client = new TinyDatagrams(addon.connectUdp(LOOPBACK, port), (news) => void seen.push(news));
  client.stage(Buffer.alloc(101));
  client.datagrams.flush();
  await until(() => seen.length === 1);
  client.stage(Buffer.alloc(65_508));
  client.datagrams.flush();
  await until(() => seen.length === 2);
  server.datagrams.close();
  client.stage(Buffer.from('anybody?'));
  client.datagrams.flush();
  await until(() => seen.length === 3);
  const { ECONNREFUSED, EMSGSIZE } = constants.errno;
  assert.deepEqual(
    seen.map(({ event, first, second }) => [event, event === DATAGRAM_TRUNCATED ? 0 : first, second]),
    [
      [DATAGRAM_TRUNCATED, 0, 101],
      [DATAGRAM_SEND_FAILED, EMSGSIZE, 1],
      [DATAGRAM_RECEIVE_FAILED, ECONNREFUSED, 1],
    ],
  );
  client.datagrams.close();
});

test('a paused socket takes nothing, still sends, and still tells what went wrong', async () => {
  const { fd, port } = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const events: number[] = [];
  const server = new TinyDatagrams(fd, ({ event }) => void events.push(event));
  server.datagrams.pause();
  const answers: string[] = [];
  const peer = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const second: TinyDatagrams = new TinyDatagrams(
    peer.fd,
    (news) => void answers.push(String(second.bytesOf(news))),
  );
  const client = new TinyDatagrams(addon.connectUdp(LOOPBACK, port), () => {});
  client.stage(Buffer.from('ignored'));
  client.datagrams.flush();
  const toSecond = new TinyDatagrams(addon.connectUdp(LOOPBACK, peer.port), () => {});
  toSecond.stage(Buffer.from('heard'));
  toSecond.datagrams.pause();
  toSecond.datagrams.flush();
  await until(() => answers.length === 1);
  assert.deepEqual(answers, ['heard']);
  server.stage(Buffer.alloc(65_508), addressWords(port));
  server.datagrams.flush();
  await until(() => events.length > 0);
  assert.deepEqual(events, [DATAGRAM_SEND_FAILED]);
  assert.equal(server.datagrams.stats().received, 0);
  for (const tiny of [server, second, client, toSecond]) tiny.datagrams.close();
});

test('what a handler throws is uncaught, and the datagrams behind it are handled and answered', async () => {
  const { stdout, code } = await runScript(
    new URL('support/throwing-datagrams.js', import.meta.url),
    [],
    20_000,
  );
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { handled: 20, uncaught: 10, unhandled: 2, answered: 20 });
});

test('a descriptor that cannot be used stays the caller’s', () => {
  const { fd } = addon.listenTcp({ host: LOOPBACK, port: 0, backlog: 1 });
  const before = openDescriptorCount();
  assert.throws(() => new TinyDatagrams(fd, () => {}), systemCallFailed('EPROTOTYPE', 'getsockopt'));
  const bound = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const first = new TinyDatagrams(bound.fd, () => {});
  assert.throws(() => new TinyDatagrams(bound.fd, () => {}), systemCallFailed('EEXIST', 'uv_poll_init'));
  first.datagrams.close();
  assert.equal(openDescriptorCount(), before);
  addon.closeFd(fd);
});

test('impossible arguments and records are refused, a closed socket is quiet', () => {
  const { fd } = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const tiny = new TinyDatagrams(fd, () => {});
  const { Datagrams } = addon;
  const options = { ...tiny.memory, datagramBytesMax: 100, waitingBytesMax: 100 };
  const nothing = (): void => {};
  assert.throws(
    () => new Datagrams(fd, { ...options, datagramBytesMax: 0 }, nothing),
    invalidArgument('datagramBytesMax'),
  );
  assert.throws(
    () => new Datagrams(fd, { ...options, receiveSlab: new Uint8Array(10) }, nothing),
    invalidArgument('receiveSlab'),
  );
  assert.throws(
    () => new Datagrams(fd, { ...options, records: new Int32Array(10) }, nothing),
    invalidArgument('records'),
  );
  // @ts-expect-error a callback is required
  assert.throws(() => new Datagrams(fd, options), invalidArgument('onBatch'));
  assert.throws(() => addon.connectUdp('localhost', 1), invalidArgument('host'));
  assert.throws(() => addon.connectUdp(LOOPBACK, 0), invalidArgument('port'));
  assert.throws(() => addon.readAddress(new Int32Array(7)), invalidArgument('words'));
  assert.throws(() => addon.readAddress(new Int32Array(6)), invalidArgument('words'));
  tiny.stage(Buffer.from('x'));
  tiny.memory.sends[0] = -1;
  assert.throws(() => tiny.datagrams.flush(), invalidArgument('records'));
  tiny.datagrams.close();
  tiny.datagrams.close();
  tiny.datagrams.flush();
  tiny.datagrams.pause();
  assert.throws(
    () => tiny.datagrams.stats(),
    (error) => error instanceof AddonError && error.code === 'ADDON_CLOSED',
  );
});

test('only datagrams are told as such', async () => {
  const { fd, port } = addon.bindUdp({ host: LOOPBACK, port: 0 });
  const events: number[] = [];
  const server = new TinyDatagrams(fd, ({ event }) => void events.push(event));
  const client = new TinyDatagrams(addon.connectUdp(LOOPBACK, port), () => {});
  client.stage(Buffer.alloc(0));
  client.datagrams.flush();
  await until(() => events.length === 1);
  assert.deepEqual(events, [DATAGRAM_RECEIVED], 'an empty datagram is one');
  server.datagrams.close();
  client.datagrams.close();
});

/** 127.0.0.1 with this port, as the kernel has it. */
function addressWords(port: number): Int32Array {
  const bytes = Buffer.alloc(DATAGRAM_ADDRESS_WORDS * 4);
  bytes.writeUInt16LE(2, 0); // AF_INET
  bytes.writeUInt16BE(port, 2);
  bytes.set([127, 0, 0, 1], 4);
  return new Int32Array(bytes.buffer, bytes.byteOffset, DATAGRAM_ADDRESS_WORDS);
}
