// The same promises on the calling thread and on a thread of its own, through a handler module.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { TcpServer } from '../../reactor/index.js';
import { RawClient, tlvFrames } from '../support/raw-client.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachPlacement, type Placement } from '../support/transports.js';
import { until } from '../support/until.js';
import { DESTROY, ECHO, END, LATER, PUSH, REJECT, RESET, THROW } from './fixtures/rude-handlers.js';

const MIB = 1024 * 1024;

async function serve(t: TestContext, placement: Placement): Promise<{ server: TcpServer; port: number }> {
  const handlers = new URL('./fixtures/rude-handlers.js', import.meta.url);
  const server = new TcpServer({ host: '127.0.0.1', ...placement, handlers });
  t.after(async () => {
    const { counters, occupancy } = server.reactor;
    await until(() => occupancy.open() === 0);
    await server.reactor.refresh();
    assert.equal(counters.total('connections_opened'), counters.total('connections_closed'));
    assert.equal(counters.total('connections_open'), 0);
    assert.equal(counters.total('pool_lent_bytes'), 0);
    await server.close({ drainTimeoutMs: 0 });
  });
  const { port } = await server.listen();
  assert(port !== undefined);
  return { server, port };
}

forEachPlacement((placement, name) => {
  test(`${name}: pipelined frames, cut anywhere, are answered once and in order`, async (t) => {
    const { port } = await serve(t, placement);
    const wire = Buffer.concat(Array.from({ length: 300 }, (_, index) => tlvFrame(ECHO, String(index))));
    const client = await RawClient.connect(t, port);
    for (let at = 0; at < wire.length; at += 977) client.write(wire.subarray(at, at + 977));
    assert.deepEqual(await client.receive(wire.length), wire);
    client.end();
    await client.closed();
  });

  test(`${name}: requests before a FIN are all answered, by sync and async handlers`, async (t) => {
    const { port } = await serve(t, placement);
    const client = await RawClient.connect(t, port);
    for (let count = 0; count < 100; count += 1) client.send(count % 2 === 0 ? ECHO : LATER, String(count));
    client.end();
    assert.equal(tlvFrames(await client.receiveUntilEnd()).length, 100);
  });

  for (const msgId of [THROW, REJECT]) {
    test(`${name}: a handler that fails (message ${msgId}) costs its own connection and is counted`, async (t) => {
      const { server, port } = await serve(t, placement);
      const failing = await RawClient.connect(t, port);
      const other = await RawClient.connect(t, port);
      failing.write(Buffer.concat([tlvFrame(ECHO, 'earlier'), tlvFrame(msgId, '')]));
      assert.deepEqual(await failing.receiveUntilEnd(), tlvFrame(ECHO, 'earlier'));
      failing.end();
      other.send(ECHO, 'still here');
      await other.receiveFrames(1);
      other.end();
      await other.closed();
      assert.equal(server.reactor.counters.errorTotal('REACTOR_HANDLER_FAILED'), 1);
    });
  }

  test(`${name}: end, destroy and reset look to the peer as they should`, async (t) => {
    const { port } = await serve(t, placement);
    const ended = await RawClient.connect(t, port);
    ended.send(END);
    assert.deepEqual(await ended.receiveUntilEnd(), tlvFrame(END, 'goodbye'));
    ended.end();
    const destroyed = await RawClient.connect(t, port);
    destroyed.send(DESTROY);
    await destroyed.closed();
    assert.equal(destroyed.receivedBytes, 0);
    const reset = await RawClient.connect(t, port);
    reset.send(RESET);
    await reset.closed();
    assert.equal(reset.errorCode, 'ECONNRESET');
  });

  test(`${name}: megabytes before end reach a reader that starts late`, async (t) => {
    const { port } = await serve(t, placement);
    const client = await RawClient.connect(t, port);
    client.socket.pause();
    client.send(PUSH);
    await until(() => client.socket.readableLength > 0);
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 6 * (8 + MIB));
    client.end();
  });

  test(`${name}: a peer that vanishes under output is forgotten`, async (t) => {
    const { server, port } = await serve(t, placement);
    const client = await RawClient.connect(t, port);
    client.socket.pause();
    client.send(PUSH);
    await until(() => server.reactor.counters.total('frames_received') === 1);
    client.reset();
    await until(() => server.reactor.occupancy.open() === 0);
  });
});
