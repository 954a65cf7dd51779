// Every way to accept, on one, two and four threads and on every kind of address: who connects is served.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { type Addon, requireAddon } from '../../addon/index.js';
import { ACCEPT_MODES } from '../../reactor/index.js';
import {
  closeGate,
  openDescriptors,
  openGate,
  serverSideDescriptors,
  serveSteered,
  type SteeredServer,
  stoppedThreads,
  threadOf,
} from '../support/steered-server.js';
import { temporarySocketPath } from '../support/temporary-folder.js';
import { type TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const CLIENTS = 24;

/** Connects, asks everyone something of its own, and gives the clients with the threads they met. */
async function askAll(
  t: TestContext,
  steered: SteeredServer,
): Promise<{ clients: TlvClient[]; threads: number[] }> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => steered.connect()));
  t.after(() => {
    for (const { socket } of clients) socket.destroy();
  });
  const answers = await Promise.all(clients.map((client, index) => client.ask(1, `own ${index}`)));
  for (const [index, { body }] of answers.entries()) assert.equal(body.toString(), `own ${index}`);
  return { clients, threads: await Promise.all(clients.map((client) => threadOf(client))) };
}

/** The libuv of Node 20 fills abstract names up with NULs, so that its clients reach only servers of its own. */
function abstractNamesArePadded(): string | false {
  const name = `\0reactor-net-probe-${process.pid}`;
  const addon = requireAddon();
  const server = net.createServer().listen(name);
  const fd = openDescriptors().find((open) => isNamed(addon, open, name));
  server.close();
  return fd === undefined ? 'this Node pads abstract names' : false;
}

function isNamed(addon: Addon, fd: number, name: string): boolean {
  try {
    const address = addon.localAddress(fd);
    return 'path' in address && address.path === name;
  } catch {
    return false; // no socket
  }
}

/** Connections from this port whose SYN nobody has answered, from the kernel's own table. */
function unansweredTo(port: number): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  return rows.filter((row) => {
    const [, , remoteAddress, state] = row.trim().split(/\s+/);
    return remoteAddress === remote && state === '02';
  }).length;
}

forEachTransport((transport) => {
  for (const accept of ACCEPT_MODES) {
    for (const threads of [1, 2, 4]) {
      test(`${CLIENTS} clients are served, without Nagle's delay (${transport}, ${accept}, ${threads} threads)`, async (t) => {
        const steered = await serveSteered(t, { transport, accept, threads });
        const { threads: met } = await askAll(t, steered);
        assert(met.every((thread) => thread >= 0 && thread < threads));
        if (accept !== 'shared')
          assert(new Set(met).size > threads / 2, 'more than half of the threads serve');

        const addon = requireAddon();
        const serving = serverSideDescriptors(steered.address.port!);
        assert.equal(serving.length, CLIENTS, 'one descriptor per connection, whoever accepted it');
        assert(serving.every((fd) => addon.getSocketOption(fd, 'noDelay') === 1));
      });
    }

    test(`a Unix socket is served by two threads and its file goes with the server (${transport}, ${accept})`, async (t) => {
      const path = temporarySocketPath(t);
      const steered = await serveSteered(t, { transport, accept, threads: 2, path });
      assert.deepEqual(steered.address, { path });
      await askAll(t, steered);
      await steered.server.close({ drainTimeoutMs: 0 });
      await assert.rejects(steered.connect(), { code: 'ENOENT' });
    });

    test(`an abstract Unix socket is served (${transport}, ${accept})`, {
      skip: abstractNamesArePadded(),
    }, async (t) => {
      const path = `\0reactor-net-test-${process.pid}-${accept}`;
      const steered = await serveSteered(t, { transport, accept, threads: 2, path });
      await askAll(t, steered);
    });

    test(`without a host IPv4 and IPv6 clients reach the same port (${transport}, ${accept})`, async (t) => {
      const steered = await serveSteered(t, { transport, accept, threads: 2, host: '' });
      const { port } = steered.address;
      for (const host of ['127.0.0.1', '::1']) {
        const socket = net.connect({ host, port: port! });
        socket.end(tlvFrame(1, host));
        let received = '';
        for await (const chunk of socket) received += String(chunk);
        assert(received.endsWith(host), `${host} is answered`);
      }
    });
  }

  for (const accept of ['reuseport', 'shared'] as const) {
    test(`the kernel keeps as many newcomers as backlog says, and one (${transport}, ${accept})`, async (t) => {
      const steered = await serveSteered(t, { transport, accept, threads: 1, backlog: 3 });
      const { port } = steered.address;
      const first = await steered.connect();
      closeGate();
      t.after(openGate);
      first.socket.write(tlvFrame(6, ''));
      await until(() => stoppedThreads() === 1);
      let connected = 0;
      const sockets = Array.from({ length: 8 }, () =>
        net.connect(port!, '127.0.0.1', () => (connected += 1)).on('error', () => {}),
      );
      await until(() => connected + unansweredTo(port!) === sockets.length);
      assert.equal(connected, 4);
      openGate();
      for (const socket of sockets) socket.destroy();
      first.socket.destroy();
    });
  }
});
