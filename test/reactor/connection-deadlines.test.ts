// Timeouts: each with its reason and code over real sockets, and the cases that must not time out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseReason } from '../../reactor/index.js';
import { MemoryHost } from '../support/memory-connection.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type ServeOptions } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const SHORT_MS = 60;
const MIB = 1024 * 1024;

const SILENT_PEERS: readonly (readonly [CloseReason, ServeOptions, string])[] = [
  ['first-byte-timeout', { firstByteTimeoutMs: SHORT_MS }, ''],
  ['idle-timeout', { idleTimeoutMs: SHORT_MS }, 'one frame'],
  ['read-timeout', { readTimeoutMs: SHORT_MS }, 'one frame'],
];

forEachTransport((transport) => {
  for (const [reason, options, body] of SILENT_PEERS) {
    test(`${transport}: a peer that falls silent is closed for ${reason}, not early`, async (t) => {
      const watched = await serve(t, transport, { onFrame: () => {} }, options);
      const startedMs = performance.now();
      const client = await RawClient.connect(t, watched.port);
      if (body !== '') client.send(1, body);
      await client.closed();
      assert(performance.now() - startedMs >= SHORT_MS);
      assert.deepEqual(await watched.closed(), [reason]);
      assert.deepEqual(watched.codes, ['REACTOR_TIMEOUT']);
      assert.equal(watched.counters.get('timeouts'), 1);
    });
  }

  test(`${transport}: a peer that takes nothing is reset for write-timeout`, async (t) => {
    const options = { writeTimeoutMs: SHORT_MS };
    const watched = await serve(
      t,
      transport,
      {
        onConnect: (connection) => {
          for (let count = 0; count < 7; count += 1) connection.send(1, Buffer.alloc(MIB));
        },
      },
      options,
    );
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    assert.deepEqual(await watched.closed(), ['write-timeout']);
    assert.deepEqual(watched.codes, ['REACTOR_TIMEOUT']);
    client.socket.resume();
    await client.closed(); // by RST; libuv reports one behind unread bytes as an end
    assert(client.receivedBytes < 7 * MIB);
  });

  test(`${transport}: output that cannot be delivered after end is given up for drain-timeout`, async (t) => {
    const watched = await serve(
      t,
      transport,
      {
        onConnect: (connection) => {
          for (let count = 0; count < 7; count += 1) connection.send(1, Buffer.alloc(MIB));
          connection.end();
        },
      },
      { drainTimeoutMs: SHORT_MS },
    );
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    assert.deepEqual(await watched.closed(), ['drain-timeout']);
    assert.deepEqual(watched.codes, ['REACTOR_TIMEOUT']);
  });

  test(`${transport}: a peer that got everything but never closes is closed after the drain timeout as ended, without an error`, async (t) => {
    const onConnect = (connection: { end(): void }): void => connection.end();
    const watched = await serve(t, transport, { onConnect }, { drainTimeoutMs: SHORT_MS });
    const client = await RawClient.connect(t, watched.port);
    await client.receiveUntilEnd();
    assert.deepEqual(await watched.closed(), ['ended']);
    assert.deepEqual(watched.codes, []);
  });

  test(`${transport}: a peer that sends no PROXY header is closed for handshake-timeout without ever having connected`, async (t) => {
    const options = { proxyProtocol: true, handshakeTimeoutMs: SHORT_MS };
    const watched = await serve(t, transport, {}, options);
    const client = await RawClient.connect(t, watched.port);
    await client.closed();
    await until(() => watched.counters.get('connections_closed') === 1);
    assert.deepEqual(watched.codes, ['REACTOR_TIMEOUT']);
    assert.deepEqual([watched.opened.length, watched.reasons.length], [0, 0]);
  });

  test(`${transport}: a peer that says something now and then is never idle`, async (t) => {
    const options = { idleTimeoutMs: 200, readTimeoutMs: 200, firstByteTimeoutMs: 200 };
    const watched = await serve(t, transport, { onFrame: (connection) => connection.send(1, '') }, options);
    const client = await RawClient.connect(t, watched.port);
    for (let round = 1; round <= 20; round += 1) {
      client.send(1);
      await client.receiveFrames(round);
      await new Promise((resolve) => setTimeout(resolve, 25)); // the silence that is allowed is the subject
    }
    assert.deepEqual(watched.reasons, []);
  });
});

test('a send that waits for the end of the turn is not a peer that takes nothing', (t) => {
  const host = new MemoryHost(t, {}, { writeTimeoutMs: 60_000, readTimeoutMs: 90_000 });
  const connection = host.connect();
  connection.feed([1, '']);
  host.nowMs += 80_000;
  connection.feed([1, '']);
  connection.send(1, 'pushed by a timer of the same turn');
  connection.onTimer();
  assert.equal(connection.state, 'open');
});

test('a peer that takes a long frame slowly but steadily neither stalls nor idles', (t) => {
  const host = new MemoryHost(t, {}, { writeTimeoutMs: 1000, idleTimeoutMs: 1000 });
  const connection = host.connect(0);
  connection.send(1, Buffer.alloc(MIB));
  connection.flush();
  for (let step = 0; step < 100; step += 1) {
    connection.peerReads(1000);
    host.nowMs += 900;
    connection.onTimer();
    assert.equal(connection.state, 'open');
  }
  host.nowMs += 1001;
  connection.onTimer();
  assert.equal(connection.state, 'closed');
});

test('the read timeout starts anew when a paused connection is resumed, and then holds again', (t) => {
  const host = new MemoryHost(t, {}, { readTimeoutMs: 1000, firstByteTimeoutMs: 0 });
  const connection = host.connect();
  connection.feedBytes(tlvFrame(1, ''));
  connection.pause();
  host.nowMs += 5000;
  connection.onTimer();
  assert.equal(connection.state, 'open');
  connection.resume();
  assert.equal(connection.isScheduled, true);
  host.nowMs += 900;
  connection.onTimer();
  assert.equal(connection.state, 'open');
  host.nowMs += 200;
  connection.onTimer();
  assert.equal(connection.state, 'closed');
});

test('a connection that is not read has not missed its first byte', (t) => {
  const host = new MemoryHost(t, {}, { firstByteTimeoutMs: 1000 });
  const connection = host.connect();
  connection.pause();
  host.nowMs += 5000;
  connection.onTimer();
  assert.equal(connection.state, 'open');
  connection.resume();
  host.nowMs += 1001;
  connection.onTimer();
  assert.equal(connection.state, 'closed');
});

test('a half-closed connection that falls idle is closed', (t) => {
  const host = new MemoryHost(t, {}, { idleTimeoutMs: 1000, allowHalfOpen: true });
  const connection = host.connect();
  connection.feedEnd();
  host.nowMs += 1001;
  connection.onTimer();
  assert.equal(connection.state, 'closed');
});
