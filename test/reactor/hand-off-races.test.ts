// Descriptors that travel between threads which are killed meanwhile: none is lost, none is closed twice.
// REACTOR_TEST_ROUNDS sets how often a thread is killed with connections on their way (default 16).
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { requireAddon } from '../../addon/index.js';
import { descriptorOf } from '../../reactor/acceptor.js';
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
import { TlvClient, tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const ROUNDS = Number(process.env['REACTOR_TEST_ROUNDS'] ?? 16);
const TEXT = 'still here';

/** Opens files until one gets the free number `fd`; they are closed with the test. */
function reopenAsFile(t: TestContext, fd: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'reactor-net-'));
  const opened: number[] = [];
  t.after(() => {
    for (const own of opened) if (own !== fd) closeSync(own);
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'file');
  writeFileSync(file, TEXT);
  while (opened.at(-1) !== fd) {
    assert(opened.length < 1000, `number ${fd} is free`);
    opened.push(openSync(file, 'r'));
  }
}

function readAll(fd: number): string {
  const buffer = Buffer.alloc(64);
  return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
}

async function outcome(client: TlvClient, text: string): Promise<'served' | 'closed'> {
  try {
    assert.equal((await client.ask(1, text)).body.toString(), text);
    return 'served';
  } catch {
    await client.closed();
    return 'closed';
  }
}

async function settled(steered: SteeredServer): Promise<number> {
  await steered.allUp();
  await until(() => steered.server.reactor.occupancy.open() === 0);
  return openDescriptors().length;
}

/** Every thread has had a socket: libuv keeps a spare descriptor per loop from the first one on. */
async function warmUp(steered: SteeredServer): Promise<void> {
  await steered.allUp();
  for (let count = 0; count < 2; count += 1) {
    const client = await steered.connect();
    await client.ask(1, 'first');
    client.socket.destroy();
  }
}

test('a bare number handed over lets its former owner close a stranger’s file: why we do not', async (t) => {
  const addon = requireAddon();
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const fd = descriptorOf(accepted);
  addon.closeFd(fd); // as a thread would that was given the number
  reopenAsFile(t, fd);
  assert.equal(readAll(fd), TEXT);
  accepted.destroy();
  assert.throws(() => readAll(fd), { code: 'EBADF' });
  client.destroy();
});

forEachTransport((transport) => {
  test(`a number that a thread closed and a file reused is never closed by us (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 1 });
    const { port } = steered.address;
    const client = await steered.connect();
    await client.ask(1, 'served');
    const [fd, ...others] = serverSideDescriptors(port!);
    assert(fd !== undefined && others.length === 0);
    client.socket.destroy();
    await until(() => steered.server.reactor.occupancy.open() === 0);

    reopenAsFile(t, fd);
    const next = await steered.connect();
    await next.ask(1, 'served');
    await steered.terminate(0);
    await steered.allUp();
    const last = await steered.connect();
    await last.ask(1, 'served');
    await steered.server.close({ drainTimeoutMs: 0 });
    assert.equal(readAll(fd), TEXT);
    closeSync(fd);
    for (const { socket } of [next, last]) socket.destroy();
  });

  test(`connections on their way to a thread that is killed are served by another (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    await warmUp(steered);
    const before = await settled(steered);
    for (let round = 0; round < Math.ceil(ROUNDS / 4); round += 1) {
      const [stopped, bystander] = await Promise.all([steered.connect(), steered.connect()]);
      const victim = await threadOf(stopped);
      closeGate();
      stopped.socket.write(tlvFrame(6, ''));
      await until(() => stoppedThreads() === 1);
      const clients = await Promise.all(Array.from({ length: 6 }, () => steered.connect()));
      const outcomes = clients.map((client, index) => outcome(client, `${round} ${index}`));
      await until(() => steered.server.reactor.occupancy.openOn(victim) === 4);
      await steered.terminate(victim);
      openGate();
      assert.deepEqual(await Promise.all(outcomes), Array(6).fill('served'));
      await stopped.closed();
      for (const { socket } of [...clients, bystander]) socket.destroy();
      await settled(steered);
    }
    await warmUp(steered);
    assert.equal(await settled(steered), before);
  });

  test(`a thread killed at any moment costs a service or a close, never a descriptor (${transport})`, async (t) => {
    const steered = await serveSteered(t, { transport, threads: 2 });
    await warmUp(steered);
    const before = await settled(steered);
    const seen = { served: 0, closed: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const outcomes = Array.from({ length: 8 }, async (_, index) => {
        const client = await steered.connect();
        const how = await outcome(client, `${round} ${index}`);
        client.socket.destroy();
        return how;
      });
      // Somewhere between the first connect and the last answer.
      for (let turn = 0; turn < round % 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await steered.terminate(round % 2);
      for (const how of await Promise.all(outcomes)) seen[how] += 1;
      await steered.allUp();
    }
    assert.equal(seen.served + seen.closed, ROUNDS * 8);
    assert(seen.served > 0, 'most are served');
    await warmUp(steered);
    assert.equal(await settled(steered), before);
    t.diagnostic(`${ROUNDS} rounds: ${seen.served} served, ${seen.closed} closed`);
  });
});
