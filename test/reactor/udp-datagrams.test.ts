import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import type { ReactorError } from '../../reactor/errors.js';
import { UdpClient, type UdpClientOptions } from '../../reactor/udp-client.js';
import type { UdpPeer } from '../../reactor/udp-handlers.js';
import { UdpServer, type UdpServerOptions } from '../../reactor/udp-server.js';
import { systemError } from '../../reactor/system-error.js';
import { UdpSocket } from '../../reactor/udp-socket.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { until } from '../support/until.js';

const MODULE = new URL('./fixtures/udp-handlers.js', import.meta.url);
const BURST = 200; // what a receive buffer of the default size holds for sure
const DATAGRAMS = 10_000;

async function serve(t: TestContext, options: UdpServerOptions): Promise<UdpServer> {
  const server = new UdpServer({ host: '127.0.0.1', ...options });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  await server.listen();
  return server;
}

async function connect(t: TestContext, options: UdpClientOptions): Promise<UdpClient> {
  const client = new UdpClient(options);
  t.after(() => client.close({ drainTimeoutMs: 0 }));
  await client.connect();
  return client;
}

test('datagrams the kernel refuses are counted in one error that names the cause', () => {
  const errors: ReactorError[] = [];
  const socket = new UdpSocket({ onError: (_: unknown, error: ReactorError) => void errors.push(error) }, {});
  socket.sendFailed(systemError(constants.errno.EMSGSIZE, 'sendmmsg'), 2);
  const [error] = errors;
  assert.equal(error?.code, 'REACTOR_SEND_FAILED');
  assert.match(error.message, /^2 datagrams were not sent: sendmmsg EMSGSIZE: /);
  assert.equal((error.cause as NodeJS.ErrnoException).code, 'EMSGSIZE');
});

forEachTransport((transport) => {
  test(`a datagram above datagramBytesMax is dropped, counted and coded; one of that size is served (${transport})`, async (t) => {
    const errors: string[] = [];
    const bodies: number[] = [];
    const server = await serve(t, {
      transport,
      datagramBytesMax: 108,
      handlers: {
        onFrame: (_, frame) => void bodies.push(frame.bodyBytes),
        onError: (peer, { code, message }) => void errors.push(`${code} ${peer?.address}: ${message}`),
      },
    });
    const client = await connect(t, { ...server.address, transport });
    for (const bytes of [101, 100, 60_000, 0]) client.send(1, Buffer.alloc(bytes));
    await until(() => bodies.length === 2);
    assert.deepEqual(bodies, [100, 0]);
    assert.deepEqual(errors, [
      'REACTOR_FRAME_TOO_LARGE 127.0.0.1: a datagram of 109 bytes is above 108',
      'REACTOR_FRAME_TOO_LARGE 127.0.0.1: a datagram of 60008 bytes is above 108',
    ]);
    const { oversized, datagramsReceived, malformed } = await server.stats();
    assert.deepEqual(
      { oversized, datagramsReceived, malformed },
      { oversized: 2, datagramsReceived: 4, malformed: 0 },
    );
  });

  test(`a client outlives the absence of its server and is heard when that comes back (${transport})`, async (t) => {
    const first = await serve(t, { transport, handlers: {} });
    const { host, port } = first.address;
    await first.close();
    let errors = 0;
    const bodies: string[] = [];
    const client = await connect(t, {
      host,
      port,
      transport,
      handlers: { onError: () => void (errors += 1) },
    });
    client.send(1, 'nobody');
    await until(() => errors > 0);
    const { networkErrors, sendErrors } = client.stats;
    assert(networkErrors + sendErrors > 0);
    await serve(t, {
      port,
      transport,
      handlers: { onFrame: (_, frame) => void bodies.push(String(frame.body)) },
    });
    while (bodies.length === 0) {
      client.send(1, 'somebody');
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bodies[0], 'somebody');
  });

  test(`of ${DATAGRAMS} datagrams in bursts every answer is right, none is invented or doubled (${transport})`, async (t) => {
    const server = await serve(t, {
      transport,
      handlers: { onFrame: (peer, frame) => void peer.send(frame.msgId, frame.body) },
    });
    const seen = new Set<number>();
    let wrong = 0;
    const client = await connect(t, {
      ...server.address,
      transport,
      handlers: {
        onFrame: (_, frame) => {
          if (frame.body.toString() !== `body of ${frame.msgId}` || seen.has(frame.msgId)) wrong += 1;
          seen.add(frame.msgId);
        },
      },
    });
    for (let first = 0; first < DATAGRAMS; first += BURST) {
      for (let id = first; id < first + BURST; id += 1)
        assert.equal(client.send(id, `body of ${id}`), 'sent');
      await until(() => seen.size === first + BURST);
    }
    assert.equal(wrong, 0);
    const { datagramsReceived, datagramsSent, sendsDropped } = await server.stats();
    assert.deepEqual(
      { datagramsReceived, datagramsSent, sendsDropped },
      { datagramsReceived: DATAGRAMS, datagramsSent: DATAGRAMS, sendsDropped: 0 },
    );
  });

  test(`a peer that is kept can be sent to later, from outside of any batch (${transport})`, async (t) => {
    const peers: UdpPeer[] = [];
    const server = await serve(t, { transport, handlers: { onFrame: (peer) => void peers.push(peer) } });
    const answers: string[] = [];
    const client = await connect(t, {
      ...server.address,
      transport,
      handlers: { onFrame: (_, frame) => void answers.push(String(frame.body)) },
    });
    client.send(1, '');
    await until(() => peers.length === 1);
    setTimeout(() => {
      for (const text of ['one', 'two', 'three']) peers[0]?.send(1, text);
    }, 1);
    await until(() => answers.length === 3);
    assert.deepEqual(answers, ['one', 'two', 'three']);
    assert.equal(peers[0]?.address, '127.0.0.1');
  });

  test(`hundreds of senders each get their own answer and are told apart by port (${transport})`, async (t) => {
    const server = await serve(t, {
      transport,
      handlers: { onFrame: (peer, frame) => void peer.send(1, `${peer.port} ${String(frame.body)}`) },
    });
    const answers = new Map<number, string>();
    for (let index = 0; index < 300; index += 1) {
      const client = await connect(t, {
        ...server.address,
        transport,
        handlers: { onFrame: (_, frame) => void answers.set(index, String(frame.body)) },
      });
      client.send(1, `client ${index}`);
      await until(() => answers.size === index + 1);
    }
    const ports = new Set<string>();
    for (const [index, answer] of answers) {
      assert.match(answer, new RegExp(`^\\d+ client ${index}$`));
      ports.add(answer.split(' ')[0]!);
    }
    assert.equal(ports.size, 300);
  });

  test(`twenty servers closed at once under load leave no descriptor (${transport})`, async (t) => {
    const rounds = async (count: number): Promise<number> => {
      for (let round = 0; round < count; round += 1) await closeUnderLoad(t, transport);
      return readdirSync('/proc/self/fd').length;
    };
    const before = await rounds(1); // what Node opens once and keeps is open before we count
    assert.equal(await rounds(20), before);
  });

  test(`impossible options are refused by name (${transport})`, async () => {
    const bad: Partial<UdpServerOptions>[] = [
      { datagramBytesMax: 0 },
      { datagramBytesMax: 65_536 },
      { sendQueueBytesMax: 1.5 },
      { codec: 'lines' as 'raw' },
      { transport: 'quic' as 'net' },
    ];
    for (const options of bad) {
      const [name] = Object.keys(options);
      const refused = { code: 'REACTOR_OPTION_INVALID', message: new RegExp(`^${name} must be`) };
      assert.throws(() => new UdpServer({ transport, handlers: {}, ...options }), refused);
      const client = new UdpClient({ host: '127.0.0.1', port: 1, transport, ...(options as object) });
      await assert.rejects(client.connect(), refused);
    }
  });
});

async function closeUnderLoad(t: TestContext, transport: TransportName): Promise<void> {
  const server = await serve(t, { transport, handlers: MODULE });
  let answers = 0;
  const client = await connect(t, {
    ...server.address,
    transport,
    handlers: {
      onFrame: (peer, frame) => {
        answers += 1;
        peer.send(1, frame.body);
      },
    },
  });
  for (let i = 0; i < 50; i += 1) client.send(1, 'round and round');
  await until(() => answers > 500);
  await server.close({ drainTimeoutMs: 0 });
  await client.close({ drainTimeoutMs: 0 });
}
