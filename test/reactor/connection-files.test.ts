// sendFile over real sockets: in order with all other output, whole or not at all, and nothing left behind.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Connection } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { SeededRandom } from '../support/seeded-random.js';
import { serve, type ServeOptions, type WatchedServer } from '../support/tcp-pair.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { until } from '../support/until.js';

const KIB = 1024;
const MIB = 1024 * KIB;

forEachTransport((transport) => {
  test(`${transport}: files of any size, in any order with bytes, arrive as if they had been bytes`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    t.diagnostic(`seed ${seed}`);
    const random = new SeededRandom(seed);
    const folder = temporaryFolder(t);
    const { connection, client } = await connected(t, transport);
    const expected: Buffer[] = [];
    const sent: Promise<number>[] = [];
    const wanted: number[] = [];
    for (let step = 0; step < 60; step += 1) {
      if (random.chance(0.5)) {
        const bytes = Buffer.alloc(random.integer(0, 20 * KIB), step);
        expected.push(bytes);
        connection.write(bytes);
        continue;
      }
      const content = patterned(random.integer(0, 300 * KIB), step);
      const path = join(folder, String(step));
      writeFileSync(path, content);
      const start = random.integer(0, content.length);
      const end = random.integer(start, content.length);
      expected.push(content.subarray(start, end));
      sent.push(connection.sendFile(step % 3 === 0 ? pathToFileURL(path) : path, { start, end }));
      wanted.push(end - start);
    }
    connection.end();
    assert.deepEqual(await Promise.all(sent), wanted);
    assert((await client.receiveUntilEnd()).equals(Buffer.concat(expected)));
    assert.equal(connection.stats.bytesWritten, client.receivedBytes);
  });

  test(`${transport}: end() delivers the file first, also to a reader slower than the drain timeout`, async (t) => {
    const path = fileOf(t, patterned(32 * MIB, 3));
    const { connection, client, watched } = await connected(t, transport, { drainTimeoutMs: 1000 });
    const sent = connection.sendFile(path);
    connection.end();
    assert.equal(connection.write('too late'), 'closed');
    const startedMs = performance.now();
    for (let bytes = 2 * MIB; bytes <= 32 * MIB; bytes += 2 * MIB) {
      client.socket.resume();
      await client.receive(bytes);
      client.socket.pause();
      await delay(100); // the reader is slow; nothing is waited for
    }
    assert.equal(await sent, 32 * MIB);
    assert(performance.now() - startedMs > 1000);
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 32 * MIB);
    assert.deepEqual(await watched.closed(), ['ended']);
  });

  test(`${transport}: the bytes of a waiting file are not waiting output, and what follows it is`, async (t) => {
    const path = fileOf(t, patterned(20 * MIB, 4));
    const { connection, client } = await connected(t, transport);
    client.socket.pause();
    const sent = connection.sendFile(path);
    assert.equal(connection.outputBytes, 0);
    assert.equal(connection.write(Buffer.alloc(1000)), 'sent');
    connection.flush();
    assert.equal(connection.outputBytes, 1000);
    assert.equal(connection.write(Buffer.alloc(64 * KIB)), 'full');
    client.socket.resume();
    assert.equal(await sent, 20 * MIB);
    await client.receive(20 * MIB + 1000 + 64 * KIB);
    assert.equal(connection.outputBytes, 0);
  });

  test(`${transport}: what cannot be sent is refused in a code before anything is sent`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'ten');
    writeFileSync(path, '0123456789');
    mkdirSync(join(folder, 'folder'));
    const { connection, client } = await connected(t, transport);
    const before = descriptorCount();
    for (const source of [join(folder, 'none'), join(folder, 'folder'), '/dev/null', 'a\0b', 1_000_000]) {
      await assert.rejects(connection.sendFile(source), { code: 'REACTOR_FILE_UNAVAILABLE' }, String(source));
    }
    const ranges = [
      { start: 11 },
      { start: -1 },
      { start: 3, end: 2 },
      { end: 11 },
      { start: 0.5 },
      { end: NaN },
    ];
    for (const range of ranges) {
      await assert.rejects(connection.sendFile(path, range), { code: 'REACTOR_FILE_RANGE_INVALID' });
    }
    const nothing = connection.sendFile(path, null as unknown as undefined);
    await assert.rejects(nothing, { code: 'REACTOR_FILE_RANGE_INVALID' });
    assert.equal(await connection.sendFile(path, { start: 10 }), 0);
    assert.equal(await connection.sendFile(path, { start: 2, end: 5 }), 3);
    assert.equal((await client.receive(3)).toString(), '234');
    connection.end();
    await assert.rejects(connection.sendFile(path), { code: 'REACTOR_CONNECTION_CLOSED' });
    await client.receiveUntilEnd();
    assert.equal(descriptorCount(), before);
  });

  test(`${transport}: a descriptor stays the caller's, and may be sent to many at a time`, async (t) => {
    const content = patterned(3 * MIB, 5);
    const fd = openSync(fileOf(t, content), 'r');
    t.after(() => closeSync(fd));
    const watched = await serve(t, transport, { onConnect: (connection) => connection.sendFile(fd) });
    const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(t, watched.port)));
    for (const client of clients) assert((await client.receive(content.length)).equals(content));
  });

  test(`${transport}: a part of a file behind 4 GiB arrives`, async (t) => {
    const path = fileOf(t, Buffer.alloc(0));
    truncateSync(path, 5 * 1024 * MIB); // sparse: it takes no room
    appendFileSync(path, 'the end');
    const { connection, client } = await connected(t, transport);
    assert.equal(await connection.sendFile(path, { start: 5 * 1024 * MIB - 3 }), 10);
    assert.equal((await client.receive(10)).toString(), '\0\0\0the end');
  });

  test(`${transport}: a closing server delivers files until its deadline, and resets what is left`, async (t) => {
    const path = fileOf(t, patterned(20 * MIB, 11));
    const { connection, client, watched } = await connected(t, transport);
    const stuck = await RawClient.connect(t, watched.port);
    stuck.socket.pause();
    const sent = connection.sendFile(path);
    const lost = (await watched.connection(1)).sendFile(path);
    const closing = watched.server.close({ drainTimeoutMs: 500 });
    await assert.rejects(lost, { code: 'REACTOR_CONNECTION_CLOSED' });
    assert.equal(await sent, 20 * MIB);
    assert.equal((await client.receiveUntilEnd()).length, 20 * MIB);
    client.end();
    assert.equal((await closing).drained, false);
    assert.deepEqual(watched.reasons, ['shutdown', 'shutdown']);
  });

  test(`${transport}: more files than may wait are refused, those that wait are sent`, async (t) => {
    const path = fileOf(t, patterned(MIB, 6));
    const { connection, client } = await connected(t, transport);
    client.socket.pause();
    const first = connection.sendFile(fileOf(t, patterned(20 * MIB, 6)));
    const waiting = Array.from({ length: 63 }, () => connection.sendFile(path, { end: 10 }));
    await assert.rejects(connection.sendFile(path), { code: 'REACTOR_QUEUE_FULL' });
    client.socket.resume();
    assert.equal(await first, 20 * MIB);
    assert.deepEqual(
      await Promise.all(waiting),
      Array.from({ length: 63 }, () => 10),
    );
    assert.equal(await connection.sendFile(path, { end: 1 }), 1);
  });

  test(`${transport}: a file that becomes shorter resets the connection and says why`, async (t) => {
    const path = fileOf(t, patterned(20 * MIB, 7));
    const { connection, client, watched } = await connected(t, transport);
    client.socket.pause();
    const sent = connection.sendFile(path);
    const next = connection.sendFile(path, { end: 5 });
    truncateSync(path, MIB);
    client.socket.resume();
    await assert.rejects(sent, { code: 'REACTOR_FILE_FAILED' });
    await assert.rejects(next, { code: 'REACTOR_CONNECTION_CLOSED' });
    assert.deepEqual(await watched.closed(), ['file-failed']);
    assert.deepEqual(watched.codes, ['REACTOR_FILE_FAILED']);
    await until(() => client.errorCode === 'ECONNRESET');
  });

  test(`${transport}: a reader that takes nothing of a file is given up after the write timeout`, async (t) => {
    const path = fileOf(t, patterned(20 * MIB, 8));
    const { connection, client, watched } = await connected(t, transport, { writeTimeoutMs: 150 });
    client.socket.pause();
    await assert.rejects(connection.sendFile(path), { code: 'REACTOR_CONNECTION_CLOSED' });
    assert.deepEqual(await watched.closed(), ['write-timeout']);
  });

  test(`${transport}: 100 transfers broken off leave no descriptor and no memory`, async (t) => {
    const path = fileOf(t, patterned(8 * MIB, 9));
    const failures: Promise<unknown>[] = [];
    const watched = await serve(t, transport, {
      onConnect: (connection) => {
        const sent = connection.sendFile(path);
        failures.push(assert.rejects(sent, { code: 'REACTOR_CONNECTION_CLOSED' }));
      },
    });
    const before = descriptorCount();
    for (let round = 0; round < 10; round += 1) {
      const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.connect(t, watched.port)));
      await Promise.all(clients.map((client) => client.receive(1)));
      for (const [index, client] of clients.entries()) {
        client.socket.pause();
        if (index % 3 === 0) client.reset();
        else if (index % 3 === 1) client.socket.destroy();
        else watched.opened[watched.opened.length - 1 - index]!.destroy();
      }
      for (const connection of watched.server.reactor.loop.connections) connection.destroy();
      await watched.closed((round + 1) * 10);
      for (const client of clients) client.socket.destroy();
    }
    await Promise.all(failures);
    assert.equal(failures.length, 100);
    await until(() => descriptorCount() <= before);
    assert.equal(watched.server.reactor.loop.pool.stats().lentBytes, 0);
  });

  test(`${transport}: a promise nobody looks at does not end the thread when the connection goes`, async (t) => {
    const path = fileOf(t, patterned(8 * MIB, 10));
    const { connection, client, watched } = await connected(t, transport);
    void connection.sendFile(path);
    await client.receive(1);
    client.reset();
    await watched.closed();
  });
});

test('net: a connection ends when there is no memory for the next piece, and says so', async (t) => {
  const path = fileOf(t, patterned(MIB, 12));
  const { connection, watched } = await connected(t, 'net', { poolBytesMax: 16 * KIB });
  connection.write('fits');
  await assert.rejects(connection.sendFile(path), { code: 'REACTOR_POOL_EXHAUSTED' });
  assert.deepEqual(await watched.closed(), ['pool-exhausted']);
});

interface Connected {
  readonly watched: WatchedServer;
  readonly connection: Connection;
  readonly client: RawClient;
}

async function connected(
  t: TestContext,
  transport: TransportName,
  options: ServeOptions = {},
): Promise<Connected> {
  const watched = await serve(t, transport, {}, options);
  const client = await RawClient.connect(t, watched.port);
  return { watched, client, connection: await watched.connection() };
}

function fileOf(t: TestContext, content: Buffer): string {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, content);
  return path;
}

/** Bytes that tell their place, and one file from another. */
function patterned(bytes: number, seed: number): Buffer {
  const content = Buffer.allocUnsafe(bytes);
  for (let index = 0; index < bytes; index += 1) content[index] = (index * 31 + (index >> 9) + seed) & 0xff;
  return content;
}

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}
