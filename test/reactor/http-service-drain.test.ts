import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { HttpService } from '../../reactor/http-service.js';
import { received, serveHttp } from '../support/http-front.js';
import { until } from '../support/until.js';

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

test('draining closes idle connections at once, whether or not they ever asked for anything', async (t) => {
  const { service, port } = await serveHttp(t, (_: unknown, response: http.ServerResponse) =>
    response.end('ok'),
  );
  const used = net.connect(port, '127.0.0.1');
  used.write(REQUEST);
  await once(used, 'data');
  const fresh = net.connect(port, '127.0.0.1');
  await until(() => service.connections === 2);
  const ended = [once(used.resume(), 'close'), once(fresh.resume(), 'close')];
  assert.equal(await service.close({ deadlineMs: 60_000 }), 0);
  await Promise.all(ended);
  assert.equal(service.connections, 0);
});

test('a request under way when draining begins is answered with Connection: close, then its connection ends', async (t) => {
  const pending: http.ServerResponse[] = [];
  const { service, port } = await serveHttp(t, (_: unknown, response: http.ServerResponse) =>
    pending.push(response),
  );
  const socket = net.connect(port, '127.0.0.1');
  socket.write(REQUEST);
  await until(() => pending.length === 1);
  const closed = service.close({ deadlineMs: 60_000 });
  pending[0]?.end('answer');
  const answer = await received(socket);
  assert.match(answer, /Connection: close\r\n/);
  assert.match(answer, /answer/);
  assert.equal(await closed, 0);
});

test('an answer that promised keep-alive before draining began is finished, then its connection ends', async (t) => {
  const pending: http.ServerResponse[] = [];
  const { service, port } = await serveHttp(t, (_: unknown, response: http.ServerResponse) => {
    response.write('first ');
    pending.push(response);
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.write(REQUEST);
  await until(() => pending.length === 1);
  const closed = service.close({ deadlineMs: 60_000 });
  pending[0]?.end('second');
  const answer = await received(socket);
  assert.match(answer, /Connection: keep-alive\r\n/);
  assert.match(answer, /second/);
  assert.equal(await closed, 0);
});

test('a request whose headers arrive only after draining began is still answered, as the last one', async (t) => {
  const { service, port } = await serveHttp(t, (_: unknown, response: http.ServerResponse) =>
    response.end('served'),
  );
  const socket = net.connect(port, '127.0.0.1');
  socket.write(REQUEST.slice(0, 20));
  await until(() => service.connections === 1);
  await serverHasRead(service, socket);
  const closed = service.close({ deadlineMs: 60_000 });
  socket.write(REQUEST.slice(20));
  const answer = await received(socket);
  assert.match(answer, /Connection: close\r\n[^]*served/);
  assert.equal(await closed, 0);
});

test('what does not end by the deadline is destroyed and counted', async (t) => {
  let started = 0;
  const { service, port } = await serveHttp(t, () => (started += 1));
  const sockets = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')];
  for (const socket of sockets) socket.write(REQUEST);
  await until(() => started === 2);
  const ended = sockets.map((socket) => once(socket.resume(), 'close'));
  assert.equal(await service.close({ deadlineMs: 30 }), 2);
  await Promise.all(ended);
  assert.equal(service.stats.requestsAborted, 2);
  assert.equal(service.connections, 0);
});

test('upgraded sockets end when onClose ends them, and close() is idempotent', async (t) => {
  const upgraded: Duplex[] = [];
  let closes = 0;
  const { service, port } = await serveHttp(t, {
    onRequest: (_: unknown, response: http.ServerResponse) => response.end(),
    onUpgrade(_: http.IncomingMessage, socket: Duplex) {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
      socket.pipe(socket);
      upgraded.push(socket);
    },
    onClose() {
      closes += 1;
      for (const socket of upgraded) socket.end('going away');
    },
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  await once(socket, 'data');
  socket.write('ping');
  assert.equal(String((await once(socket, 'data'))[0]), 'ping');
  const results = await Promise.all([
    service.close({ deadlineMs: 60_000 }),
    received(socket),
    service.close(),
  ]);
  assert.deepEqual(results, [0, 'going away', 0]);
  assert.equal(closes, 1);
});

test('a socket handed to a closed service is destroyed', async (t) => {
  const { service, port } = await serveHttp(t, () => assert.fail('nothing is served'));
  assert.equal(await service.close(), 0);
  const socket = net.connect(port, '127.0.0.1');
  socket.write(REQUEST);
  await once(
    socket.resume().on('error', () => {}),
    'close',
  ); // end or reset, as the kernel likes
  assert.equal(service.connections, 0);
});

/** Waits until everything the client wrote so far has been read by the server on the other side. */
async function serverHasRead(service: HttpService, socket: net.Socket): Promise<void> {
  await until(
    () => socket.bytesWritten > 0 && socket.writableLength === 0 && service.stats.connections === 1,
  );
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
