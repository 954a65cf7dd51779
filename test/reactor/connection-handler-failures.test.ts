// A handler or hook that throws or rejects: one connection ends, with its earlier answers delivered.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, Frame, Handlers } from '../../reactor/index.js';
import { ReactorError } from '../../reactor/index.js';
import { MemoryHost } from '../support/memory-connection.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';

const ECHO = 1;
const FAIL = 2;

function fail(): never {
  throw new Error('on purpose');
}

async function reject(): Promise<void> {
  await Promise.resolve();
  fail();
}

const echo = (connection: Connection, frame: Frame): unknown => connection.send(ECHO, frame.body);

forEachTransport((transport) => {
  for (const [manner, handler] of [
    ['throws', fail],
    ['rejects', reject],
  ] as const) {
    test(`${transport}: a handler that ${manner} ends its connection alone, after the answers before it`, async (t) => {
      const watched = await serve(t, transport, { onFrame: { [ECHO]: echo, [FAIL]: handler } });
      const failing = await RawClient.connect(t, watched.port);
      const other = await RawClient.connect(t, watched.port);
      const earlier = Array.from({ length: 50 }, (_, index) => tlvFrame(ECHO, `answer ${index}`));
      failing.write(Buffer.concat([...earlier, tlvFrame(FAIL, '')]));
      assert.deepEqual(await failing.receiveUntilEnd(), Buffer.concat(earlier));
      failing.end();
      assert.deepEqual(await watched.closed(), ['handler-error']);
      assert.deepEqual(watched.codes, ['REACTOR_HANDLER_FAILED']);
      assert.equal(watched.counters.get('handler_errors'), 1);
      other.send(ECHO, 'still here');
      assert.equal((await other.receiveFrames(1))[0]?.body.toString(), 'still here');
    });

    test(`${transport}: an onConnect that ${manner} ends that connection and no other`, async (t) => {
      let connected = 0;
      const watched = await serve(t, transport, {
        onFrame: { [ECHO]: echo },
        onConnect: () => {
          connected += 1;
          return connected === 1 ? handler() : undefined;
        },
      });
      const failing = await RawClient.connect(t, watched.port);
      await failing.closed();
      assert.deepEqual(await watched.closed(), ['handler-error']);
      const other = await RawClient.connect(t, watched.port);
      other.send(ECHO, 'still here');
      await other.receiveFrames(1);
      assert.deepEqual(watched.codes, ['REACTOR_HANDLER_FAILED']);
    });

    test(`${transport}: an onClose that ${manner} is counted and leaves nothing behind`, async (t) => {
      const watched = await serve(t, transport, { onFrame: { [ECHO]: echo }, onClose: handler });
      const client = await RawClient.connect(t, watched.port);
      client.send(ECHO, 'a');
      await client.receiveFrames(1);
      client.end();
      await client.closed();
      assert.deepEqual(await watched.closed(), ['peer-ended']);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(watched.counters.get('handler_errors'), 1);
      assert.equal(watched.counters.errorCount('REACTOR_HANDLER_FAILED'), 1);
      assert.deepEqual(watched.codes, [], 'nothing is told after onClose');
    });

    test(`${transport}: an onError that ${manner} is counted once and does not decide over the connection`, async (t) => {
      const watched = await serve(t, transport, { onFrame: { [ECHO]: echo }, onError: handler });
      const client = await RawClient.connect(t, watched.port);
      client.send(77, 'unknown');
      client.send(ECHO, 'still here');
      await client.receiveFrames(1);
      assert.deepEqual(watched.codes, ['REACTOR_UNKNOWN_MSG_ID']);
      assert.equal(watched.counters.get('handler_errors'), 1);
    });
  }

  test(`${transport}: answers that wait for a slow reader survive the handler that fails after them`, async (t) => {
    const body = Buffer.alloc(1024 * 1024, 'x');
    const watched = await serve(
      t,
      transport,
      {
        onFrame: {
          [ECHO]: (connection) => {
            for (let count = 0; count < 7; count += 1) connection.send(ECHO, body);
          },
          [FAIL]: fail,
        },
      },
      { pauseReadingWhenFull: false },
    );
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.write(Buffer.concat([tlvFrame(ECHO, ''), tlvFrame(FAIL, ''), Buffer.alloc(200_000)]));
    await watched.connection();
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 7 * (8 + body.length));
    client.end();
    assert.deepEqual(await watched.closed(), ['handler-error']);
  });
});

const HOOKS_OF_OUTPUT: readonly (readonly [string, () => unknown])[] = [
  ['throws', fail],
  ['rejects', reject],
];

for (const [manner, onDrain] of HOOKS_OF_OUTPUT) {
  test(`an onDrain that ${manner} ends its connection`, async (t) => {
    const reasons: string[] = [];
    const host = new MemoryHost(t, { onDrain, onClose: (_, reason) => reasons.push(reason) });
    const connection = host.connect(0);
    assert.equal(connection.write(Buffer.alloc(100_000)), 'full');
    connection.peerReads(100_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(connection.state, 'draining');
    connection.gone('peer-ended');
    assert.deepEqual(reasons, ['handler-error']);
  });
}

test('an onError that sends is not told of the errors of its own sends', (t) => {
  const codes: string[] = [];
  const handlers: Handlers = {
    onError: (connection, error) => {
      codes.push(error.code);
      connection.send(9, error.message);
    },
  };
  const host = new MemoryHost(t, handlers, {
    hardCapBytes: 100,
    highWaterBytes: 90,
    lowWaterBytes: 10,
    overflow: 'drop',
  });
  const connection = host.connect(0);
  connection.send(1, 'x'.repeat(80));
  assert.equal(connection.send(1, 'x'.repeat(80)), 'dropped');
  assert.deepEqual(codes, ['REACTOR_OUTPUT_OVERFLOW']);
  assert.equal(host.counters.errorCount('REACTOR_OUTPUT_OVERFLOW'), 2, 'both are counted');
  assert.deepEqual(host.logged, []);
});

test('what a hook threw that nobody can be told of reaches the log with its cause', async (t) => {
  for (const hook of ['onError', 'onClose'] as const) {
    for (const handler of [fail, reject]) {
      const host = new MemoryHost(t, { [hook]: handler });
      const connection = host.connect();
      connection.feed([1, 'unknown']);
      connection.destroy();
      await new Promise((resolve) => setImmediate(resolve));
      const [logged] = host.logged;
      assert(logged instanceof ReactorError, hook);
      assert.equal(logged.code, 'REACTOR_HANDLER_FAILED');
      assert.match(logged.message, new RegExp(`${hook}.*on purpose`));
      assert.equal((logged.cause as Error).message, 'on purpose');
    }
  }
});

test('a handler that fails after its connection has ended is still reported, and what it sends is refused', async (t) => {
  const events: string[] = [];
  let go = (): void => {};
  const host = new MemoryHost(t, {
    onFrame: async (connection) => {
      await new Promise<void>((resolve) => (go = resolve));
      events.push(connection.send(1, 'too late'));
      fail();
    },
    onError: (_, error) => events.push(error.code),
    onClose: (_, reason) => events.push(reason),
  });
  const connection = host.connect();
  connection.feed([1, '']);
  connection.destroy();
  await Promise.resolve();
  go();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(events, ['destroyed', 'closed', 'REACTOR_HANDLER_FAILED']);
  assert.equal(host.loop.pool.stats().lentBytes, 0);
});
