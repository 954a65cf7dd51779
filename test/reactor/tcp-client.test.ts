import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { Handlers } from '../../reactor/handlers.js';
import { TcpClient, type TcpClientOptions } from '../../reactor/tcp-client.js';
import { requireAddon } from '../../addon/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { openDescriptors } from '../support/steered-server.js';
import { temporarySocketPath } from '../support/temporary-folder.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const FAST = { firstMs: 1, capMs: 5 };

/** A server that sends back every byte; it breaks its connections when the test ends. */
async function echoServer(t: TestContext, server: net.Server = net.createServer()): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // broken off by the test
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, sockets, server };
}

interface Peer {
  readonly port: number;
  readonly sockets: ReadonlySet<net.Socket>;
  readonly server: net.Server;
}

function clientOf(t: TestContext, options: TcpClientOptions): TcpClient {
  const client = new TcpClient({ host: '127.0.0.1', ...options });
  t.after(() => client.destroy());
  return client;
}

forEachTransport((transport) => {
  test(`frames go out and come back, and end delivers before it closes (${transport})`, async (t) => {
    const { port, sockets } = await echoServer(t);
    const bodies: string[] = [];
    const reasons: string[] = [];
    const client = clientOf(t, {
      transport,
      port,
      handlers: {
        onConnect: (connection) => connection.send(5, 'from onConnect'),
        onFrame: { 5: (_, frame) => void bodies.push(String(frame.body)) },
        onClose: (_, reason) => void reasons.push(reason),
      },
    });
    assert.equal(client.state, 'idle');
    assert.equal(client.send(5, 'too early'), 'closed');
    const connection = await client.connect();
    assert.equal(connection, client.connection);
    assert.equal(connection.remotePort, port);
    assert.equal(client.send(5, 'from the client'), 'sent');
    await until(() => bodies.length === 2);
    assert.deepEqual(bodies, ['from onConnect', 'from the client']);
    await client.end();
    assert.deepEqual(reasons, ['ended']);
    assert.equal(client.state, 'closed');
    assert.equal(client.send(5, 'too late'), 'closed');
    await until(() => sockets.size === 0);
  });

  test(`a lost connection is made anew, and onConnect is called for each (${transport})`, async (t) => {
    const { port, sockets } = await echoServer(t);
    const reasons: string[] = [];
    let connects = 0;
    const client = clientOf(t, {
      transport,
      port,
      reconnect: FAST,
      handlers: { onConnect: () => void (connects += 1), onClose: (_, reason) => void reasons.push(reason) },
    });
    await client.connect();
    for (const round of [1, 2, 3]) {
      await until(() => sockets.size === 1 && client.state === 'open');
      for (const socket of sockets) socket.resetAndDestroy();
      await until(() => connects === round + 1);
    }
    assert.deepEqual(reasons, ['peer-reset', 'peer-reset', 'peer-reset']);
  });

  test(`a server that comes up later is reached in the end; every failed attempt is reported with a code (${transport})`, async (t) => {
    const port = await freePort();
    const codes: string[] = [];
    const client = clientOf(t, {
      transport,
      port,
      reconnect: FAST,
      handlers: { onError: (_, { code }) => void codes.push(code) },
    });
    const connected = client.connect();
    await until(() => codes.length >= 2);
    const server = net.createServer().listen(port, '127.0.0.1');
    t.after(() => server.close());
    server.on('connection', (socket) => socket.on('error', () => {}).resume());
    await connected;
    assert.equal(client.state, 'open');
    assert.deepEqual([...new Set(codes)], ['REACTOR_CONNECT_FAILED']);
  });

  test(`it gives up after attemptsMax failures in a row and says so once (${transport})`, async (t) => {
    const port = await freePort();
    const codes: string[] = [];
    const givenUp: string[] = [];
    const client = clientOf(t, {
      transport,
      port,
      reconnect: { ...FAST, attemptsMax: 3 },
      handlers: { onError: (_, { code }) => void codes.push(code) },
      onGiveUp: ({ code }) => givenUp.push(code),
    });
    await assert.rejects(client.connect(), { code: 'REACTOR_CONNECT_FAILED' });
    assert.equal(codes.length, 3);
    assert.deepEqual(givenUp, ['REACTOR_CONNECT_FAILED']);
    assert.equal(client.state, 'closed');
    await assert.rejects(client.connect(), { code: 'REACTOR_CLOSED' });
  });

  test(`without reconnect a lost connection ends the client (${transport})`, async (t) => {
    const { port, sockets } = await echoServer(t);
    const givenUp: string[] = [];
    const client = clientOf(t, {
      transport,
      port,
      reconnect: false,
      onGiveUp: ({ code }) => givenUp.push(code),
    });
    await client.connect();
    await until(() => sockets.size === 1);
    for (const socket of sockets) socket.end();
    await until(() => client.state === 'closed');
    assert.deepEqual(givenUp, ['REACTOR_CONNECTION_CLOSED']);
  });

  test(`a connection that the handlers end themselves is not made anew (${transport})`, async (t) => {
    const { port } = await echoServer(t);
    let connects = 0;
    const client = clientOf(t, {
      transport,
      port,
      reconnect: FAST,
      handlers: { onConnect: () => void (connects += 1), onFrame: (connection) => connection.destroy() },
    });
    await client.connect();
    client.send(1, 'bounce');
    await until(() => client.state === 'closed');
    assert.equal(connects, 1);
  });

  test(`a throwing onConnect costs the connection and counts as one failure (${transport})`, async (t) => {
    const { port } = await echoServer(t);
    const codes: string[] = [];
    const handlers: Handlers = {
      onConnect: () => {
        throw new Error('thrown');
      },
      onError: (_, { code }) => void codes.push(code),
    };
    const client = clientOf(t, { transport, port, reconnect: { ...FAST, attemptsMax: 2 }, handlers });
    await client.connect();
    await until(() => client.state === 'closed');
    assert.deepEqual(codes, ['REACTOR_HANDLER_FAILED', 'REACTOR_HANDLER_FAILED']);
  });

  test(`a Unix socket is reached by its path (${transport})`, async (t) => {
    const socketPath = temporarySocketPath(t);
    const server = net.createServer((socket) => socket.pipe(socket)).listen(socketPath);
    await once(server, 'listening');
    t.after(() => server.close());
    const bodies: string[] = [];
    const client = clientOf(t, {
      transport,
      path: socketPath,
      handlers: { onFrame: (_, { body }) => void bodies.push(String(body)) },
    });
    await client.connect();
    client.send(1, 'local');
    await until(() => bodies.length === 1);
    await client.end();
  });

  test(`ending the client stops an attempt, a wait, and a client that never began (${transport})`, async (t) => {
    const port = await freePort();
    const waiting = clientOf(t, { transport, port, reconnect: { firstMs: 60_000, capMs: 60_000 } });
    const never = waiting.connect();
    await until(() => waiting.state === 'waiting');
    await waiting.end();
    await assert.rejects(never, { code: 'REACTOR_CLOSED' });

    const { port: openPort } = await echoServer(t);
    const attempting = clientOf(t, { transport, port: openPort });
    const stopped = attempting.connect();
    await Promise.all([attempting.end(), assert.rejects(stopped, { code: 'REACTOR_CLOSED' })]);

    const idle = clientOf(t, { transport, port: openPort });
    await idle.end();
    assert.equal(idle.state, 'closed');
  });

  test(`a name is tried at every address it has (${transport})`, async (t) => {
    const { port } = await echoServer(t); // on 127.0.0.1 alone
    const client = clientOf(t, { transport, host: 'localhost', port, reconnect: false });
    assert.equal((await client.connect()).remoteAddress, '127.0.0.1');
  });

  test(`a name that nobody has is a failed attempt (${transport})`, async (t) => {
    const client = clientOf(t, { transport, host: 'nowhere.invalid', port: 1, reconnect: false });
    await assert.rejects(client.connect(), { code: 'REACTOR_CONNECT_FAILED' });
  });

  test(`a path where nobody listens is a failed attempt (${transport})`, async (t) => {
    const client = clientOf(t, { transport, path: temporarySocketPath(t), reconnect: false });
    await assert.rejects(client.connect(), { code: 'REACTOR_CONNECT_FAILED' });
  });

  test(`a server that does not answer the SYN ends the attempt at the connect timeout (${transport})`, async (t) => {
    const addon = requireAddon();
    const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 1 }); // room for two
    t.after(() => addon.closeFd(fd));
    const options = { transport, port, reconnect: false } as const;
    await clientOf(t, options).connect();
    await clientOf(t, options).connect();
    const hanging = clientOf(t, { ...options, connectTimeoutMs: 60 });
    await assert.rejects(hanging.connect(), { code: 'REACTOR_TIMEOUT' });
  });

  test(`a client ended while its name is resolved leaves nothing behind (${transport})`, async (t) => {
    const { port, sockets } = await echoServer(t);
    const client = clientOf(t, { transport, host: 'localhost', port });
    const never = client.connect();
    client.destroy();
    await assert.rejects(never, { code: 'REACTOR_CLOSED' });
    await until(() => client.state === 'closed');
    assert.equal(sockets.size, 0);
  });
});

test('clients on the native transport share one batch, and their last end closes it', async (t) => {
  const { port } = await echoServer(t);
  const before = openDescriptors().length;
  let echoes = 0;
  const handlers: Handlers = { onFrame: () => void (echoes += 1) };
  const clients = Array.from({ length: 8 }, () => clientOf(t, { transport: 'epoll', port, handlers }));
  await Promise.all(clients.map((client) => client.connect()));
  for (const client of clients) client.send(1, Buffer.alloc(300_000));
  await until(() => echoes === clients.length);
  await Promise.all(clients.map((client) => client.end()));
  await until(() => openDescriptors().length <= before);
});

test('the native transport refuses TLS and names the one that speaks it', () => {
  assert.throws(() => new TcpClient({ port: 1, tls: {}, transport: 'epoll' }), {
    code: 'REACTOR_UNSUPPORTED',
    message: /'net'/,
  });
});

test('an attempt that hangs ends with the connect timeout', async (t) => {
  const { port } = await echoServer(t); // answers a TLS hello with the hello itself, or with nothing at all
  const silent = net.createServer((socket) => socket.on('error', () => {}).resume());
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const options = { tls: {}, reconnect: false, connectTimeoutMs: 60 } as const;
  const hanging = clientOf(t, { ...options, port: (silent.address() as net.AddressInfo).port });
  await assert.rejects(hanging.connect(), { code: 'REACTOR_TIMEOUT' });
  const confused = clientOf(t, { ...options, connectTimeoutMs: 10_000, port });
  await assert.rejects(confused.connect(), { code: 'REACTOR_TLS_FAILED' });
  const refused = clientOf(t, { ...options, port: await freePort() });
  await assert.rejects(refused.connect(), { code: 'REACTOR_CONNECT_FAILED' });
});

test('TLS connects by name with our authority, and not to a server nobody vouches for', async (t) => {
  const { port } = await echoServer(t, tls.createServer({ cert: SERVER_CERT, key: SERVER_KEY }));
  const bodies: string[] = [];
  const trusting = clientOf(t, {
    host: 'localhost',
    port,
    tls: { ca: AUTHORITY },
    handlers: { onFrame: (_, frame) => void bodies.push(String(frame.body)) },
  });
  await trusting.connect();
  trusting.send(1, 'sealed');
  await until(() => bodies.length === 1);
  assert.deepEqual(bodies, ['sealed']);
  await trusting.end();
  const wary = clientOf(t, { host: 'localhost', port, tls: {}, reconnect: false });
  await assert.rejects(wary.connect(), { code: 'REACTOR_TLS_FAILED' });
});

test('impossible options are refused with a code', () => {
  const bad: TcpClientOptions[] = [
    {},
    { port: 0 },
    { port: 1, path: '/x' },
    { port: 1, reconnect: { attemptsMax: 0 } },
    { port: 1, reconnect: { factor: 0 } },
    { port: 1, tls: { caFile: '/nonexistent' } },
    { port: 1, lowWaterBytes: 10, highWaterBytes: 5 },
  ];
  for (const options of bad) assert.throws(() => new TcpClient(options), { code: 'REACTOR_OPTION_INVALID' });
});
