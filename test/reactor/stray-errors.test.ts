// What handlers begin and what fails outside of them: an unhandled rejection, a throw in a tick, a microtask, a timer.
// As in any Node program it ends the thread, unless the handler module listens; and it costs no frame behind it.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TcpServer } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport, type TransportName } from '../support/transports.js';
import { until } from '../support/until.js';

const [ECHO, BEGIN, LISTEN, HEARD] = [1, 2, 3, 4] as const;
const HANDLERS = new URL('./fixtures/stray-errors.js', import.meta.url);
const KINDS = [
  ['reject', 'unhandledRejection'],
  ['tick', 'uncaughtException'],
  ['microtask', 'uncaughtException'],
  ['immediate', 'uncaughtException'],
  ['timer', 'uncaughtException'],
] as const;

async function serveStray(t: TestContext, transport: TransportName): Promise<TcpServer> {
  const restartBackoff = { firstMs: 0, capMs: 0 };
  const server = new TcpServer({
    host: '127.0.0.1',
    transport,
    threads: 1,
    accept: 'shared',
    restartBackoff,
    handlers: HANDLERS,
  });
  t.after(() => server.close({ drainTimeoutMs: 0 }));
  await server.listen();
  return server;
}

async function lastText(client: RawClient, count: number): Promise<string | undefined> {
  return (await client.receiveFrames(count)).at(-1)?.body.toString();
}

forEachTransport((transport) => {
  for (const [how, event] of KINDS) {
    test(`${transport}: ${event} by ${how} is heard in its thread, and the frames behind it are answered`, async (t) => {
      const server = await serveStray(t, transport);
      const client = await RawClient.connect(t, server.address.port!);
      const other = await RawClient.connect(t, server.address.port!);
      client.send(LISTEN);
      await client.receiveFrames(1);
      client.write(Buffer.concat([tlvFrame(BEGIN, how), tlvFrame(ECHO, 'behind'), tlvFrame(BEGIN, how)]));
      other.write(Buffer.concat([tlvFrame(ECHO, 'beside'), tlvFrame(BEGIN, how)]));
      assert.equal(await lastText(client, 4), how);
      assert.equal(await lastText(other, 2), how);
      const expected = Array.from({ length: 3 }, () => `${event} ${how}`).join();
      // Timers fail a little later, and rejections are judged after the handlers: asked again until it is there.
      for (let answers = 5; ; answers += 1) {
        client.send(HEARD);
        const heard = await lastText(client, answers);
        if (heard === expected) break;
        assert(expected.startsWith(heard!), `heard ${heard}`);
      }
      assert.equal(server.reactor.threadStatus[0]!.restarts, 0);
    });
  }

  for (const [how] of KINDS) {
    test(`${transport}: without a listener ${how} ends the thread, which is started again, and nothing else`, async (t) => {
      const server = await serveStray(t, transport);
      const client = await RawClient.connect(t, server.address.port!);
      client.send(BEGIN, how);
      await client.closed();
      await until(() => server.reactor.threadStatus[0]!.restarts === 1);
      assert.equal(server.reactor.counters.errorTotal('REACTOR_THREAD_LOST'), 1);
      const next = await RawClient.connect(t, server.address.port!);
      next.send(ECHO, 'again');
      assert.equal(await lastText(next, 1), 'again');
    });
  }
});
