// Connections beyond a limit are closed and counted; places that become free can be taken again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ACCEPT_MODES, type AcceptMode } from '../../reactor/index.js';
import { serveSteered, type SteeredServer } from '../support/steered-server.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

/** 'inline' is threads: 0. */
const PLACES: readonly ('inline' | AcceptMode)[] = ['inline', ...ACCEPT_MODES];

function placed(place: 'inline' | AcceptMode, threads: number): { threads: number; accept?: AcceptMode } {
  return place === 'inline' ? { threads: 0 } : { threads, accept: place };
}

/** A client that was answered, or null when it was refused by a close. */
async function tryClient(
  t: TestContext,
  steered: SteeredServer,
  localAddress = '127.0.0.1',
): Promise<net.Socket | null> {
  const socket = net.connect({ host: '127.0.0.1', port: steered.address.port!, localAddress });
  t.after(() => socket.destroy());
  socket.on('error', () => {}); // a reset is a refusal too
  socket.write(tlvFrame(1, 'x'));
  const answered = once(socket, 'data').then(() => true);
  const closed = once(socket, 'close').then(() => false);
  answered.catch(() => {}); // refused by a reset: 'close' follows
  closed.catch(() => {});
  return (await Promise.race([answered, closed]).catch(() => false)) ? socket : null;
}

async function fill(t: TestContext, steered: SteeredServer, count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  while (sockets.length < count) {
    const socket = await tryClient(t, steered);
    assert(socket !== null, `client ${sockets.length + 1} of ${count} is served`);
    sockets.push(socket);
  }
  return sockets;
}

function refusals(steered: SteeredServer): { refused: number; coded: number } {
  const { counters } = steered.server.reactor;
  return {
    refused: counters.total('connections_refused'),
    coded: counters.errorTotal('REACTOR_CONNECTION_LIMIT'),
  };
}

forEachTransport((transport) => {
  for (const place of PLACES) {
    test(`connectionsMax refuses by closing, counts, and takes newcomers when places are free (${transport}, ${place})`, async (t) => {
      const steered = await serveSteered(t, { transport, ...placed(place, 2), connectionsMax: 4 });
      const [first] = await fill(t, steered, 4);
      assert.equal(await tryClient(t, steered), null);
      assert.equal(await tryClient(t, steered), null);
      assert.deepEqual(refusals(steered), { refused: 2, coded: 2 });
      first!.destroy();
      await until(() => steered.server.reactor.occupancy.open() === 3);
      await fill(t, steered, 1);
      assert.equal(await tryClient(t, steered), null);
    });

    test(`connectionsPerThreadMax holds on every thread (${transport}, ${place})`, async (t) => {
      const steered = await serveSteered(t, { transport, ...placed(place, 1), connectionsPerThreadMax: 3 });
      await fill(t, steered, 3);
      assert.equal(await tryClient(t, steered), null);
      assert.deepEqual(refusals(steered), { refused: 1, coded: 1 });
    });

    test(`connectionsPerAddressMax refuses one address and no other (${transport}, ${place})`, async (t) => {
      const steered = await serveSteered(t, { transport, ...placed(place, 2), connectionsPerAddressMax: 2 });
      const [first] = await fill(t, steered, 2);
      assert.equal(await tryClient(t, steered), null);
      assert.notEqual(await tryClient(t, steered, '127.0.0.2'), null);
      assert.deepEqual(refusals(steered), { refused: 1, coded: 1 });
      first!.destroy();
      await until(() => steered.server.reactor.occupancy.openFrom('127.0.0.1') === 1);
      assert.notEqual(await tryClient(t, steered), null);
    });
  }

  for (const accept of ACCEPT_MODES) {
    test(`the places of a thread that dies are free again (${transport}, ${accept})`, async (t) => {
      const steered = await serveSteered(t, { transport, threads: 1, accept, connectionsMax: 3 });
      await fill(t, steered, 3);
      await steered.endThread(0, 'exit');
      await steered.allUp();
      assert.equal(steered.server.reactor.occupancy.openFrom('127.0.0.1'), 0);
      await fill(t, steered, 3);
      assert.equal(await tryClient(t, steered), null);
    });
  }

  test(`a thread that is full does not keep newcomers from one that has room (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2, connectionsPerThreadMax: 2 });
    const sockets = await fill(t, steered, 4); // thread 0, 1, 0, 1
    sockets[1]!.destroy();
    sockets[3]!.destroy();
    await until(() => steered.server.reactor.occupancy.openOn(1) === 0);
    await fill(t, steered, 2);
    assert.equal(await tryClient(t, steered), null);
  });

  test(`Unix clients are counted in all, not by address (${transport})`, async (t) => {
    const path = join(tmpdir(), `reactor-net-limits-${process.pid}`);
    const limits = { connectionsMax: 5, connectionsPerAddressMax: 1 };
    const steered = await serveSteered(t, { transport, threads: 1, path, ...limits });
    const clients: TlvClient[] = [];
    for (let count = 0; count < 5; count += 1) {
      const client = await TlvClient.connect(path);
      await client.ask(1, 'x');
      clients.push(client);
    }
    const refused = await TlvClient.connect(path);
    await refused.closed();
    assert.deepEqual(refusals(steered), { refused: 1, coded: 1 });
    for (const { socket } of clients) socket.destroy();
  });

  for (const [name, value] of [
    ['connectionsMax', 0],
    ['connectionsPerThreadMax', 1.5],
    ['connectionsPerAddressMax', -1],
  ] as const) {
    test(`${name}: ${value} is refused by name (${transport})`, async (t) => {
      await assert.rejects(serveSteered(t, { transport, threads: 0, [name]: value }), {
        code: 'REACTOR_OPTION_INVALID',
        message: new RegExp(name),
      });
    });
  }
});
