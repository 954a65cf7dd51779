import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import type { ReactorError } from '../../reactor/errors.js';
import { UdpClient } from '../../reactor/udp-client.js';
import type { UdpHandlers, UdpPeer } from '../../reactor/udp-handlers.js';
import { UdpServer, type UdpServerOptions } from '../../reactor/udp-server.js';
import { UDP_BODY_BYTES_MAX, UDP_DATAGRAM_BYTES_MAX } from '../../reactor/datagram-port.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

forEachTransport((transport) => {
  async function serve(
    t: TestContext,
    handlers: UdpHandlers,
    options: Partial<UdpServerOptions> = {},
  ): Promise<UdpServer> {
    const server = new UdpServer({ host: '127.0.0.1', transport, ...options, handlers });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    await server.listen();
    return server;
  }

  async function connect(t: TestContext, server: UdpServer, handlers: UdpHandlers): Promise<UdpClient> {
    const client = new UdpClient({ ...server.address, transport, handlers });
    t.after(() => client.close({ drainTimeoutMs: 0 }));
    await client.connect();
    return client;
  }

  test(`every sender gets its own answer, also when another one sent in between (${transport})`, async (t) => {
    const waiting: { peer: UdpPeer; text: string }[] = [];
    const server = await serve(t, {
      onFrame: {
        7: (peer, frame) => {
          waiting.push({ peer, text: String(frame.body) });
          if (waiting.length < 2) return;
          for (const { peer, text } of waiting) peer.send(7, `to ${text}`);
        },
      },
    });
    const answers: string[] = [];
    const ann = await connect(t, server, {
      onFrame: (_, frame) => void answers.push(`ann: ${String(frame.body)}`),
    });
    const bob = await connect(t, server, {
      onFrame: (_, frame) => void answers.push(`bob: ${String(frame.body)}`),
    });
    ann.send(7, 'ann');
    bob.send(7, Buffer.from('bob'));
    await until(() => answers.length === 2);
    assert.deepEqual(answers.toSorted(), ['ann: to ann', 'bob: to bob']);
  });

  test(`an empty and a largest body arrive whole, a larger one is refused before it is sent (${transport})`, async (t) => {
    const server = await serve(t, { onFrame: (peer, frame) => peer.send(frame.msgId, frame.body) });
    const sizes: number[] = [];
    const client = await connect(t, server, { onFrame: (_, frame) => void sizes.push(frame.bodyBytes) });
    client.send(1, '');
    client.send(0xffff_ffff, Buffer.alloc(UDP_BODY_BYTES_MAX, 7));
    await until(() => sizes.length === 2);
    assert.deepEqual(
      sizes.toSorted((a, b) => a - b),
      [0, UDP_BODY_BYTES_MAX],
    );
    assert.throws(() => client.send(1, Buffer.alloc(UDP_BODY_BYTES_MAX + 1)), {
      code: 'REACTOR_BODY_TOO_LARGE',
    });
    assert.throws(() => client.send(Buffer.alloc(UDP_DATAGRAM_BYTES_MAX + 1)), {
      code: 'REACTOR_BODY_TOO_LARGE',
    });
  });

  test(`a malformed datagram is counted and coded, and the next good one is served (${transport})`, async (t) => {
    const errors: string[] = [];
    const bodies: string[] = [];
    const server = await serve(t, {
      onFrame: { 1: (_, frame) => void bodies.push(String(frame.body)) },
      onError: (peer, { code }) => void errors.push(`${code} from ${peer?.address}`),
    });
    const client = await connect(t, server, {});
    const frame = Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 0x68, 0x69]);
    for (const wrong of [
      '',
      'short',
      frame.subarray(0, 9),
      Buffer.concat([frame, frame]),
      Buffer.alloc(20, 0xff),
    ]) {
      client.send(wrong);
    }
    client.send(frame);
    await until(() => bodies.length === 1);
    assert.deepEqual(bodies, ['hi']);
    assert.deepEqual(
      errors,
      Array.from({ length: 5 }, () => 'REACTOR_FRAME_MALFORMED from 127.0.0.1'),
    );
    const { datagramsReceived, malformed, bytesReceived } = await server.stats();
    assert.deepEqual(
      { datagramsReceived, malformed, bytesReceived },
      { datagramsReceived: 6, malformed: 5, bytesReceived: 64 },
    );
  });

  test(`an unknown id goes to onUnknown, and without that hook to onError (${transport})`, async (t) => {
    const seen: string[] = [];
    const told = await serve(t, { onUnknown: (_, frame) => void seen.push(`unknown ${frame.msgId}`) });
    const coded = await serve(t, { onError: (_, { code }) => void seen.push(code) });
    (await connect(t, told, {})).send(9, 'x');
    (await connect(t, coded, {})).send(9, 'x');
    await until(() => seen.length === 2);
    assert.deepEqual(seen.toSorted(), ['REACTOR_UNKNOWN_MSG_ID', 'unknown 9']);
    assert.equal((await told.stats()).unknownMsgIds, 1);
  });

  test(`a handler that throws or rejects is coded and does not stop the socket (${transport})`, async (t) => {
    const errors: ReactorError[] = [];
    const server = await serve(t, {
      onFrame: {
        1: () => {
          throw new Error('thrown');
        },
        2: () => Promise.reject(new Error('rejected')),
        3: (peer) => peer.send(3, 'alive'),
      },
      onError: (_, error) => void errors.push(error),
    });
    const answers: string[] = [];
    const client = await connect(t, server, { onFrame: (_, frame) => void answers.push(String(frame.body)) });
    for (const msgId of [1, 2, 3]) client.send(msgId, '');
    await until(() => answers.length === 1 && errors.length === 2);
    assert.deepEqual(
      errors.map(({ code, cause }) => [code, (cause as Error).message]),
      [
        ['REACTOR_HANDLER_FAILED', 'thrown'],
        ['REACTOR_HANDLER_FAILED', 'rejected'],
      ],
    );
  });

  test(`a frame is not readable after its handler returned, a copy is (${transport})`, async (t) => {
    const outcomes: string[] = [];
    const server = await serve(t, {
      onFrame: async (_, frame) => {
        const copy = frame.copy();
        await Promise.resolve();
        assert.throws(() => frame.body, { code: 'REACTOR_FRAME_RELEASED' });
        outcomes.push(String(copy.body));
      },
    });
    (await connect(t, server, {})).send(1, 'kept');
    await until(() => outcomes.length === 1);
    assert.deepEqual(outcomes, ['kept']);
  });

  test(`with the codec raw a datagram is whatever it is (${transport})`, async (t) => {
    const server = await serve(t, { onDatagram: (peer, datagram) => peer.send(datagram) }, { codec: 'raw' });
    const plain = dgram.createSocket('udp4');
    t.after(() => plain.close());
    plain.send('ping', server.address.port, '127.0.0.1');
    const [answer] = (await once(plain, 'message')) as [Buffer];
    assert.equal(String(answer), 'ping');
  });

  test(`a send beyond the queue bound is dropped and counted, never buffered without limit (${transport})`, async (t) => {
    const server = await serve(t, {});
    const client = new UdpClient({ ...server.address, transport, sendQueueBytesMax: 100 });
    t.after(() => client.close({ drainTimeoutMs: 0 }));
    await client.connect();
    assert.equal(client.send(Buffer.alloc(101)), 'dropped');
    assert.equal(client.send(Buffer.alloc(100)), 'sent');
    assert.equal(client.stats.sendsDropped, 1);
  });

  test(`a client whose server is gone hears of it with a code, and may go on (${transport})`, async (t) => {
    const gone = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    gone.close();
    const errors: string[] = [];
    const client = new UdpClient({
      host: 'localhost',
      port,
      transport,
      handlers: { onError: (_, { code }) => void errors.push(code) },
    });
    t.after(() => client.close({ drainTimeoutMs: 0 }));
    await client.connect();
    client.send(1, 'anybody?');
    await until(() => errors.length > 0);
    assert.match(errors[0] ?? '', /^REACTOR_(CONNECT|SEND)_FAILED$/);
  });

  test(`close waits for async handlers and their answers, then refuses to send (${transport})`, async (t) => {
    const release: (() => void)[] = [];
    const answers: string[] = [];
    const server = await serve(t, {
      onFrame: async (peer) => {
        await new Promise<void>((resolve) => release.push(resolve));
        assert.equal(peer.send(1, 'late but whole'), 'sent');
      },
    });
    const client = await connect(t, server, { onFrame: (_, frame) => void answers.push(String(frame.body)) });
    client.send(1, '');
    await until(() => release.length === 1);
    const closed = server.close({ drainTimeoutMs: 60_000 });
    release[0]?.();
    assert.deepEqual(await closed, { drained: true });
    await until(() => answers.length === 1);
    assert.deepEqual(await client.close(), { drained: true });
    assert.equal(client.send(1, 'x'), 'closed');
  });

  test(`close gives up on a handler that never ends (${transport})`, async (t) => {
    let isStarted = false;
    const server = await serve(t, {
      onFrame: () => {
        isStarted = true;
        return new Promise(() => {});
      },
    });
    (await connect(t, server, {})).send(1, '');
    await until(() => isStarted);
    assert.deepEqual(await server.close({ drainTimeoutMs: 20 }), { drained: false });
  });

  test(`IPv6 and dual stack: an answer finds its way back over either family (${transport})`, {
    skip: !hasIPv6,
  }, async (t) => {
    const server = await serve(t, { onFrame: (peer) => peer.send(1, 'back') }, { host: '::' });
    for (const host of ['127.0.0.1', '::1']) {
      const answers: string[] = [];
      const client = new UdpClient({
        host,
        port: server.address.port,
        transport,
        handlers: { onFrame: (_, frame) => void answers.push(String(frame.body)) },
      });
      await client.connect();
      client.send(1, '');
      await until(() => answers.length === 1);
      await client.close();
    }
  });
});
