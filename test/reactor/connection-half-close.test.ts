// The peer closes its side first: everything it asked for is still answered, then our FIN follows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, Frame } from '../../reactor/index.js';
import { RawClient, tlvFrames } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const REQUESTS = 200;
const requests = Buffer.concat(Array.from({ length: REQUESTS }, (_, index) => tlvFrame(1, String(index))));

const echo = (connection: Connection, frame: Frame): unknown => connection.send(1, frame.body);

async function echoLater(connection: Connection, frame: Frame): Promise<void> {
  const { body } = frame.copy();
  await new Promise((resolve) => setImmediate(resolve));
  connection.send(1, body);
}

forEachTransport((transport) => {
  for (const [manner, onFrame] of [
    ['sync', echo],
    ['async', echoLater],
  ] as const) {
    test(`${transport}: ${REQUESTS} requests and a FIN get ${REQUESTS} answers and then a FIN from ${manner} handlers`, async (t) => {
      const watched = await serve(t, transport, { onFrame });
      const client = await RawClient.connect(t, watched.port);
      client.write(requests);
      client.end();
      const answers = tlvFrames(await client.receiveUntilEnd()).map(({ body }) => body.toString());
      assert.deepEqual(
        answers,
        Array.from({ length: REQUESTS }, (_, index) => String(index)),
      );
      assert.deepEqual(await watched.closed(), ['peer-ended']);
      assert.deepEqual(watched.codes, []);
    });
  }

  test(`${transport}: sequential async handlers answer everything before the FIN, one after the other`, async (t) => {
    let atWork = 0;
    const onFrame = async (connection: Connection, frame: Frame): Promise<void> => {
      atWork += 1;
      assert.equal(atWork, 1);
      await echoLater(connection, frame);
      atWork -= 1;
    };
    const watched = await serve(t, transport, { onFrame }, { sequential: true });
    const client = await RawClient.connect(t, watched.port);
    client.write(requests);
    client.end();
    assert.deepEqual(await client.receiveUntilEnd(), requests);
    assert.deepEqual(await watched.closed(), ['peer-ended']);
  });

  test(`${transport}: pending output behind a paused reader is delivered after its FIN`, async (t) => {
    const body = Buffer.alloc(MIB, 'b');
    const watched = await serve(
      t,
      transport,
      {
        onFrame: (connection) => {
          for (let count = 0; count < 7; count += 1) connection.send(1, body);
        },
      },
      { pauseReadingWhenFull: false }, // or the FIN would not even be read before output has drained
    );
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.send(1);
    client.end();
    const connection = await watched.connection();
    await until(() => connection.state === 'draining' && connection.outputBytes > 0);
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, 7 * (8 + MIB));
    assert.deepEqual(await watched.closed(), ['peer-ended']);
  });

  test(`${transport}: frames that output held back are answered too, though the FIN came long before`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: (connection, frame) => connection.send(1, Buffer.alloc(100_000, frame.body)),
    });
    const client = await RawClient.connect(t, watched.port);
    client.socket.pause();
    client.write(requests);
    client.end();
    const connection = await watched.connection();
    await until(() => connection.outputBytes > 64 * 1024);
    assert(connection.stats.framesReceived < REQUESTS);
    client.socket.resume();
    assert.equal((await client.receiveUntilEnd()).length, REQUESTS * 100_008);
    assert.deepEqual(await watched.closed(), ['peer-ended']);
  });

  test(`${transport}: onHalfClose comes once, after the last frame, and may still answer`, async (t) => {
    const events: string[] = [];
    const watched = await serve(t, transport, {
      onFrame: (_, frame) => events.push(frame.body.toString()),
      onHalfClose: (connection) => {
        events.push(connection.state);
        connection.send(1, 'goodbye');
      },
    });
    const client = await RawClient.connect(t, watched.port);
    client.send(1, 'a');
    client.send(1, 'b');
    client.end();
    assert.deepEqual(await client.receiveUntilEnd(), tlvFrame(1, 'goodbye'));
    await watched.closed();
    assert.deepEqual(events, ['a', 'b', 'half-closed']);
  });

  test(`${transport}: with allowHalfOpen a connection stays until end is called`, async (t) => {
    const watched = await serve(t, transport, {}, { allowHalfOpen: true });
    const client = await RawClient.connect(t, watched.port);
    client.end();
    const connection = await watched.connection();
    await until(() => connection.state === 'half-closed');
    connection.send(1, 'one');
    await client.receiveFrames(1);
    assert.equal(client.hasEnded, false);
    connection.send(1, 'two');
    connection.end();
    assert.equal(tlvFrames(await client.receiveUntilEnd()).length, 2);
    assert.deepEqual(await watched.closed(), ['ended']);
  });
});
