// One busy connection must not keep the others waiting: measured in frames handled in between, not in time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { serve } from '../support/tcp-pair.js';
import { tlvFrame } from '../support/tlv.js';
import { forEachTransport } from '../support/transports.js';
import { until } from '../support/until.js';

const FLOOD = 1;
const QUIET = 2;
const FRAMES = 100_000;
const BODY_BYTES = 64;
/** Five reads of 64 KiB: four full ones before a connection yields, and one for where it stands. */
const FRAMES_BETWEEN_MAX = Math.ceil((5 * 64 * 1024) / (8 + BODY_BYTES));

forEachTransport((transport) => {
  test(`${transport}: a connection with ${FRAMES} pipelined frames lets another's request in after at most ${FRAMES_BETWEEN_MAX} of them`, async (t) => {
    let floodFrames = 0;
    const floodBefore: number[] = [];
    const watched = await serve(t, transport, {
      onConnect: (connection) => connection.pause(),
      onFrame: {
        [FLOOD]: () => {
          floodFrames += 1;
        },
        [QUIET]: (connection) => {
          floodBefore.push(floodFrames);
          connection.send(QUIET, '');
        },
      },
    });
    const flooding = await RawClient.connect(t, watched.port);
    const quiet = await RawClient.connect(t, watched.port);
    const [first, second] = [await watched.connection(0), await watched.connection(1)];
    const wire = Buffer.concat(
      Array.from({ length: FRAMES }, () => tlvFrame(FLOOD, Buffer.alloc(BODY_BYTES))),
    );
    flooding.write(wire);
    quiet.send(QUIET);
    await until(() => quiet.socket.writableLength === 0 && flooding.socket.bytesWritten === wire.length);
    first.resume();
    second.resume();
    for (let round = 1; round <= 5; round += 1) {
      const began = floodFrames;
      await quiet.receiveFrames(round);
      const between = floodBefore[round - 1]! - began;
      assert(between <= FRAMES_BETWEEN_MAX, `${between} frames came first`);
      quiet.send(QUIET);
    }
    await until(() => floodFrames === FRAMES);
    assert(floodBefore[0]! < FRAMES, 'the flood was still going on');
  });

  test(`${transport}: a flood of output to one connection does not delay another's answer until it is delivered`, async (t) => {
    const body = Buffer.alloc(1024 * 1024);
    let left = 64;
    const push = (connection: Connection): void => {
      while (left > 0) {
        left -= 1;
        if (connection.send(FLOOD, body) !== 'sent') return;
      }
    };
    const watched = await serve(t, transport, {
      onFrame: { [FLOOD]: push, [QUIET]: (connection) => connection.send(QUIET, String(left)) },
      onDrain: push,
    });
    const greedy = await RawClient.connect(t, watched.port);
    const quiet = await RawClient.connect(t, watched.port);
    greedy.send(FLOOD);
    await until(() => greedy.receivedBytes > 0);
    quiet.send(QUIET);
    const [answer] = await quiet.receiveFrames(1);
    assert(Number(answer?.body.toString()) > 0, 'the flood was still going on');
    await greedy.receive(64 * (8 + body.length));
  });
});
