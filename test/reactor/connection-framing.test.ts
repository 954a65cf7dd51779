// What a connection does with the ways in which frames arrive, right and wrong ones.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, Frame, Handlers } from '../../reactor/index.js';
import { RawClient, tlvFrames } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const ECHO: Handlers = {
  onFrame: { 1: (connection, frame) => connection.send(1, frame.body) },
};
const BIG_BODY_BYTES = 1024 * 1024;

forEachTransport((transport) => {
  test(`${transport}: frames cut at every byte are delivered once and in order`, async (t) => {
    const { port, counters } = await serve(t, transport, ECHO);
    const bodies = ['', 'a', 'hello', 'x'.repeat(40)];
    const wire = Buffer.concat(bodies.map((body) => tlvFrame(1, body)));
    const client = await RawClient.connect(t, port);
    for (let cut = 1; cut < wire.length; cut += 1) {
      const readBefore = counters.get('bytes_read');
      client.write(wire.subarray(0, cut));
      await until(() => counters.get('bytes_read') === readBefore + cut); // so that it is a read of its own
      client.write(wire.subarray(cut));
      await client.receive(cut * wire.length);
    }
    const expected = Buffer.concat(Array.from({ length: wire.length - 1 }, () => wire));
    assert.deepEqual(client.received(), expected);
    assert.equal(counters.get('frames_received'), bodies.length * (wire.length - 1));
  });

  test(`${transport}: frames that arrive byte by byte are delivered once and in order`, async (t) => {
    const { port, counters } = await serve(t, transport, ECHO);
    const wire = Buffer.concat(['', 'ab', 'hello'].map((body) => tlvFrame(1, body)));
    const client = await RawClient.connect(t, port);
    for (let at = 0; at < wire.length; at += 1) {
      client.write(wire.subarray(at, at + 1));
      await until(() => counters.get('bytes_read') === at + 1);
    }
    assert.deepEqual(await client.receive(wire.length), wire);
  });

  test(`${transport}: 1000 frames in one write get 1000 answers in their order`, async (t) => {
    const { port } = await serve(t, transport, ECHO);
    const client = await RawClient.connect(t, port);
    client.write(Buffer.concat(Array.from({ length: 1000 }, (_, index) => tlvFrame(1, String(index)))));
    const frames = await client.receiveFrames(1000);
    assert.deepEqual(
      frames.map(({ body }) => body.toString()),
      Array.from({ length: 1000 }, (_, index) => String(index)),
    );
  });

  test(`${transport}: a frame of exactly the maximum passes, over many reads`, async (t) => {
    const { port } = await serve(t, transport, ECHO);
    const client = await RawClient.connect(t, port);
    const body = Buffer.alloc(BIG_BODY_BYTES, 'reactor');
    client.send(1, body);
    client.send(1, 'after');
    const frames = await client.receiveFrames(2);
    assert.deepEqual(frames[0]?.body, body);
    assert.equal(frames[1]?.body.toString(), 'after');
  });

  for (const bodyBytes of [BIG_BODY_BYTES + 1, 0xffff_ffff]) {
    test(`${transport}: a header that announces ${bodyBytes} bytes ends the connection before anything is kept, the answers to earlier frames arrive`, async (t) => {
      const watched = await serve(t, transport, ECHO);
      const client = await RawClient.connect(t, watched.port);
      const header = Buffer.alloc(8);
      header.writeUInt32LE(1, 0);
      header.writeUInt32LE(bodyBytes, 4);
      const earlier = Array.from({ length: 100 }, (_, index) => tlvFrame(1, String(index)));
      client.write(Buffer.concat([...earlier, header, Buffer.alloc(100_000)]));
      assert.deepEqual(await client.receiveUntilEnd(), Buffer.concat(earlier));
      client.end();
      assert.deepEqual(await watched.closed(), ['frame-error']);
      assert.deepEqual(watched.codes, ['REACTOR_FRAME_TOO_LARGE']);
      assert.equal(watched.counters.errorCount('REACTOR_FRAME_TOO_LARGE'), 1);
      assert.equal(watched.server.reactor.loop.pool.stats().acquisitions <= 4, true, 'only output was lent');
    });
  }

  test(`${transport}: a frame of zero length is a frame`, async (t) => {
    const lengths: number[] = [];
    const { port } = await serve(t, transport, {
      onFrame: {
        1: (connection, frame) => {
          lengths.push(frame.bodyBytes, frame.body.length);
          connection.send(1, '');
        },
      },
    });
    const client = await RawClient.connect(t, port);
    client.send(1);
    assert.deepEqual(await client.receive(8), tlvFrame(1, ''));
    assert.deepEqual(lengths, [0, 0]);
  });

  test(`${transport}: a frame with an unknown id is counted and told to onError, and the connection goes on`, async (t) => {
    const watched = await serve(t, transport, ECHO);
    const client = await RawClient.connect(t, watched.port);
    for (const msgId of [2, 0, 0xffff_ffff]) client.send(msgId, 'unknown');
    client.send(1, 'known');
    assert.equal((await client.receiveFrames(1))[0]?.body.toString(), 'known');
    const unknown = Array.from({ length: 3 }, () => 'REACTOR_UNKNOWN_MSG_ID');
    assert.deepEqual(watched.codes, unknown);
    assert.equal(watched.counters.get('frames_unknown'), 3);
    assert.equal(watched.counters.errorCount('REACTOR_UNKNOWN_MSG_ID'), 3);
    assert.deepEqual(watched.reasons, []);
  });

  test(`${transport}: onUnknown takes the place of the error`, async (t) => {
    const onUnknown = (connection: Connection, frame: Frame): unknown =>
      connection.send(frame.msgId, `what is ${frame.body.toString()}?`);
    const watched = await serve(t, transport, { ...ECHO, onUnknown });
    const client = await RawClient.connect(t, watched.port);
    client.send(70_000, 'this');
    const [frame] = await client.receiveFrames(1);
    assert.equal(frame?.msgId, 70_000);
    assert.equal(frame.body.toString(), 'what is this?');
    assert.deepEqual(watched.codes, []);
    assert.equal(watched.counters.get('frames_unknown'), 1);
  });

  test(`${transport}: a peer that closes inside a frame is told of, and still gets the answers to whole frames`, async (t) => {
    const watched = await serve(t, transport, ECHO);
    const client = await RawClient.connect(t, watched.port);
    client.write(Buffer.concat([tlvFrame(1, 'whole'), tlvFrame(1, 'not whole').subarray(0, 12)]));
    client.end();
    assert.deepEqual(tlvFrames(await client.receiveUntilEnd()).length, 1);
    assert.deepEqual(await watched.closed(), ['peer-ended']);
    assert.deepEqual(watched.codes, ['REACTOR_FRAME_MALFORMED']);
  });

  test(`${transport}: without memory for an unfinished frame that connection ends and others go on`, async (t) => {
    const watched = await serve(t, transport, ECHO, { poolBytesMax: 96 * 1024 });
    const greedy = await RawClient.connect(t, watched.port);
    const modest = await RawClient.connect(t, watched.port);
    greedy.write(tlvFrame(1, Buffer.alloc(BIG_BODY_BYTES)).subarray(0, 500_000));
    await greedy.closed();
    assert.deepEqual(await watched.closed(), ['pool-exhausted']);
    assert.deepEqual(watched.codes, ['REACTOR_POOL_EXHAUSTED']);
    modest.send(1, 'still here');
    assert.equal((await modest.receiveFrames(1))[0]?.body.toString(), 'still here');
  });
});
