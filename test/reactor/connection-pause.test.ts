// Reading that stops and goes on: by the handlers' wish, because of output, because of handlers at work.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../reactor/index.js';
import { MemoryHost } from '../support/memory-connection.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

test('a connection that is paused and resumed inside one handler goes on reading', (t) => {
  const bodies: string[] = [];
  const host = new MemoryHost(t, {
    onFrame: (connection, frame) => {
      bodies.push(frame.body.toString());
      connection.pause();
      connection.resume();
    },
  });
  const connection = host.connect();
  connection.feed([1, 'a'], [1, 'b']);
  assert.equal(connection.isReading, true);
  connection.feed([1, 'c']);
  assert.deepEqual(bodies, ['a', 'b', 'c']);
});

test('frames behind the one that paused are delivered on resume, in order and once', (t) => {
  const bodies: string[] = [];
  const host = new MemoryHost(t, {
    onFrame: (connection, frame) => {
      bodies.push(frame.body.toString());
      if (bodies.length % 2 === 0) connection.pause();
    },
  });
  const connection = host.connect();
  connection.feed([1, 'a'], [1, 'b'], [1, 'c'], [1, 'd'], [1, 'e']);
  assert.deepEqual([bodies.join(''), connection.isReading], ['ab', false]);
  connection.resume();
  assert.deepEqual([bodies.join(''), connection.isReading], ['abcd', false]);
  connection.resume();
  assert.deepEqual([bodies.join(''), connection.isReading], ['abcde', true]);
});

test('a paused connection hears of the FIN only after its held-back frames', (t) => {
  const events: string[] = [];
  const host = new MemoryHost(t, {
    onFrame: (connection, frame) => {
      events.push(frame.body.toString());
      connection.pause();
    },
    onHalfClose: () => events.push('FIN'),
  });
  const connection = host.connect();
  connection.feed([1, 'a'], [1, 'b']);
  connection.feedEnd();
  assert.deepEqual(events, ['a']);
  connection.resume();
  assert.deepEqual(events, ['a', 'b']);
  connection.resume();
  assert.deepEqual(events, ['a', 'b', 'FIN']);
});

forEachTransport((transport) => {
  test(`${transport}: a connection paused in onConnect delivers nothing until it is resumed, and nothing is lost`, async (t) => {
    const watched = await serve(t, transport, {
      onConnect: (connection) => connection.pause(),
      onFrame: (connection, frame) => connection.send(1, frame.body),
    });
    const client = await RawClient.connect(t, watched.port);
    const probe = await RawClient.connect(t, watched.port);
    for (const body of ['a', 'b', 'c']) client.send(1, body);
    (await watched.connection(1)).resume();
    probe.send(1, 'probe');
    await probe.receiveFrames(1); // what came before it would have been read by now
    assert.equal(client.receivedBytes, 0);
    assert.equal(watched.opened[0]?.stats.bytesRead, 0);
    watched.opened[0]?.resume();
    const frames = await client.receiveFrames(3);
    assert.deepEqual(frames.map(({ body }) => body.toString()).join(''), 'abc');
  });

  test(`${transport}: input waits while pendingHandlersMax handlers are at work`, async (t) => {
    const finish: (() => void)[] = [];
    let begun = 0;
    const onFrame = (connection: Connection): Promise<void> => {
      begun += 1;
      return new Promise((resolve) => {
        finish.push(() => {
          connection.send(1, '');
          resolve();
        });
      });
    };
    const watched = await serve(t, transport, { onFrame }, { pendingHandlersMax: 3 });
    const client = await RawClient.connect(t, watched.port);
    for (let count = 0; count < 10; count += 1) client.send(1);
    await until(() => begun === 3);
    for (let left = 10; left > 0; left -= 1) {
      assert.equal(begun, Math.min(10, 13 - left));
      finish.shift()?.();
      await client.receiveFrames(11 - left);
      await until(() => begun === Math.min(10, 14 - left));
    }
    assert.equal((await watched.connection()).stats.framesReceived, 10);
  });
});
