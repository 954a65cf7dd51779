// What a sub-reactor takes along when it ends, and what its successor finds.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { type AcceptMode, HttpServer } from '../../reactor/index.js';
import {
  addressOf,
  openDescriptors,
  serveSteered,
  type SteeredServer,
  STEERED_HTTP,
  threadOf,
} from '../support/steered-server.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

/** One client on each of two threads. */
async function clientPerThread(steered: SteeredServer): Promise<[TlvClient, TlvClient]> {
  const clients: TlvClient[] = [];
  while (clients[0] === undefined || clients[1] === undefined) {
    const client = await steered.connect();
    const thread = await threadOf(client);
    if (clients[thread] === undefined) clients[thread] = client;
    else client.socket.destroy();
  }
  return [clients[0], clients[1]];
}

/** Open descriptors of a thread that has served before: the first socket of a loop makes libuv keep a spare one. */
async function descriptorsInUse(steered: SteeredServer): Promise<number> {
  const client = await steered.connect();
  await client.ask(1, 'first');
  client.socket.destroy();
  await once(client.socket, 'close');
  await until(() => steered.server.reactor.occupancy.open() === 0);
  return openDescriptors().length;
}

/** Asks one thing after the other until told to stop; how many answers came. */
async function keepAsking(client: TlvClient, signal: AbortSignal): Promise<number> {
  let answers = 0;
  while (!signal.aborted) {
    assert.equal((await client.ask(1, `question ${answers}`)).body.toString(), `question ${answers}`);
    answers += 1;
  }
  return answers;
}

forEachTransport((transport) => {
  for (const how of ['throw', 'reject', 'exit'] as const) {
    test(`a thread that ends by ${how} loses its own connections, is counted, and serves again (${transport})`, async (t) => {
      const steered = await serveSteered(t, { transport, threads: 2 });
      const { counters, occupancy } = steered.server.reactor;
      const [lost, kept] = await clientPerThread(steered);
      const stop = new AbortController();
      const asking = keepAsking(kept, stop.signal);

      await steered.endThread(0, how);
      await lost.closed();
      assert.equal(counters.row(0).get('thread_restarts'), 1);
      assert.equal(counters.errorTotal('REACTOR_THREAD_LOST'), 1);
      assert.equal(counters.row(0).get('connections_open'), 0);
      assert.equal(
        counters.row(0).get('connections_closed'),
        counters.row(0).get('connections_opened'),
        'what died with the thread is counted as closed',
      );
      assert.equal(occupancy.openOn(0), 0);

      await steered.allUp();
      const [again, beside] = await clientPerThread(steered);
      assert.equal((await again.ask(1, 'again')).body.toString(), 'again');
      stop.abort();
      assert((await asking) > 0);
      assert.equal(counters.row(1).get('thread_restarts'), 0);
      for (const client of [kept, again, beside]) client.socket.destroy();
    });
  }

  test(`a thread that keeps ending is started again each time (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 1 });
    const before = await descriptorsInUse(steered);
    for (let round = 1; round <= 4; round += 1) {
      await steered.endThread(0, 'throw');
      await steered.allUp();
      assert.equal(steered.restarts(0), round);
      const client = await steered.connect();
      assert.equal(await threadOf(client), 0);
      client.socket.destroy();
      await once(client.socket, 'close');
    }
    await until(() => openDescriptors().length <= before);
  });

  for (const accept of ['master', 'reuseport', 'shared'] as AcceptMode[]) {
    test(`who connects while the only thread is down is served by its successor (${transport}, ${accept})`, async (t) => {
      const steered = await serveSteered(t, { transport, threads: 1, accept });
      const before = await descriptorsInUse(steered);
      await steered.endThread(0, 'exit');
      assert.notEqual(steered.server.reactor.threadStatus[0]!.state, 'up');
      const clients = await Promise.all(Array.from({ length: 10 }, () => steered.connect()));
      const answers = await Promise.all(clients.map((client, index) => client.ask(1, `early ${index}`)));
      assert.deepEqual(
        answers.map(({ body }) => body.toString()),
        clients.map((_, index) => `early ${index}`),
      );
      for (const client of clients) client.socket.destroy();
      await until(() => openDescriptors().length <= before);
    });
  }

  test(`a server that is added while a thread is down comes up on its successor (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    const { reactor } = steered.server;
    await steered.endThread(1, 'exit');
    const web = new HttpServer({ reactor, host: '127.0.0.1', handlers: STEERED_HTTP[transport] });
    await web.listen();
    await steered.allUp();
    const threads = new Set<string>();
    for (let count = 0; count < 2; count += 1) {
      const response = await fetch(`http://${addressOf(web.address)}/`, { headers: { connection: 'close' } });
      threads.add(await response.text());
    }
    assert.deepEqual([...threads].toSorted(), ['0', '1']);
  });

  test(`frames that were answered are not asked again, those that were not are cut off visibly (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 1 });
    const socket: Socket = connect({ ...steered.address, port: steered.address.port! });
    await once(socket, 'connect');
    const ended = once(
      socket.on('error', () => {}),
      'close',
    );
    socket.write(Buffer.concat([tlvFrame(1, 'answered'), tlvFrame(3, 'exit'), tlvFrame(1, 'never')]));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await ended;
    assert(!Buffer.concat(chunks).includes('never'));
  });
});
