import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import type { ReactorError } from '../../reactor/errors.js';
import { createHttpService } from '../../reactor/http-service.js';
import { HttpServer } from '../../reactor/index.js';
import { HANDSHAKE_TIMEOUT_MS } from '../../reactor/limits.js';
import { toTlsServerOptions } from '../../reactor/tls-options.js';
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { received, serveHttp } from '../support/http-front.js';
import { until } from '../support/until.js';

type Answering = (request: unknown, response: { end(text: string): void }) => void;
const answer: Answering = (_, response) => response.end('secure');
const LAST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const server = toTlsServerOptions({ cert: SERVER_CERT, key: SERVER_KEY });

test('HTTPS is served with ALPN http/1.1, and one connection counts as one', async (t) => {
  const { service, port } = await serveHttp(t, answer, { tls: server });
  const client = tls.connect({ port, host: 'localhost', ca: AUTHORITY, ALPNProtocols: ['h2', 'http/1.1'] });
  await once(client, 'secureConnect');
  assert.equal(client.alpnProtocol, 'http/1.1');
  await until(() => service.connections === 1);
  client.write(LAST);
  assert.match(await received(client), /secure$/);
  await until(() => service.connections === 0);
  assert.equal(service.stats.requestsDone, 1);
});

test('a failed handshake is reported with a code and forgotten', async (t) => {
  const errors: ReactorError[] = [];
  const { service, port } = await serveHttp(t, answer, {
    tls: server,
    onError: (error) => errors.push(error),
  });
  const client = net.connect(port, '127.0.0.1');
  client.on('error', () => {}); // the server may reset it
  client.write(LAST);
  await once(client.resume(), 'close');
  await until(() => service.connections === 0 && errors.length === 1);
  assert.equal(errors[0]?.code, 'REACTOR_TLS_FAILED');
});

test('a client that never begins its handshake does not hold up draining', async (t) => {
  const { service, port } = await serveHttp(t, answer, { tls: server });
  const client = net.connect(port, '127.0.0.1');
  await until(() => service.connections === 1);
  const closed = once(client.resume(), 'close');
  assert.equal(await service.close({ deadlineMs: 60_000 }), 0);
  await closed;
});

test('a server gives up a handshake that does not happen after its own timeout', async (t) => {
  const https = new HttpServer({
    host: '127.0.0.1',
    threads: 0,
    handlers: () => answer,
    tls: { cert: SERVER_CERT, key: SERVER_KEY },
    handshakeTimeoutMs: 60,
  });
  const { port } = await https.listen();
  t.after(() => https.close({ drainTimeoutMs: 0 }));
  const beganMs = performance.now();
  await once(net.connect(port!, '127.0.0.1').resume(), 'close');
  assert(performance.now() - beganMs < HANDSHAKE_TIMEOUT_MS, 'not after the default');
  assert.equal(https.reactor.counters.errorTotal('REACTOR_TLS_FAILED'), 1);
});

test('with authorities given, only clients with a certificate of theirs get through', async (t) => {
  const mutual = toTlsServerOptions({ cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY });
  const { port } = await serveHttp(t, answer, { tls: mutual });
  const known = tls.connect({ port, host: 'localhost', ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY });
  known.write(LAST);
  assert.match(await received(known), /secure$/);
  const stranger = tls.connect({ port, host: 'localhost', ca: AUTHORITY });
  stranger.write(LAST);
  await assert.rejects(received(stranger));
});

test('an https.Server of the application does its own TLS, and refuses a second one', async (t) => {
  const own = https.createServer({ cert: SERVER_CERT, key: SERVER_KEY }, answer);
  const { port } = await serveHttp(t, own);
  const client = tls.connect({ port, host: 'localhost', ca: AUTHORITY });
  client.write(LAST);
  assert.match(await received(client), /secure$/);
  await assert.rejects(
    createHttpService(https.createServer({ cert: SERVER_CERT, key: SERVER_KEY }), { tls: server }),
    {
      code: 'REACTOR_OPTION_INVALID',
    },
  );
});
