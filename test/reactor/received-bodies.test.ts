// What becomes of received bodies that handlers send on, whole or not, at once or later, once or often.
// The native transport sends a body from where it lies when it can: nobody may see the difference.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { Connection, FrameHandler, Handlers } from '../../reactor/index.js';
import { RawClient } from '../support/raw-client.js';
import { SeededRandom } from '../support/seeded-random.js';
import { serve } from '../support/tcp-pair.js';
import { type TlvFrame, tlvFrame } from '../support/tlv.js';
import { forEachTransport, TRANSPORTS, type TransportName } from '../support/transports.js';

const MIB = 1024 * 1024;
/** Ids from here on are answers that come when they come. */
const LATER = 100;

interface Conversation {
  /** Bodies with the id of the handler that is to have them. */
  readonly frames: readonly TlvFrame[];
  readonly answers: number;
  readonly wire: Buffer;
  /** Where the wire is cut into writes. */
  readonly cuts: readonly number[];
}

/** How a handler treats what it received, by message id; and how many answers it gives. */
const MANNERS: readonly { readonly answers: number; readonly act: FrameHandler }[] = [
  { answers: 1, act: (connection, { body }) => connection.send(0, body) },
  {
    answers: 2,
    act: (connection, { body }) => {
      connection.send(1, body);
      connection.send(1, body);
    },
  },
  {
    answers: 3,
    act: (connection, { body }) => {
      connection.send(77, body);
      connection.send(2, body);
      connection.send(78, body);
    },
  },
  {
    answers: 2,
    act: (connection, { body }) => {
      const middle = body.length >> 1;
      connection.send(3, body.subarray(middle));
      connection.send(3, body.subarray(0, middle));
    },
  },
  { answers: 1, act: (connection, frame) => connection.send(4, frame.copy().body) },
  {
    answers: 1,
    act: (connection, { body }) => {
      body.reverse();
      connection.send(5, body);
    },
  },
  {
    answers: 2,
    act: (connection, { body }) => {
      connection.write(tlvFrame(6, ''));
      connection.write(tlvFrame(6, body).subarray(0, 8));
      connection.write(body);
    },
  },
  {
    answers: 2,
    act: (connection, { body }) => {
      connection.send(7, 'a word');
      connection.cork((corked) => corked.send(7, body));
    },
  },
  {
    answers: 1,
    act: (connection, frame) => {
      const { body } = frame.copy();
      setImmediate(() => connection.send(LATER, body));
    },
  },
  {
    answers: 1,
    act: async (connection, frame) => {
      const { body } = frame.copy();
      await Promise.resolve();
      connection.send(LATER + 1, body);
    },
  },
];

function handlers(): Handlers {
  const reversing: { readonly connection: Connection; readonly body: Buffer }[] = [];
  return {
    onFrame: {
      ...Object.fromEntries(MANNERS.map(({ act }, msgId) => [msgId, act])),
      // Three are kept and answered backwards, the last one from where it lies.
      [MANNERS.length]: (connection, frame) => {
        if (reversing.length < 2) {
          reversing.push({ connection, body: frame.copy().body });
          return;
        }
        connection.send(MANNERS.length, frame.body);
        for (const kept of reversing.splice(0).toReversed()) kept.connection.send(MANNERS.length, kept.body);
      },
    },
  };
}

function conversation(random: SeededRandom): Conversation {
  const frames: TlvFrame[] = [];
  let answers = 0;
  const add = (msgId: number): void => {
    const bytesMax = random.pick([0, 1, 64, 64, 64, 2000, 40_000]);
    const body = Buffer.alloc(random.integer(0, bytesMax), frames.length);
    if (body.length >= 4) body.writeUInt32LE(frames.length);
    frames.push({ msgId, body });
    answers += MANNERS[msgId]?.answers ?? 1;
  };
  while (frames.length < 300) {
    const msgId = random.integer(0, MANNERS.length);
    for (let times = msgId === MANNERS.length ? 3 : random.integer(1, 8); times > 0; times -= 1) add(msgId);
  }
  const wire = Buffer.concat(frames.map(({ msgId, body }) => tlvFrame(msgId, body)));
  const cuts = Array.from({ length: random.integer(0, 20) }, () => random.integer(0, wire.length));
  return { frames, answers, wire, cuts: [...cuts.toSorted((a, b) => a - b), wire.length] };
}

async function answersTo(t: TestContext, transport: TransportName, talk: Conversation): Promise<TlvFrame[]> {
  const { port } = await serve(t, transport, handlers(), {
    highWaterBytes: 16 * MIB,
    hardCapBytes: 64 * MIB,
  });
  const client = await RawClient.connect(t, port);
  let from = 0;
  for (const cut of talk.cuts) {
    client.write(talk.wire.subarray(from, cut));
    from = cut;
    await new Promise(setImmediate);
  }
  return client.receiveFrames(talk.answers);
}

test('whatever handlers do with bodies, every transport sends the same bytes', async (t) => {
  const seed = Number(process.env['REACTOR_TEST_SEED'] ?? Date.now() % 2 ** 31);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 8; round += 1) {
    const talk = conversation(random);
    const [expected, ...others] = await Promise.all(
      TRANSPORTS.map((transport) => answersTo(t, transport, talk)),
    );
    assert(expected !== undefined);
    for (const answers of others) {
      const note = `REACTOR_TEST_SEED=${seed}, round ${round}`;
      assert.equal(answers.length, talk.answers, note);
      assert(atOnce(answers).equals(atOnce(expected)), note);
      assert.deepEqual(later(answers), later(expected), note);
    }
  }
});

function atOnce(answers: readonly TlvFrame[]): Buffer {
  const prompt = answers.filter(({ msgId }) => msgId < LATER);
  return Buffer.concat(prompt.map(({ msgId, body }) => tlvFrame(msgId, body)));
}

/** Sorted: when they come depends on how the bytes were read. */
function later(answers: readonly TlvFrame[]): string[] {
  return answers
    .filter(({ msgId }) => msgId >= LATER)
    .map(({ msgId, body }) => `${msgId} ${body.toString('hex')}`)
    .toSorted();
}

forEachTransport((transport) => {
  test(`${transport}: a peer that reads late gets every body as it was sent`, async (t) => {
    const echo: Handlers = { onFrame: { 1: (connection, frame) => connection.send(1, frame.body) } };
    const limits = { highWaterBytes: 32 * MIB, hardCapBytes: 64 * MIB };
    const { port, counters } = await serve(t, transport, echo, limits);
    const client = await RawClient.connect(t, port);
    const random = new SeededRandom(7);
    const frames = Array.from({ length: 8000 }, (_, index) =>
      tlvFrame(1, Buffer.alloc(random.integer(0, 3000), index)),
    );
    const wire = Buffer.concat(frames);
    client.socket.pause();
    client.write(wire);
    while (counters.get('frames_received') < frames.length) await new Promise(setImmediate);
    assert(counters.get('bytes_written') < wire.length, 'some of it has to wait');
    client.socket.resume();
    assert((await client.receive(wire.length)).equals(wire));
  });

  test(`${transport}: bodies relayed to another connection arrive there, in order`, async (t) => {
    let listener: Connection | undefined;
    const { port } = await serve(t, transport, {
      onFrame: {
        1: (connection) => {
          listener = connection;
          connection.send(1, '');
        },
        2: (connection, frame) => {
          listener?.send(2, frame.body);
          connection.send(2, frame.body);
          listener?.send(3, frame.body);
        },
      },
    });
    const hearing = await RawClient.connect(t, port);
    hearing.send(1);
    await hearing.receiveFrames(1);
    const speaking = await RawClient.connect(t, port);
    const bodies = Array.from({ length: 200 }, (_, index) => `body ${index}`);
    speaking.write(Buffer.concat(bodies.map((body) => tlvFrame(2, body))));
    const heard = (await hearing.receiveFrames(401)).slice(1);
    assert.deepEqual(
      heard.map(({ msgId, body }) => `${msgId} ${body.toString()}`),
      bodies.flatMap((body) => [`2 ${body}`, `3 ${body}`]),
    );
    const echoed = await speaking.receiveFrames(200);
    assert.deepEqual(
      echoed.map(({ body }) => body.toString()),
      bodies,
    );
  });

  test(`${transport}: an answer that fills the send slab to its last byte is followed by the first received`, async (t) => {
    const SLAB_BYTES = 512 * 1024; // EPOLL_SLAB_BYTES
    const filling = Buffer.alloc(SLAB_BYTES - 8, 'f');
    const { port, codes } = await serve(
      t,
      transport,
      {
        onFrame: {
          1: (connection, frame) => {
            connection.send(2, filling);
            connection.send(1, frame.body);
          },
        },
      },
      { highWaterBytes: 2 * MIB },
    );
    const client = await RawClient.connect(t, port);
    client.send(1, 'first in the batch');
    const wire = Buffer.concat([tlvFrame(2, filling), tlvFrame(1, 'first in the batch')]);
    assert((await client.receive(wire.length)).equals(wire));
    assert.deepEqual(codes, []);
  });

  test(`${transport}: a body kept beyond its handler and sent later is read from memory that is still there`, async (t) => {
    let kept: Buffer | undefined;
    const { port } = await serve(t, transport, {
      onFrame: {
        1: (_connection, frame) => {
          kept = frame.body; // against the rules: its bytes may be anybody's by now
        },
        2: (connection) => connection.send(2, kept!),
      },
    });
    const client = await RawClient.connect(t, port);
    client.send(1, 'x'.repeat(100));
    await new Promise(setImmediate);
    client.send(2, '');
    const [answer] = await client.receiveFrames(1);
    assert.equal(answer!.body.length, 100);
  });

  test(`${transport}: a handler cannot give the memory of a body away`, async (t) => {
    const { port } = await serve(t, transport, {
      onFrame: {
        1: (connection, { body }) => {
          const { port1 } = new MessageChannel();
          try {
            port1.postMessage(body, [body.buffer as ArrayBuffer]);
          } catch (error) {
            assert.equal((error as Error).name, 'DataCloneError'); // later versions of Node refuse instead of copying
          }
          port1.close();
          connection.send(1, body);
        },
      },
    });
    const client = await RawClient.connect(t, port);
    const large = 'in a slab of the pool'.repeat(10_000);
    for (const body of ['in the read buffer', large, 'in the read buffer again']) client.send(1, body);
    const answers = await client.receiveFrames(3);
    assert.deepEqual(
      answers.map(({ body }) => body.toString()),
      ['in the read buffer', large, 'in the read buffer again'],
    );
  });
});
