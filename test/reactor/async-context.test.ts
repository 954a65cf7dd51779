// AsyncLocalStorage across handlers: what one enters belongs to what it begins, and to nobody else's handler,
// although one call from the kernel's side may bring frames of many connections.

import assert from 'node:assert/strict';
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { Connection, Frame, Handlers } from '../../reactor/index.js';
import { TcpClient, UdpServer } from '../../reactor/index.js';
import { bodiesOf, keptGet, serveHttp1 } from '../support/http1-server.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type WatchedServer } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { until } from '../support/until.js';

const ENTER = 1;
const LOOK = 2;
const CLIENTS = 4;

const store = new AsyncLocalStorage<string>();
const entered = (): string => store.getStore() ?? 'nothing';

/** Clients whose frames, written in one go, the native transport finds in one batch. */
async function clientsOf(t: TestContext, { port }: WatchedServer): Promise<RawClient[]> {
  return await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect(t, port)));
}

async function textsFor(client: RawClient, count: number): Promise<string[]> {
  return (await client.receiveFrames(count)).map(({ body }) => body.toString());
}

/** Everything that a handler may begin sees what it entered; the answer says what was seen. */
async function enterAndLook(connection: Connection, frame: Frame): Promise<void> {
  const before = entered();
  store.enterWith(frame.body.toString());
  const seen = [before, entered()];
  const begun: ((look: () => void) => unknown)[] = [
    (look) => Promise.resolve().then(look),
    (look) => process.nextTick(look),
    (look) => setImmediate(look),
    (look) => setTimeout(look, 1),
    (look) => connection.loop.queueInLoop(look),
    (look) => connection.loop.runAfter(1, look),
  ];
  for (const begin of begun) {
    await new Promise<void>((resolve) => {
      begin(() => {
        seen.push(entered());
        resolve();
      });
    });
  }
  seen.push(entered());
  connection.send(ENTER, seen.join(' '));
}

forEachTransport((transport: TransportName) => {
  test(`${transport}: a store entered in a handler is seen by all that it began, and by no other connection`, async (t) => {
    const handlers: Handlers = { onFrame: { [ENTER]: enterAndLook } };
    const clients = await clientsOf(t, await serve(t, transport, handlers));
    for (let round = 1; round <= 3; round += 1) {
      for (const [index, client] of clients.entries()) client.send(ENTER, `c${index}r${round}`);
      for (const [index, client] of clients.entries()) {
        const text = `c${index}r${round}`;
        const answers = await textsFor(client, round);
        assert.equal(answers.at(-1), ['nothing', ...Array.from({ length: 8 }, () => text)].join(' '));
      }
    }
  });

  test(`${transport}: handlers run together keep their stores apart over every await`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: {
        [ENTER]: (connection, frame) =>
          store.run(frame.body.toString(), async () => {
            for (let step = 0; step < 5; step += 1) await (step % 2 === 0 ? nextTurn() : delay(1));
            connection.send(ENTER, entered());
          }),
      },
    });
    const clients = await clientsOf(t, watched);
    for (const [index, client] of clients.entries()) {
      client.write(Buffer.concat([tlvFrame(ENTER, `${index} a`), tlvFrame(ENTER, `${index} b`)]));
    }
    for (const [index, client] of clients.entries()) {
      assert.deepEqual((await textsFor(client, 2)).toSorted(), [`${index} a`, `${index} b`]);
    }
  });

  test(`${transport}: what hooks enter stays in them`, async (t) => {
    const seen: string[] = [];
    const look = (hook: string) => (): void => {
      seen.push(`${hook} ${entered()}`);
      store.enterWith(hook);
    };
    const watched = await serve(t, transport, {
      onConnect: look('onConnect'),
      onHalfClose: look('onHalfClose'),
      onClose: look('onClose'),
      onFrame: { [LOOK]: (connection) => connection.send(LOOK, entered()) },
    });
    const clients = await clientsOf(t, watched);
    for (const client of clients) client.send(LOOK);
    for (const client of clients) assert.deepEqual(await textsFor(client, 1), ['nothing']);
    for (const client of clients) client.end();
    await watched.closed(CLIENTS);
    const each = ['onConnect nothing', 'onHalfClose nothing', 'onClose nothing'];
    assert.deepEqual(
      seen.toSorted(),
      each.flatMap((line) => Array.from({ length: CLIENTS }, () => line)).toSorted(),
    );
  });

  test(`${transport}: frames that were held back do not see the store of whoever lets them go on`, async (t) => {
    let held: Connection | null = null;
    const watched = await serve(t, transport, {
      onFrame: {
        [LOOK]: (connection) => {
          if (held === null) {
            held = connection;
            connection.pause();
          }
          connection.send(LOOK, entered());
        },
        [ENTER]: (connection) => {
          store.enterWith('of the other');
          held?.resume();
          connection.send(ENTER, entered());
        },
      },
    });
    const first = await RawClient.connect(t, watched.port);
    first.write(Buffer.concat([tlvFrame(LOOK, ''), tlvFrame(LOOK, ''), tlvFrame(LOOK, '')]));
    await first.receiveFrames(1);
    const second = await RawClient.connect(t, watched.port);
    second.send(ENTER);
    assert.deepEqual(await textsFor(second, 1), ['of the other']);
    assert.deepEqual(await textsFor(first, 3), ['nothing', 'nothing', 'nothing']);
  });

  test(`${transport}: nor the context in which they are let go on`, async (t) => {
    const elsewhere = store.run('elsewhere', () => new AsyncResource('Test', { requireManualDestroy: true }));
    let held: Connection | null = null;
    const watched = await serve(t, transport, {
      onFrame: {
        [LOOK]: (connection) => {
          if (held === null) {
            held = connection;
            connection.pause();
          }
          connection.send(LOOK, entered());
        },
        [ENTER]: (connection) => {
          elsewhere.runInAsyncScope(() => held?.resume());
          connection.send(ENTER, entered());
        },
      },
    });
    const first = await RawClient.connect(t, watched.port);
    first.write(Buffer.concat([tlvFrame(LOOK, ''), tlvFrame(LOOK, ''), tlvFrame(LOOK, '')]));
    await first.receiveFrames(1);
    const second = await RawClient.connect(t, watched.port);
    second.send(ENTER);
    assert.deepEqual(await textsFor(second, 1), ['nothing']);
    assert.deepEqual(await textsFor(first, 3), ['nothing', 'nothing', 'nothing']);
  });

  test(`${transport}: the first store that is ever entered is not seen by the frames behind it`, async (t) => {
    const fresh = new AsyncLocalStorage<string>();
    const watched = await serve(t, transport, {
      onFrame: (connection, frame) => {
        const before = fresh.getStore() ?? 'nothing';
        fresh.enterWith(frame.body.toString());
        setImmediate(() => connection.send(LOOK, `${before} ${fresh.getStore()}`));
      },
    });
    const clients = await clientsOf(t, watched);
    for (const [index, client] of clients.entries()) client.send(ENTER, `${index}`);
    for (const [index, client] of clients.entries()) {
      assert.deepEqual(await textsFor(client, 1), [`nothing ${index}`]);
    }
  });

  test(`${transport}: what is entered where a server or a client is made is entered in its handlers`, async (t) => {
    const watched = await store.run('server', () =>
      serve(t, transport, { onFrame: { [LOOK]: (connection) => connection.send(LOOK, entered()) } }),
    );
    const raw = await RawClient.connect(t, watched.port);
    raw.send(LOOK);
    assert.deepEqual(await textsFor(raw, 1), ['server']);
    const answer = new Promise<string>((resolve) => {
      const handlers: Handlers = {
        onFrame: { [LOOK]: (_connection, frame) => resolve(`${frame.body.toString()} ${entered()}`) },
      };
      const client = store.run(
        'client',
        () => new TcpClient({ host: '127.0.0.1', port: watched.port, transport, handlers }),
      );
      t.after(() => client.destroy());
      void client.connect().then((connection) => connection.send(LOOK, ''));
    });
    assert.equal(await answer, 'server client');
  });

  test(`${transport}: a datagram's handler does not see the store of the one before`, async (t) => {
    const seen: string[] = [];
    const server = new UdpServer({
      host: '127.0.0.1',
      transport,
      handlers: {
        onFrame: (_peer, frame) => {
          seen.push(entered());
          store.enterWith(frame.body.toString());
        },
      },
    });
    t.after(() => server.close());
    const { port } = await server.listen();
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    for (let count = 0; count < CLIENTS; count += 1) socket.send(tlvFrame(ENTER, 'x'), port, '127.0.0.1');
    await until(() => seen.length === CLIENTS);
    assert.deepEqual(
      seen,
      Array.from({ length: CLIENTS }, () => 'nothing'),
    );
  });

  test(`${transport}: tasks by name see nobody's store, although they run in one turn`, async (t) => {
    const { server } = await serve(t, transport, {});
    const { loop } = server.reactor;
    const seen: string[] = [];
    loop.register('look', () => {
      seen.push(entered());
      store.enterWith('of the one before');
    });
    store.run('of the sender', () => {
      for (let count = 0; count < CLIENTS; count += 1) loop.post(0, 'look');
    });
    await until(() => seen.length === CLIENTS);
    assert.deepEqual(
      seen,
      Array.from({ length: CLIENTS }, () => 'nothing'),
    );
  });

  test(`${transport}: HTTP requests see nobody's store, on one connection and on many`, async (t) => {
    const front = await serveHttp1(t, transport, async (request, respond) => {
      const before = entered();
      store.enterWith(request.target);
      await nextTurn();
      respond(200, {}, `${before} ${entered()}`);
    });
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => RawClient.connect(t, front.port)),
    );
    for (const [index, client] of clients.entries())
      client.write(keptGet(`/${index}/a`) + keptGet(`/${index}/b`));
    for (const [index, client] of clients.entries()) {
      const expected = [`nothing /${index}/a`, `nothing /${index}/b`];
      const isThere = (): boolean =>
        bodiesOf(client.received().toString('latin1')).join().length === expected.join().length;
      while (!isThere()) await once(client.socket, 'data');
      assert.deepEqual(bodiesOf(client.received().toString('latin1')), expected);
    }
  });
});
