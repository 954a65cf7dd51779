// The main reactor's choice of thread, seen by the clients who ask which one serves them.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import net from 'node:net';
import { once } from 'node:events';
import type { PeerAddress, ThreadLoad } from '../../reactor/index.js';
import { serveSteered, type SteeredServer, threadOf } from '../support/steered-server.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

async function connectMany(t: TestContext, steered: SteeredServer, count: number): Promise<TlvClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => steered.connect()));
  t.after(() => {
    for (const { socket } of clients) socket.destroy();
  });
  return clients;
}

/** How many of the clients each thread serves. */
async function spread(clients: readonly TlvClient[], threads: number): Promise<number[]> {
  const counts = Array.from({ length: threads }, () => 0);
  for (const thread of await Promise.all(clients.map((client) => threadOf(client)))) counts[thread]! += 1;
  return counts;
}

/** The thread that serves a client bound to `localAddress`. */
async function threadFor(steered: SteeredServer, localAddress: string): Promise<number> {
  const socket = net.connect({ host: '127.0.0.1', port: steered.address.port!, localAddress });
  await once(socket, 'connect');
  socket.write(tlvFrame(2, ''));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(answer.subarray(8).toString());
}

forEachTransport((transport) => {
  for (const threads of [2, 4]) {
    for (const count of [10, 40]) {
      test(`round robin gives ${threads} threads their share of ${count} connections to within one (${transport})`, async (t) => {
        const steered = await serveSteered(t, { transport, threads });
        const counts = await spread(await connectMany(t, steered, count), threads);
        assert(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(' '));
        assert.deepEqual(
          steered.server.reactor.threadStatus.map(({ connections }) => connections),
          counts,
        );
      });
    }
  }

  test(`round robin passes over a thread that is down and takes it up again (${transport})`, async (t) => {
    const restartBackoff = { firstMs: 400, capMs: 400, jitter: 0 };
    const steered = await serveSteered(t, { transport, threads: 3, restartBackoff });
    await steered.endThread(1, 'exit');
    assert.deepEqual(await spread(await connectMany(t, steered, 10), 3), [5, 0, 5]);
    await steered.allUp();
    assert.deepEqual(await spread(await connectMany(t, steered, 9), 3), [3, 3, 3]);
  });

  test(`least connections fills up the thread that lost most (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2, dispatch: 'least-connections' });
    const first = await connectMany(t, steered, 8);
    for (const client of first) if ((await threadOf(client)) === 0) client.socket.destroy();
    await until(() => steered.server.reactor.occupancy.openOn(0) === 0);
    assert.deepEqual(await spread(await connectMany(t, steered, 4), 2), [4, 0]);
    assert.deepEqual(await spread(await connectMany(t, steered, 4), 2), [2, 2]);
  });

  test(`hash sends one address to one thread, many addresses to all (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2, dispatch: 'hash' });
    const addresses = Array.from({ length: 16 }, (_, index) => `127.0.0.${index + 1}`);
    const threads = new Set<number>();
    for (const address of addresses) {
      const thread = await threadFor(steered, address);
      for (let repeat = 0; repeat < 2; repeat += 1) assert.equal(await threadFor(steered, address), thread);
      threads.add(thread);
    }
    assert.equal(threads.size, 2);
  });

  test(`a function of the user's sees loads and peers, and decides (${transport})`, async (t) => {
    const seen: { candidates: readonly ThreadLoad[]; peer: PeerAddress }[] = [];
    const dispatch = (candidates: readonly ThreadLoad[], peer: PeerAddress): number => {
      seen.push({ candidates, peer });
      return candidates.length - 1;
    };
    const steered = await serveSteered(t, { transport, threads: 3, dispatch });
    assert.deepEqual(await spread(await connectMany(t, steered, 2), 3), [0, 0, 2]);
    assert.deepEqual(
      seen.map(({ candidates }) => candidates.map(({ connections }) => connections)),
      [
        [0, 0, 0],
        [0, 0, 1],
      ],
    );
    for (const { peer } of seen) {
      assert.equal(peer.address, '127.0.0.1');
      assert(peer.port! > 0);
    }
  });

  test(`a function that throws or answers nonsense is counted, and round robin decides (${transport})`, async (t) => {
    let call = 0;
    const dispatch = (): number => {
      call += 1;
      if (call % 2 === 0) throw new Error('on purpose');
      return Number.NaN;
    };
    const steered = await serveSteered(t, { transport, threads: 2, dispatch });
    assert.deepEqual(await spread(await connectMany(t, steered, 6), 2), [3, 3]);
    assert.equal(steered.server.reactor.counters.errorTotal('REACTOR_HANDLER_FAILED'), 6);
  });
});
