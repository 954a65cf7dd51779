// One busy connection must not keep the others waiting: measured in frames per turn, not in time.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { Worker } from 'node:worker_threads';
import type { Connection, Handlers } from '../../reactor/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';
import type { FloodOrder } from '../support/flood.worker.js';
import { MemoryHost } from '../support/memory-connection.js';
import { RawClient } from '../support/raw-client.js';
import { serve, type ServeOptions, type WatchedServer } from '../support/tcp-pair.js';
import { forEachTransport, TLS_TRANSPORTS } from '../support/transports.js';
import { until } from '../support/until.js';

const FLOOD = 1;
const QUIET = 2;
const FRAMES = 300_000;
const BODY_BYTES = 64;
const TLS: ServeOptions = { tls: { cert: SERVER_CERT, key: SERVER_KEY } };
/** Four reads of 64 KiB, after which a connection yields, and the frame that began before them. */
const FRAMES_PER_TURN_MAX = Math.floor((4 * 64 * 1024) / (8 + BODY_BYTES)) + 1;

async function connect(t: TestContext, { port }: WatchedServer, secured: boolean): Promise<RawClient> {
  if (!secured) return await RawClient.connect(t, port);
  const socket = tls.connect({ host: '127.0.0.1', port, ca: AUTHORITY });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return new RawClient(socket);
}

function startFlood(port: number, secured: boolean): Worker {
  const authority = secured ? AUTHORITY : undefined;
  const order: FloodOrder = { port, msgId: FLOOD, bodyBytes: BODY_BYTES, frames: FRAMES, authority };
  return new Worker(new URL('../support/flood.worker.js', import.meta.url), { workerData: order });
}

forEachTransport((transport) => {
  for (const secured of TLS_TRANSPORTS.includes(transport) ? [false, true] : [false]) {
    const kind = secured ? 'over TLS' : 'in the clear';
    test(`${transport}: of ${FRAMES} frames pipelined ${kind} at most ${FRAMES_PER_TURN_MAX} are handled in one turn, and another's request comes in between`, async (t) => {
      let floodFrames = 0;
      let mostPerTurn = 0;
      const floodBefore: number[] = [];
      const handlers: Handlers = {
        onFrame: {
          [FLOOD]: () => {
            floodFrames += 1;
          },
          [QUIET]: (connection) => {
            floodBefore.push(floodFrames);
            connection.send(QUIET, '');
          },
        },
      };
      const watched = await serve(t, transport, handlers, secured ? TLS : {});
      const quiet = await connect(t, watched, secured);
      const exited = once(startFlood(watched.port, secured), 'exit');
      await until(() => floodFrames > 0);
      quiet.send(QUIET);
      let before = floodFrames;
      await until(() => {
        mostPerTurn = Math.max(mostPerTurn, floodFrames - before);
        before = floodFrames;
        if (quiet.receivedBytes === floodBefore.length * 8 && floodFrames < FRAMES) quiet.send(QUIET);
        return floodFrames === FRAMES;
      });
      assert(mostPerTurn <= FRAMES_PER_TURN_MAX, `${mostPerTurn} frames in one turn`);
      assert(floodBefore.length > 1 && floodBefore[0]! < FRAMES, 'answers came while the flood went on');
      await exited;
    });
  }

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

test('a connection that yields goes on in the next turn, also when the task queue of its thread is full', async (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  assert.throws(
    () => {
      for (;;) host.loop.queueInLoop(() => {});
    },
    { code: 'REACTOR_QUEUE_FULL' },
  );
  connection.readALot();
  assert.equal(connection.isReading, false);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(connection.isReading, true);
});
