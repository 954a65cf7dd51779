// Closing: no newcomers, every answer that was begun arrives, then nothing is left.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ACCEPT_MODES, HttpServer, Reactor } from '../../reactor/index.js';
import { runScript } from '../support/script.js';
import {
  addressOf,
  closeGate,
  openDescriptors,
  openGate,
  serveSteered,
  type SteeredServer,
  STEERED_HTTP,
  stoppedThreads,
  threadOf,
} from '../support/steered-server.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

/** Handlers at work for message 4, on all threads. */
async function held(reactor: Reactor, task: 'held' | 'held-http' = 'held'): Promise<number> {
  const threads = Array.from({ length: Math.max(1, reactor.threads) }, (_, thread) => thread);
  const counts = await Promise.all(threads.map((thread) => reactor.loop.call(thread, task)));
  return counts.reduce<number>((sum, count) => sum + (count as number), 0);
}

async function untilHeld(reactor: Reactor, count: number, task?: 'held' | 'held-http'): Promise<void> {
  while ((await held(reactor, task)) !== count);
}

async function isRefused(steered: SteeredServer): Promise<boolean> {
  const { host, port } = steered.address;
  const socket = net.connect(port!, host);
  const outcome = await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => error.code);
  socket.destroy();
  return outcome === 'ECONNREFUSED';
}

forEachTransport((transport) => {
  for (const { threads, accept } of [
    { threads: 0, accept: 'master' } as const,
    ...ACCEPT_MODES.map((mode) => ({ threads: 2, accept: mode })),
  ]) {
    const where = `${transport}, ${accept}, threads ${threads}`;

    test(`handlers at work finish and are answered, newcomers are refused meanwhile (${where})`, async (t) => {
      const steered = await serveSteered(t, { transport, threads, accept });
      const { reactor } = steered.server;
      const clients = await Promise.all(Array.from({ length: 6 }, () => steered.connect()));
      const answers = clients.map((client, index) => client.ask(4, `answer ${index}`));
      await untilHeld(reactor, clients.length);
      const closing = steered.server.close({ drainTimeoutMs: 10_000 });
      while (!(await isRefused(steered)));
      reactor.loop.broadcast('release');
      const bodies = (await Promise.all(answers)).map(({ body }) => body.toString());
      assert.deepEqual(
        bodies,
        clients.map((_, index) => `answer ${index}`),
      );
      for (const client of clients) client.socket.end();
      assert.deepEqual(await closing, { drained: true });
      await Promise.all(clients.map((client) => client.closed()));
    });

    test(`the deadline cuts off what has not finished, and drained is false (${where})`, async (t) => {
      const steered = await serveSteered(t, { transport, threads, accept });
      const client = await steered.connect();
      client.socket.write(tlvFrame(4, 'never released'));
      await untilHeld(steered.server.reactor, 1);
      assert.deepEqual(await steered.server.close({ drainTimeoutMs: 50 }), { drained: false });
      await client.closed();
    });

    test(`nothing is left: no descriptor, no thread, no counted connection (${where})`, async (t) => {
      const round = async (): Promise<void> => {
        const steered = await serveSteered(t, { transport, threads, accept });
        const clients = await Promise.all(Array.from({ length: 4 }, () => steered.connect()));
        for (const client of clients) await client.ask(1, 'x');
        for (const { socket } of clients) socket.resume(); // they see the end at once
        await steered.server.close({ drainTimeoutMs: 50 });
        await Promise.all(clients.map((client) => client.closed()));
        const { reactor } = steered.server;
        assert.equal(reactor.counters.total('connections_open'), 0);
        assert(reactor.threadsUp.length === 0);
        assert(reactor.loop.isClosed);
      };
      await round(); // what Node opens once and keeps is open before we count
      const before = openDescriptors().length;
      for (let count = 0; count < 3; count += 1) await round();
      await until(() => openDescriptors().length <= before);
    });
  }

  test(`output that waits for a slow reader is delivered before the end (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 1 });
    const { host, port } = steered.address;
    const socket = net.connect(port!, host);
    await once(socket, 'connect');
    socket.pause();
    // More than the kernel buffers between us take: the answers cannot all have been begun when it closes.
    for (let count = 0; count < 64; count += 1) socket.write(tlvFrame(5, String(MIB)));
    const { counters } = steered.server.reactor;
    await until(() => counters.total('frames_received') > 0 && counters.total('reads_paused') > 0);
    const closing = steered.server.close({ drainTimeoutMs: 10_000 });
    let receivedBytes = 0;
    socket.on('data', (chunk: Buffer) => (receivedBytes += chunk.length)).resume();
    await once(socket, 'end');
    assert.deepEqual(await closing, { drained: true });
    const sent = counters.total('frames_sent');
    assert(sent < 64, 'no frame is begun once draining has');
    assert.equal(receivedBytes, sent * (MIB + 8), 'frames that were begun arrive whole');
  });

  test(`closing again gives the same answer, from server and reactor alike (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 1 });
    const client = await steered.connect();
    await client.ask(1, 'x');
    const results = await Promise.all([
      steered.server.close(),
      steered.server.close({ drainTimeoutMs: 0 }),
      steered.server.reactor.close(),
    ]);
    assert.deepEqual(
      results.map(({ drained }) => drained),
      [true, true, true],
    );
    assert.deepEqual(await steered.server.close(), { drained: true });
    await assert.rejects(steered.server.listen(), { code: 'REACTOR_CLOSED' });
    client.socket.destroy();
  });

  test(`a thread that does not answer is ended at the deadline, and drained is false (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    const [stopped, free] = await Promise.all([steered.connect(), steered.connect()]);
    await threadOf(free);
    closeGate();
    t.after(openGate);
    stopped.socket.write(tlvFrame(6, ''));
    await until(() => stoppedThreads() === 1);
    assert.deepEqual(await steered.server.close({ drainTimeoutMs: 20 }), { drained: false });
    await Promise.all([stopped.closed(), free.closed()]);
  });

  test(`a thread that is lost while draining makes drained false (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    const client = await steered.connect();
    client.socket.write(tlvFrame(4, 'lost'));
    await untilHeld(steered.server.reactor, 1);
    const thread = steered.server.reactor.occupancy.openOn(0) === 1 ? 0 : 1;
    const closing = steered.server.close({ drainTimeoutMs: 20_000 });
    await steered.terminate(thread);
    assert.deepEqual(await closing, { drained: false });
    await client.closed();
  });

  for (const threads of [0, 2]) {
    test(`HTTP: a request at work is answered with Connection: close, idle connections end (${transport}, threads ${threads})`, async (t) => {
      const server = new HttpServer({
        transport,
        threads,
        host: '127.0.0.1',
        handlers: STEERED_HTTP[transport],
      });
      t.after(() => server.close({ drainTimeoutMs: 0 }));
      const url = `http://${addressOf(await server.listen())}`;
      const agent = new http.Agent({ keepAlive: true });
      t.after(() => agent.destroy());
      const request = http.get(`${url}/`, { agent });
      const [idle] = (await once(request, 'socket')) as [net.Socket];
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      await text(response);
      const busy = net.connect(server.address.port!, '127.0.0.1');
      busy.write('GET /hold HTTP/1.1\r\nHost: x\r\n\r\n');
      await untilHeld(server.reactor, 1, 'held-http');
      const closing = server.close({ drainTimeoutMs: 10_000 });
      await once(idle, 'close');
      server.reactor.loop.broadcast('release-http');
      const answer = await text(busy);
      assert.match(answer, /Connection: close\r\n[^]*released/);
      assert.deepEqual(await closing, { drained: true });
    });
  }

  for (const when of ['before it listens', 'while it starts'] as const) {
    test(`a server that is closed ${when} ends all the same (${transport})`, async (t) => {
      const before = openDescriptors().length;
      const reactor = new Reactor({ transport, threads: 2 });
      const server = new HttpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HTTP[transport] });
      t.after(() => reactor.close());
      const listening = when === 'while it starts' ? server.listen() : Promise.resolve();
      const refused = listening.then(
        () => null,
        (error: { code: string }) => error.code,
      );
      assert.deepEqual(await reactor.close(), { drained: true });
      assert([null, 'REACTOR_CLOSED', 'REACTOR_THREAD_LOST'].includes(await refused));
      await until(() => openDescriptors().length <= before);
    });
  }

  for (const script of ['closes', 'keeps-serving']) {
    test(`a process whose server ${script} ends by itself exactly when it should (${transport})`, async () => {
      const path = new URL(`fixtures/process-that-${script}.js`, import.meta.url);
      assert.deepEqual(await runScript(path, [transport], 30_000), {
        stdout: 'served, closed\n',
        stderr: '',
        code: 0,
        signal: null,
      });
    });
  }

  test(`a client that is there when the last answer leaves gets it before the end (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => steered.connect()));
    const asked = clients.map((client, index) => client.ask(4, String(index)));
    await untilHeld(steered.server.reactor, 10);
    const closing = steered.server.close();
    steered.server.reactor.loop.broadcast('release');
    assert.deepEqual(
      (await Promise.all(asked)).map(({ body }) => Number(body.toString())),
      Array.from({ length: 10 }, (_, index) => index),
    );
    await Promise.all(clients.map((client: TlvClient) => client.closed()));
    assert.deepEqual(await closing, { drained: true });
  });
});
