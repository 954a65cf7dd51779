// What handlers may rely on: frames and how long they live, async handlers and order, context, counters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, type Frame, ReactorError } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';

forEachTransport((transport) => {
  test(`${transport}: after an await frame.body throws REACTOR_FRAME_RELEASED, its copy and its size do not`, async (t) => {
    const seen: string[] = [];
    const onFrame = async (connection: Connection, frame: Frame): Promise<void> => {
      assert.equal(frame.body.toString(), 'kept');
      const copy = frame.copy();
      const copyOfCopy = copy.copy();
      await Promise.resolve();
      try {
        seen.push(frame.body.toString());
      } catch (error) {
        assert(error instanceof ReactorError);
        seen.push(error.code);
      }
      assert.throws(() => frame.copy(), { code: 'REACTOR_FRAME_RELEASED' });
      seen.push(
        String(frame.bodyBytes),
        copy.body.toString(),
        copyOfCopy.body.toString(),
        String(copy.msgId),
      );
      connection.send(1, copy.body);
    };
    const watched = await serve(t, transport, { onFrame });
    const client = await RawClient.connect(t, watched.port);
    client.send(7, 'kept');
    client.send(7, 'kept');
    await client.receiveFrames(2);
    const once = ['REACTOR_FRAME_RELEASED', '4', 'kept', 'kept', '7'];
    assert.deepEqual(seen, [...once, ...once]);
  });

  for (const sequential of [true, false]) {
    test(`${transport}: with sequential ${sequential} answers ${sequential ? 'keep' : 'need not keep'} the order of their requests`, async (t) => {
      const finish: (() => void)[] = [];
      const onFrame = async (connection: Connection, frame: Frame): Promise<void> => {
        const { body } = frame.copy();
        if (body.toString() === 'slow') await new Promise<void>((resolve) => finish.push(resolve));
        else setImmediate(() => finish[0]?.());
        connection.send(1, body);
      };
      const watched = await serve(t, transport, { onFrame }, { sequential });
      const client = await RawClient.connect(t, watched.port);
      client.write(Buffer.concat([tlvFrame(1, 'slow'), tlvFrame(1, 'fast')]));
      if (sequential) {
        await watched.connection();
        await new Promise((resolve) => setTimeout(resolve, 20)); // time in which 'fast' must not overtake
        assert.equal(watched.opened[0]?.stats.framesReceived, 1);
        finish[0]?.();
      }
      const answers = (await client.receiveFrames(2)).map(({ body }) => body.toString());
      assert.deepEqual(answers, sequential ? ['slow', 'fast'] : ['fast', 'slow']);
    });
  }

  test(`${transport}: what onConnect sends reaches the peer before it has said anything`, async (t) => {
    const watched = await serve(t, transport, {
      onConnect: async (connection) => {
        connection.send(1, 'welcome');
        await new Promise((resolve) => setImmediate(resolve));
        connection.send(1, 'later');
      },
    });
    const client = await RawClient.connect(t, watched.port);
    const frames = await client.receiveFrames(2);
    assert.deepEqual(
      frames.map(({ body }) => body.toString()),
      ['welcome', 'later'],
    );
  });

  test(`${transport}: context belongs to one connection, from onConnect to onClose`, async (t) => {
    const contexts: unknown[] = [];
    const watched = await serve(t, transport, {
      onConnect: (connection) => {
        connection.context = { frames: 0 };
      },
      onFrame: (connection) => {
        const context = connection.context as { frames: number };
        context.frames += 1;
        connection.send(1, String(context.frames));
      },
      onClose: (connection) => contexts.push(connection.context),
    });
    for (const frames of [1, 3]) {
      const client = await RawClient.connect(t, watched.port);
      for (let count = 0; count < frames; count += 1) client.send(1);
      assert.equal((await client.receiveFrames(frames)).at(-1)?.body.toString(), String(frames));
      client.end();
      await client.closed();
    }
    await watched.closed(2);
    assert.deepEqual(contexts, [{ frames: 1 }, { frames: 3 }]);
  });

  test(`${transport}: a connection and its thread count the same bytes and frames as the peer`, async (t) => {
    const watched = await serve(t, transport, {
      onFrame: { 1: (connection, frame) => connection.send(1, frame.body), 2: () => {} },
    });
    const client = await RawClient.connect(t, watched.port);
    const wire = Buffer.concat([
      tlvFrame(1, 'hello'),
      tlvFrame(2, 'swallowed'),
      tlvFrame(1, ''),
      tlvFrame(3, ''),
    ]);
    client.write(wire);
    await client.receiveFrames(2);
    client.end();
    await client.closed();
    await watched.closed();
    const bytesWritten = 2 * 8 + 'hello'.length;
    assert.deepEqual(watched.opened[0]?.stats, {
      bytesRead: wire.length,
      bytesWritten,
      framesReceived: 4,
      framesSent: 2,
    });
    const names = [
      'bytes_read',
      'bytes_written',
      'frames_received',
      'frames_sent',
      'frames_unknown',
    ] as const;
    assert.deepEqual(
      names.map((name) => watched.counters.get(name)),
      [wire.length, bytesWritten, 4, 2, 1],
    );
    const connections = ['connections_opened', 'connections_closed', 'connections_open'] as const;
    assert.deepEqual(
      connections.map((name) => watched.counters.get(name)),
      [1, 1, 0],
    );
  });
});
