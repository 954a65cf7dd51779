// Framed connections over TLS: echo, client certificates, and handshakes that fail with a code.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { type Connection, type Handlers, TcpServer } from '../../reactor/index.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type ServeOptions, type WatchedServer } from '../support/tcp-pair.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTlsTransport, TLS_TRANSPORTS, TRANSPORTS } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const ECHO: Handlers = { onFrame: (connection, frame) => connection.send(1, frame.body) };
const TLS: ServeOptions = { tls: { cert: SERVER_CERT, key: SERVER_KEY } };
const MUTUAL: ServeOptions = {
  tls: { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY, requestCert: true },
};

async function connectTls(
  t: TestContext,
  watched: WatchedServer,
  options: tls.ConnectionOptions = {},
): Promise<RawClient> {
  const socket = tls.connect({ host: '127.0.0.1', port: watched.port, ca: AUTHORITY, ...options });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return new RawClient(socket);
}

forEachTlsTransport((transport) => {
  test(`${transport}: an echo over TLS returns small, empty and large frames, and ends in order`, async (t) => {
    const watched = await serve(t, transport, ECHO, TLS);
    const client = await connectTls(t, watched);
    const wire = Buffer.concat([tlvFrame(1, 'a'), tlvFrame(1, ''), tlvFrame(1, Buffer.alloc(MIB, 'b'))]);
    client.write(wire);
    assert.deepEqual(await client.receive(wire.length), wire);
    assert.equal(watched.opened[0]?.remoteAddress, '127.0.0.1');
    client.end();
    assert.deepEqual(await watched.closed(), ['peer-ended']);
    assert.deepEqual(watched.codes, []);
  });

  test(`${transport}: a file arrives over TLS in order with the frames around it`, async (t) => {
    const path = join(temporaryFolder(t), 'file');
    writeFileSync(path, Buffer.alloc(MIB, 'f'));
    const watched = await serve(
      t,
      transport,
      {
        onConnect: async (connection) => {
          connection.write('head');
          const sent = connection.sendFile(path, { start: 10 });
          connection.write('tail');
          assert.equal(await sent, MIB - 10);
        },
      },
      TLS,
    );
    const client = await connectTls(t, watched);
    const expected = Buffer.concat([Buffer.from('head'), Buffer.alloc(MIB - 10, 'f'), Buffer.from('tail')]);
    assert.deepEqual(await client.receive(expected.length), expected);
  });

  test(`${transport}: end delivers pending output over TLS to a reader that starts late`, async (t) => {
    const push = (connection: Connection): void => {
      for (let count = 0; count < 7; count += 1) connection.send(1, Buffer.alloc(MIB));
      connection.end();
    };
    const watched = await serve(t, transport, { onFrame: push }, TLS);
    const client = await connectTls(t, watched);
    client.socket.pause();
    client.send(1);
    const connection = await watched.connection();
    await until(() => connection.state === 'draining');
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 7 * (8 + MIB));
    client.end();
    assert.deepEqual(await watched.closed(), ['ended']);
  });

  test(`${transport}: a client with a certificate of our authority is served, one without is refused with REACTOR_TLS_FAILED`, async (t) => {
    const watched = await serve(t, transport, ECHO, MUTUAL);
    const known = await connectTls(t, watched, { cert: CLIENT_CERT, key: CLIENT_KEY });
    known.send(1, 'hello');
    await known.receiveFrames(1);
    const stranger = await connectTls(t, watched, { maxVersion: 'TLSv1.3' }); // 1.3 learns of it afterwards
    await stranger.closed();
    await until(() => watched.counters.errorCount('REACTOR_TLS_FAILED') === 1);
    assert.equal(watched.opened.length, 1);
    await until(() => watched.server.reactor.occupancy.open() === 1);
  });

  test(`${transport}: bytes that are no TLS are refused with REACTOR_TLS_FAILED and reach no handler`, async (t) => {
    const watched = await serve(t, transport, ECHO, TLS);
    const client = await RawClient.connect(t, watched.port);
    client.send(1, 'this is no ClientHello');
    await client.closed();
    await until(() => watched.counters.errorCount('REACTOR_TLS_FAILED') === 1);
    assert.deepEqual([watched.opened.length, watched.counters.get('bytes_read')], [0, 0]);
    await until(() => watched.server.reactor.occupancy.open() === 0);
  });

  test(`${transport}: a client that leaves during the handshake is counted and released`, async (t) => {
    const watched = await serve(t, transport, ECHO, TLS);
    const client = await RawClient.connect(t, watched.port);
    await until(() => watched.server.reactor.occupancy.open() === 1);
    client.reset();
    await until(() => watched.server.reactor.occupancy.open() === 0);
    assert.equal(watched.counters.errorCount('REACTOR_TLS_FAILED'), 1);
  });

  test(`${transport}: a handshake that does not happen is given up after its timeout`, async (t) => {
    const watched = await serve(t, transport, ECHO, { ...TLS, handshakeTimeoutMs: 60 });
    const client = await RawClient.connect(t, watched.port);
    await client.closed();
    await until(() => watched.counters.errorCount('REACTOR_TLS_FAILED') === 1);
    assert.equal(watched.opened.length, 0);
  });

  test(`${transport}: a server that closes does not wait for handshakes, and none completes afterwards`, async (t) => {
    const watched = await serve(t, transport, ECHO, TLS);
    const client = await RawClient.connect(t, watched.port);
    await until(() => watched.server.reactor.occupancy.open() === 1);
    assert.deepEqual(await watched.server.close({ drainTimeoutMs: 5000 }), { drained: true });
    assert.equal(watched.server.reactor.occupancy.open(), 0);
    await client.closed();
  });

  test(`${transport}: a reset of a TLS connection ends it, though not by RST`, async (t) => {
    const watched = await serve(t, transport, { onFrame: (connection) => connection.reset() }, TLS);
    const client = await connectTls(t, watched);
    client.send(1);
    await client.closed();
    assert.deepEqual(await watched.closed(), ['reset']);
  });
});

test('a transport that does not speak TLS refuses it and names the one that does', () => {
  for (const transport of TRANSPORTS.filter((name) => !TLS_TRANSPORTS.includes(name))) {
    const make = (): TcpServer => new TcpServer({ transport, handlers: ECHO, threads: 0, ...TLS });
    assert.throws(make, { code: 'REACTOR_UNSUPPORTED', message: /TLS.*'net'/ });
  }
});
