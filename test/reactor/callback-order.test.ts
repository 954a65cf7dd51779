// When ticks and microtasks of handlers run: as behind any callback of Node, once those of one call have returned.
// On node:net that is one read of one connection; on the native transport one batch, reads of many connections.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';

const MARK = 1;

forEachTransport((transport) => {
  test(`${transport}: ticks, then microtasks, run behind all frames of a read and before the next read`, async (t) => {
    const order: string[] = [];
    const watched = await serve(t, transport, {
      onFrame: {
        [MARK]: (connection, frame) => {
          const text = frame.body.toString();
          order.push(text);
          queueMicrotask(() => order.push(`microtask ${text}`));
          process.nextTick(() => order.push(`tick ${text}`));
          connection.send(MARK, text);
        },
      },
    });
    const client = await RawClient.connect(t, watched.port);
    for (const round of ['1', '2']) {
      client.write(Buffer.concat([tlvFrame(MARK, `${round}a`), tlvFrame(MARK, `${round}b`)]));
      await client.receiveFrames(2 * Number(round));
    }
    const ofRead = (round: string): string[] =>
      ['', 'tick ', 'microtask '].flatMap((what) => [`${what}${round}a`, `${what}${round}b`]);
    assert.deepEqual(order, [...ofRead('1'), ...ofRead('2')]);
  });

  test(`${transport}: a handler's promise goes on before its connection's next read, whoever else was served`, async (t) => {
    const open = new Set<string>();
    const overtaken: string[] = [];
    const watched = await serve(t, transport, {
      onFrame: {
        [MARK]: async (connection, frame) => {
          const peer = frame.body.toString();
          if (open.has(peer)) overtaken.push(peer);
          open.add(peer);
          for (let step = 0; step < 10; step += 1) await Promise.resolve();
          open.delete(peer);
          connection.send(MARK, peer);
        },
      },
    });
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(t, watched.port)));
    for (let round = 1; round <= 5; round += 1) {
      for (const [index, client] of clients.entries()) client.send(MARK, `${index}`);
      await Promise.all(clients.map((client) => client.receiveFrames(round)));
    }
    assert.deepEqual(overtaken, []);
  });
});
