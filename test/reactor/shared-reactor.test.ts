// Several servers on one reactor: they share its threads, and one may leave while the others serve.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ACCEPT_MODES,
  type Handlers,
  HttpServer,
  Reactor,
  TcpServer,
  type TcpServerOptions,
} from '../../reactor/index.js';
import {
  addressOf,
  openDescriptors,
  STEERED_HANDLERS,
  STEERED_HTTP,
  threadOf,
} from '../support/steered-server.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

/** A plain handler on the calling thread, by value. */
const ECHO: Handlers = {
  onFrame: { 1: (connection, frame) => connection.send(1, frame.body) },
};

async function askOn(address: string, signal: AbortSignal): Promise<number> {
  const client = await TlvClient.connect(address);
  let answers = 0;
  for (; !signal.aborted; answers += 1) await client.ask(1, `q${answers}`);
  client.socket.destroy();
  return answers;
}

async function getOn(url: string, signal: AbortSignal): Promise<number> {
  const agent = new http.Agent({ keepAlive: true });
  let answers = 0;
  for (; !signal.aborted; answers += 1) {
    await new Promise<void>((resolve, reject) => {
      const request = http.get(url, { agent }, (response) => response.resume().on('end', () => resolve()));
      request.on('error', reject);
    });
  }
  agent.destroy();
  return answers;
}

function untilStarting(reactor: Reactor): Promise<void> {
  return until(
    () => reactor.threadStatus.some(({ state }) => state === 'starting') || reactor.threadsUp.length === 2,
  );
}

forEachTransport((transport) => {
  for (const { threads, accept } of [
    { threads: 0, accept: 'master' } as const,
    ...ACCEPT_MODES.map((mode) => ({ threads: 2, accept: mode })),
  ]) {
    test(`TCP, HTTP and Unix servers share threads; one leaves while the others serve (${transport}, ${accept}, threads ${threads})`, async (t) => {
      const path = join(tmpdir(), `reactor-net-shared-${process.pid}`);
      t.after(() => rmSync(path, { force: true }));
      const reactor = new Reactor({ transport, threads, accept });
      t.after(() => reactor.close({ drainTimeoutMs: 0 }));
      const handlers = STEERED_HANDLERS;
      const tcp = new TcpServer({ reactor, host: '127.0.0.1', handlers });
      const web = new HttpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HTTP[transport] });
      const unix = new TcpServer({ reactor, path, handlers });
      await Promise.all([tcp.listen(), web.listen(), unix.listen()]);
      const stop = new AbortController();
      const others = [
        getOn(`http://${addressOf(web.address)}/`, stop.signal),
        askOn(path, stop.signal),
        askOn(path, stop.signal),
      ];

      const left = addressOf(tcp.address);
      const leaving = await TlvClient.connect(left);
      await leaving.ask(1, 'x');
      const [result] = await Promise.all([tcp.close(), leaving.closed()]);
      assert.deepEqual(result, { drained: true });
      await assert.rejects(TlvClient.connect(left), { code: 'ECONNREFUSED' });
      assert.throws(() => tcp.address, { code: 'REACTOR_CLOSED' });

      await tcp.listen(); // and comes back
      const back = await TlvClient.connect(addressOf(tcp.address));
      await back.ask(1, 'x');
      back.socket.destroy();
      stop.abort();
      for (const answers of await Promise.all(others)) assert(answers > 0);
      assert.equal(reactor.counters.total('connections_refused'), 0);
    });

    test(`servers that come and go leave nothing on the reactor (${transport}, ${accept}, threads ${threads})`, async (t) => {
      const reactor = new Reactor({ transport, threads, accept });
      t.after(() => reactor.close({ drainTimeoutMs: 0 }));
      const round = async (): Promise<void> => {
        const server = new TcpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HANDLERS });
        const address = addressOf(await server.listen());
        const clients = await Promise.all(Array.from({ length: 4 }, () => TlvClient.connect(address)));
        for (const client of clients) {
          await client.ask(1, 'x');
          client.socket.resume();
        }
        await server.close();
        await Promise.all(clients.map((client) => client.closed()));
      };
      await round();
      const before = openDescriptors().length;
      for (let count = 0; count < 4; count += 1) await round();
      await until(() => openDescriptors().length <= before && reactor.occupancy.open() === 0);
    });
  }

  for (const accept of ACCEPT_MODES) {
    test(`servers come and go while threads die, and end up where they should (${transport}, ${accept})`, async (t) => {
      const reactor = new Reactor({
        transport,
        threads: 2,
        accept,
        restartBackoff: { firstMs: 0, capMs: 0 },
      });
      t.after(() => reactor.close({ drainTimeoutMs: 0 }));
      const create = (): TcpServer =>
        new TcpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HANDLERS });
      let present = create();
      await present.listen();
      for (let round = 0; round < 8; round += 1) {
        const restarts = reactor.counters.total('thread_restarts');
        reactor.loop.post(round % 2, 'end-thread', 'exit');
        // Before, while and after the thread starts anew.
        const turns = round % 4;
        if (turns > 0) await until(() => reactor.counters.total('thread_restarts') > restarts);
        for (let turn = 1; turn < turns; turn += 1) await untilStarting(reactor);
        const next = create();
        const left = addressOf(present.address);
        await Promise.all([next.listen(), present.close()]);
        await until(
          () => reactor.counters.total('thread_restarts') > restarts && reactor.threadsUp.length === 2,
        );
        await assert.rejects(TlvClient.connect(left), { code: 'ECONNREFUSED' });
        const clients = await Promise.all(
          Array.from({ length: 24 }, () => TlvClient.connect(addressOf(next.address))),
        );
        const threads = await Promise.all(clients.map((client) => threadOf(client)));
        if (accept !== 'shared') assert.equal(new Set(threads).size, 2, 'both threads have the new server');
        for (const { socket } of clients) socket.destroy();
        present = next;
      }
    });
  }

  test(`a server that cannot listen leaves the others of its reactor alone (${transport})`, async (t) => {
    const reactor = new Reactor({ transport, threads: 1 });
    t.after(() => reactor.close({ drainTimeoutMs: 0 }));
    const first = new TcpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HANDLERS });
    await first.listen();
    const { port } = first.address;
    const second = new TcpServer({ reactor, host: '127.0.0.1', port: port!, handlers: STEERED_HANDLERS });
    await assert.rejects(second.listen(), { code: 'REACTOR_PORT_IN_USE' });
    const missing = new TcpServer({ reactor, host: '127.0.0.1', handlers: '/no/such/handlers.js' });
    await assert.rejects(missing.listen(), { code: 'REACTOR_HANDLERS_INVALID' });
    assert.deepEqual(
      reactor.threadStatus.map(({ state }) => state),
      ['up'],
    );
    const client = await TlvClient.connect(addressOf(first.address));
    await client.ask(1, 'x');
    client.socket.destroy();
  });

  test(`a server listens once at a time (${transport})`, async (t) => {
    const server = new TcpServer({ transport, threads: 0, host: '127.0.0.1', handlers: ECHO });
    t.after(() => server.close());
    const first = server.listen();
    await assert.rejects(server.listen(), { code: 'REACTOR_CLOSED' });
    await first;
    await assert.rejects(server.listen(), { code: 'REACTOR_CLOSED' });
    const client = await TlvClient.connect(addressOf(server.address));
    await client.ask(1, 'still served');
    client.socket.destroy();
  });

  test(`threads: 0 takes handlers as values, as a function or as a module, all on the calling thread (${transport})`, async (t) => {
    const forms: TcpServerOptions['handlers'][] = [
      ECHO,
      (loop) => {
        assert.equal(loop.threadIndex, 'main');
        return ECHO;
      },
      async () => ECHO,
      STEERED_HANDLERS,
      STEERED_HANDLERS.href,
    ];
    for (const handlers of forms) {
      const server = new TcpServer({ transport, threads: 0, host: '127.0.0.1', handlers });
      t.after(() => server.close());
      const client = await TlvClient.connect(addressOf(await server.listen()));
      assert.equal((await client.ask(1, 'x')).body.toString(), 'x');
      client.socket.destroy();
      assert.equal(server.reactor.threads, 0);
      assert.deepEqual(
        server.reactor.threadStatus.map(({ thread, state }) => ({ thread, state })),
        [{ thread: 0, state: 'up' }],
      );
    }
  });

  test(`handlers as values are refused where threads would have to load them (${transport})`, () => {
    for (const handlers of [ECHO, () => ECHO]) {
      assert.throws(() => new TcpServer({ transport, threads: 1, port: 0, handlers }), {
        code: 'REACTOR_OPTION_INVALID',
        message: /URL of a module/,
      });
    }
    assert.throws(() => new HttpServer({ transport, threads: 1, port: 0, handlers: () => () => {} }), {
      code: 'REACTOR_OPTION_INVALID',
    });
  });

  test(`a handler that throws closes its own connection only, wherever it runs (${transport})`, async (t) => {
    const server = new TcpServer({
      transport,
      threads: 0,
      host: '127.0.0.1',
      handlers: {
        onFrame: {
          1: (connection, frame) => connection.send(1, frame.body),
          2: () => {
            throw new Error('on purpose');
          },
        },
      },
    });
    t.after(() => server.close());
    const address = addressOf(await server.listen());
    const [broken, whole] = await Promise.all([TlvClient.connect(address), TlvClient.connect(address)]);
    broken.socket.write(Buffer.concat([tlvFrame(1, 'answered first'), tlvFrame(2, '')]));
    assert.equal((await broken.next()).body.toString(), 'answered first');
    await broken.closed();
    assert.equal((await whole.ask(1, 'x')).body.toString(), 'x');
    whole.socket.destroy();
    assert.equal(server.reactor.counters.errorTotal('REACTOR_HANDLER_FAILED'), 1);
  });
});
