// Peers that read slowly or not at all, over real sockets: bounded memory, nothing lost, nothing left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, Frame, Handlers, SendOutcome } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const ECHO: Handlers = { onFrame: (connection, frame) => connection.send(1, frame.body) };

forEachTransport((transport) => {
  test(`${transport}: an echo of 100 MB to a slow reader loses nothing and never holds more than the marks allow`, async (t) => {
    const bodyBytes = 60_000;
    const frame = tlvFrame(1, Buffer.alloc(bodyBytes, 'r'));
    const count = Math.ceil(100_000_000 / frame.length);
    let highest = 0;
    const watched = await serve(t, transport, {
      onFrame: (connection, received) => {
        connection.send(1, received.body);
        highest = Math.max(highest, connection.outputBytes);
      },
    });
    const client = await RawClient.connect(t, watched.port);
    const { socket } = client;
    let receivedBytes = 0;
    let wrong = 0;
    socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
      if (chunk[0] !== frame[receivedBytes % frame.length]) wrong += 1;
      receivedBytes += chunk.length;
      socket.pause(); // one read per turn at most, so that the writer is always ahead
      setImmediate(() => socket.resume());
    });
    for (let sent = 0; sent < count; sent += 1) {
      if (!socket.write(frame)) await new Promise((resolve) => socket.once('drain', resolve));
    }
    await until(() => receivedBytes >= count * frame.length);
    assert.equal(receivedBytes, count * frame.length);
    assert.equal(wrong, 0);
    assert(highest <= 64 * 1024 + 2 * frame.length, `${highest} bytes waited`);
    assert(watched.counters.get('reads_paused') > 0, 'the reader was slow enough to matter');
    assert.equal(watched.counters.get('frames_dropped'), 0);
  });

  test(`${transport}: a peer that never reads is reset at the hard cap, and the memory comes back`, async (t) => {
    const outcomes = new Map<SendOutcome, number>();
    let highest = 0;
    const flood = (connection: Connection): void => {
      const body = Buffer.alloc(50_000);
      for (;;) {
        const outcome = connection.send(1, body);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        highest = Math.max(highest, connection.outputBytes);
        if (outcome === 'closed') return;
      }
    };
    const watched = await serve(t, transport, { onFrame: flood });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.send(1);
    assert.deepEqual(await watched.closed(), ['output-overflow']);
    assert.deepEqual(watched.codes, ['REACTOR_OUTPUT_OVERFLOW']);
    assert(highest <= 8 * MIB);
    assert.equal(outcomes.get('closed'), 1);
    assert(outcomes.get('full')! > 0);
    assert.equal(watched.opened[0]?.send(1, ''), 'closed');
    assert.equal(watched.server.reactor.loop.pool.stats().lentBytes, 0);
  });

  test(`${transport}: with overflow 'drop' a slow reader gets an exact subsequence, and every frame is accounted for`, async (t) => {
    const count = 400;
    const watched = await serve(
      t,
      transport,
      {
        onConnect: (connection) => {
          for (let index = 0; index < count; index += 1) {
            const body = Buffer.alloc(50_000);
            body.writeUInt32LE(index, 0);
            connection.send(1, body);
          }
          connection.end();
        },
      },
      { overflow: 'drop', hardCapBytes: MIB, highWaterBytes: 65_536, lowWaterBytes: 32_768 },
    );
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    await watched.connection();
    client.socket.resume();
    await client.receiveUntilEnd();
    client.end();
    const indexes = client.frames().map(({ body }) => body.readUInt32LE(0));
    const dropped = watched.counters.get('frames_dropped');
    assert(dropped > 0, 'the reader was slow enough to matter');
    assert.equal(indexes.length + dropped, count);
    assert.deepEqual(
      indexes,
      indexes.toSorted((a, b) => a - b),
    );
    assert.equal(watched.counters.errorCount('REACTOR_OUTPUT_OVERFLOW'), dropped);
    assert.deepEqual(await watched.closed(), ['ended']);
  });

  test(`${transport}: with overflow 'pause' requests wait in the kernel while the peer does not read, and all are answered in the end`, async (t) => {
    let refused = 0;
    const onFrame = (connection: Connection, frame: Frame): void => {
      if (connection.send(1, Buffer.alloc(200_000, frame.body)) === 'dropped') refused += 1;
    };
    const watched = await serve(t, transport, { onFrame }, { overflow: 'pause' });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.write(Buffer.concat(Array.from({ length: 100 }, () => tlvFrame(1, 'x'))));
    const connection = await watched.connection();
    await until(() => connection.outputBytes > 64 * 1024);
    assert(connection.stats.framesReceived < 100);
    client.socket.resume();
    await client.receive(100 * 200_008);
    assert.equal(refused, 0, 'pausing at the high-water mark comes long before the cap');
  });

  test(`${transport}: grown buffers return when a slow reader has caught up`, async (t) => {
    const watched = await serve(t, transport, ECHO);
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    for (let count = 0; count < 10; count += 1) client.send(1, Buffer.alloc(MIB));
    const { pool } = watched.server.reactor.loop;
    await until(() => pool.stats().lentBytes >= MIB);
    client.socket.resume();
    await client.receive(10 * (8 + MIB));
    await until(() => pool.stats().lentBytes === 0);
    assert.equal(watched.opened[0]?.outputBytes, 0);
  });
});
