// The ways in which a connection ends: by end, destroy, reset, by the peer, by the server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, type Handlers, TcpServer } from '../../reactor/index.js';
import { MemoryHost } from '../support/memory-connection.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

forEachTransport((transport) => {
  test(`${transport}: end delivers megabytes to a slow reader, then FIN, then the connection is gone`, async (t) => {
    const watched = await serve(t, transport, {
      onConnect: (connection) => {
        for (let count = 0; count < 6; count += 1) connection.send(1, Buffer.alloc(MIB, count));
        connection.end();
        assert.equal(connection.state, 'draining');
        assert.equal(connection.send(1, 'too late'), 'closed');
        assert.equal(connection.write('too late'), 'closed');
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    const connection = await watched.connection();
    await until(() => connection.outputBytes > 0 && connection.outputBytes < 6 * MIB);
    client.socket.resume();
    const expected = Array.from({ length: 6 }, (_, count) => tlvFrame(1, Buffer.alloc(MIB, count)));
    assert.deepEqual(await client.receiveUntilEnd(), Buffer.concat(expected));
    assert.equal(connection.state, 'draining', "the peer's FIN is still to come");
    client.end();
    assert.deepEqual(await watched.closed(), ['ended']);
    assert.equal(connection.state, 'closed');
    assert.deepEqual(watched.codes, []);
  });

  test(`${transport}: a peer that goes on writing after end is drained of it and sees FIN, not a reset`, async (t) => {
    const watched = await serve(t, transport, { onFrame: (connection) => connection.end() });
    const client = await RawClient.connect(t, watched.port);
    client.send(1, 'the end');
    client.write(Buffer.alloc(4 * MIB));
    await client.receiveUntilEnd();
    client.write(Buffer.alloc(4 * MIB));
    client.end();
    await client.closed();
    assert.equal(client.errorCode, null);
    assert.deepEqual(await watched.closed(), ['ended']);
    assert.equal(watched.opened[0]?.stats.framesReceived, 1);
  });

  test(`${transport}: a peer that writes first and reads later gets everything after end, though reading was paused`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: (connection) => {
        connection.pause();
        for (let count = 0; count < 6; count += 1) connection.send(1, Buffer.alloc(MIB));
        connection.end();
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.send(1);
    const written = new Promise((resolve) => client.socket.write(Buffer.alloc(16 * MIB), resolve));
    await written; // more than two kernels hold: the server has to take it, though nobody wants it any more
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 6 * (8 + MIB));
    client.end();
    assert.deepEqual(await watched.closed(), ['ended']);
  });

  test(`${transport}: destroy loses what the kernel has not taken and ends at once`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: (connection) => {
        connection.send(1, 'never seen');
        connection.destroy();
        assert.equal(connection.state, 'closed');
        assert.equal(connection.send(1, 'too late'), 'closed');
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.send(1);
    await client.closed();
    assert.equal(client.receivedBytes, 0);
    assert.deepEqual(await watched.closed(), ['destroyed']);
  });

  test(`${transport}: reset reaches the peer as ECONNRESET`, async (t) => {
    const watched = await serve(t, transport, { onFrame: (connection) => connection.reset() });
    const client = await RawClient.connect(t, watched.port);
    client.send(1);
    await client.closed();
    assert.equal(client.errorCode, 'ECONNRESET');
    assert.deepEqual(await watched.closed(), ['reset']);
  });

  test(`${transport}: a peer that vanishes by reset ends its connection with a code, and nothing waits for it`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: (connection) => {
        for (let count = 0; count < 6; count += 1) connection.send(1, Buffer.alloc(MIB));
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.send(1);
    const connection = await watched.connection();
    await until(() => connection.outputBytes > 0);
    client.reset();
    assert.deepEqual(await watched.closed(), ['peer-reset']);
    assert.deepEqual(watched.codes, ['REACTOR_CONNECTION_CLOSED']);
    assert.equal(connection.outputBytes, 0);
  });

  test(`${transport}: output that a vanished peer never took is not reported as ended`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: (connection) => {
        for (let count = 0; count < 6; count += 1) connection.send(1, Buffer.alloc(MIB));
        connection.end();
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.send(1);
    const connection = await watched.connection();
    await until(() => connection.state === 'draining' && connection.outputBytes > 0);
    client.reset();
    assert.deepEqual(await watched.closed(), ['peer-reset']);
  });

  test(`${transport}: a write to a peer that is gone is not counted as written`, async (t) => {
    const watched = await serve(t, transport, {});
    const client = await RawClient.connect(t, watched.port);
    const connection = await watched.connection();
    connection.pause(); // so that the reset is met by the write and not by a read
    client.reset();
    await client.closed();
    assert.equal(connection.send(1, 'into the void'), 'sent');
    connection.end();
    assert.deepEqual(await watched.closed(), ['peer-reset']);
    assert.deepEqual(watched.codes, ['REACTOR_CONNECTION_CLOSED']);
    assert.equal(connection.stats.bytesWritten, 0);
  });

  test(`${transport}: an id is never used again although its slot is`, async (t) => {
    const watched = await serve(t, transport, {});
    const { loop } = watched.server.reactor;
    const ids = new Set<number>();
    for (let round = 0; round < 20; round += 1) {
      const client = await RawClient.connect(t, watched.port);
      const { id } = await watched.connection(round);
      assert.equal(loop.connections.get(id), watched.opened[round]);
      ids.add(id);
      client.end();
      await client.closed();
      await watched.closed(round + 1);
      for (const old of ids) assert.equal(loop.connections.get(old), undefined);
    }
    assert.equal(ids.size, 20);
    assert.deepEqual([...new Set([...ids].map((id) => id % 2 ** 24))], [0], 'one slot served them all');
  });

  test(`${transport}: a server that closes waits for handlers at work and delivers their answers`, async (t) => {
    const finish: (() => void)[] = [];
    const answer = async (connection: Connection): Promise<void> => {
      await new Promise<void>((resolve) => finish.push(resolve));
      connection.send(1, 'answer');
    };
    const reasons: string[] = [];
    const handlers: Handlers = { onFrame: answer, onClose: (_, reason) => reasons.push(reason) };
    const server = new TcpServer({ host: '127.0.0.1', threads: 0, transport, handlers });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const { port } = await server.listen();
    assert(port !== undefined);
    const client = await RawClient.connect(t, port);
    client.send(1);
    await until(() => finish.length === 1);
    const closed = server.close({ drainTimeoutMs: 20_000 });
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([client.hasEnded, reasons], [false, []]);
    finish[0]?.();
    assert.deepEqual(await client.receiveUntilEnd(), tlvFrame(1, 'answer'));
    client.end();
    assert.deepEqual(await closed, { drained: true });
    assert.deepEqual(reasons, ['shutdown']);
  });

  test(`${transport}: a connection that has ended already does not hold a closing server up`, async (t) => {
    const server = new TcpServer({
      host: '127.0.0.1',
      threads: 0,
      transport,
      handlers: { onFrame: (connection: Connection) => connection.end() },
    });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const { port } = await server.listen();
    assert(port !== undefined);
    const client = await RawClient.connect(t, port);
    client.send(1);
    await client.receiveUntilEnd();
    const closed = server.close({ drainTimeoutMs: 60_000 });
    await new Promise((resolve) => setImmediate(resolve));
    client.end();
    assert.deepEqual(await closed, { drained: true }); // long before the deadline, or the test times out
  });
});

test('onDrain is not called any more once the connection has ended', async (t) => {
  let drained = 0;
  const host = new MemoryHost(t, { onDrain: () => (drained += 1) });
  const connection = host.connect(0);
  assert.equal(connection.write(Buffer.alloc(100_000)), 'full');
  connection.destroy();
  await Promise.resolve();
  connection.cork(() => connection.send(1, 'late'));
  connection.flush();
  assert.equal(drained, 0);
});

test('a pause does not keep an ending connection from seeing the FIN it waits for', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  connection.end();
  assert.deepEqual([connection.hasSentFin, connection.isReading], [true, true]);
  connection.pause();
  assert.equal(connection.isReading, true);
  connection.drain();
  assert.equal(connection.isReading, true);
});

test('a connection that ends gives the memory of an unfinished frame back at once', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  connection.feedBytes(tlvFrame(1, Buffer.alloc(100_000)).subarray(0, 50_000));
  assert(host.loop.pool.stats().lentBytes > 0);
  connection.end();
  assert.equal(host.loop.pool.stats().lentBytes, 0);
});
