// The PROXY protocol in front of framed connections: who the client is, what is refused, and TLS behind it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import tls from 'node:tls';
import type { Handlers } from '../../reactor/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type ServeOptions } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTlsTransport, forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const PROXY: ServeOptions = { proxyProtocol: true };
const TLS: ServeOptions = { ...PROXY, tls: { cert: SERVER_CERT, key: SERVER_KEY } };
/** 203.0.113.7:4321 to 192.0.2.1:443 over TCP, IPv4. */
const RELAYED = Buffer.concat([SIGNATURE, Buffer.from('2111000ccb007107c000020110e101bb', 'hex')]);
const LOCAL = Buffer.concat([SIGNATURE, Buffer.from('20000000', 'hex')]);

/** Answers with what it takes the client for. */
const WHO: Handlers = {
  onFrame: (connection) => connection.send(1, `${connection.remoteAddress} ${connection.remotePort}`),
};

forEachTransport((transport) => {
  test(`${transport}: the header names the client, wherever it is cut and with frames right behind it`, async (t) => {
    const watched = await serve(t, transport, WHO, PROXY);
    const wire = Buffer.concat([RELAYED, tlvFrame(1, '')]);
    for (let cut = 1; cut <= wire.length; cut += 1) {
      const client = await RawClient.connect(t, watched.port);
      client.write(wire.subarray(0, cut));
      await until(() => client.socket.writableLength === 0);
      await new Promise((resolve) => setImmediate(resolve));
      client.write(wire.subarray(cut));
      assert.equal((await client.receiveFrames(1))[0]?.body.toString(), '203.0.113.7 4321');
      client.end();
      await client.closed();
    }
    assert.deepEqual(watched.codes, []);
    await watched.closed(wire.length);
    assert.equal(watched.counters.get('bytes_read'), wire.length * 8, 'the header is not counted');
  });

  test(`${transport}: a balancer that speaks for itself is seen with its own address`, async (t) => {
    const watched = await serve(t, transport, WHO, PROXY);
    const client = await RawClient.connect(t, watched.port);
    client.write(Buffer.concat([LOCAL, tlvFrame(1, '')]));
    const { localPort } = client.socket;
    assert.equal((await client.receiveFrames(1))[0]?.body.toString(), `127.0.0.1 ${localPort}`);
  });

  test(`${transport}: a connection paused in onConnect keeps the frames that came with the header`, async (t) => {
    const bodies: string[] = [];
    const watched = await serve(
      t,
      transport,
      {
        onConnect: (connection) => connection.pause(),
        onFrame: (connection, frame) => {
          bodies.push(frame.body.toString());
          connection.send(1, '');
        },
      },
      PROXY,
    );
    const client = await RawClient.connect(t, watched.port);
    client.write(
      Buffer.concat([RELAYED, tlvFrame(1, 'a'), tlvFrame(1, 'b'), tlvFrame(1, 'c').subarray(0, 5)]),
    );
    const connection = await watched.connection();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(bodies, []);
    client.write(tlvFrame(1, 'c').subarray(5));
    connection.resume();
    await client.receiveFrames(3);
    assert.deepEqual(bodies, ['a', 'b', 'c']);
  });

  test(`${transport}: bytes that are no header end the connection with REACTOR_PROXY_HEADER_INVALID before it opens`, async (t) => {
    const watched = await serve(t, transport, WHO, PROXY);
    const client = await RawClient.connect(t, watched.port);
    client.write(tlvFrame(1, 'no header'));
    await client.closed();
    await until(() => watched.counters.get('connections_closed') === 1);
    assert.deepEqual(watched.codes, ['REACTOR_PROXY_HEADER_INVALID']);
    assert.deepEqual([watched.opened.length, client.receivedBytes], [0, 0]);
  });

  test(`${transport}: a peer that leaves inside its header is released`, async (t) => {
    const watched = await serve(t, transport, WHO, PROXY);
    const client = await RawClient.connect(t, watched.port);
    client.write(RELAYED.subarray(0, 20));
    client.end();
    await client.closed();
    await until(() => watched.server.reactor.occupancy.open() === 0);
    assert.equal(watched.opened.length, 0);
  });
});

forEachTlsTransport((transport) => {
  test(`${transport}: a header in front of a TLS handshake names the client`, async (t) => {
    const watched = await serve(t, transport, WHO, TLS);
    const raw = await RawClient.connect(t, watched.port);
    raw.socket.removeAllListeners('data');
    raw.write(RELAYED);
    const secure = tls.connect({ socket: raw.socket, ca: AUTHORITY, servername: 'localhost' });
    t.after(() => secure.destroy());
    await once(secure, 'secureConnect');
    const client = new RawClient(secure);
    client.send(1);
    assert.equal((await client.receiveFrames(1))[0]?.body.toString(), '203.0.113.7 4321');
    client.end();
    await client.closed();
    assert.deepEqual(await watched.closed(), ['peer-ended']);
  });

  test(`${transport}: with TLS a missing header is refused with its code, a silent peer with REACTOR_TIMEOUT`, async (t) => {
    const watched = await serve(t, transport, WHO, { ...TLS, handshakeTimeoutMs: 60 });
    const wrong = await RawClient.connect(t, watched.port);
    wrong.write('GET / HTTP/1.1\r\n\r\n');
    await wrong.closed();
    await until(() => watched.counters.errorCount('REACTOR_PROXY_HEADER_INVALID') === 1);
    const silent = await RawClient.connect(t, watched.port);
    await silent.closed();
    await until(() => watched.counters.errorCount('REACTOR_TIMEOUT') === 1);
    await until(() => watched.server.reactor.occupancy.open() === 0);
  });
});
