// C++ cuts frames exactly as the TypeScript codecs do: same frames, same message ids, same refusals.
// Random framings and wires, valid and not; TRANSPORT_FRAMING_SEED brings a failing run back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import {
  EVENT_CONNECTED,
  EVENT_END,
  EVENT_FRAME,
  EVENT_MALFORMED,
  EVENT_TOO_LARGE,
  type FramingOptions,
} from '../../addon/index.js';
import { BufferPool } from '../../reactor/buffer-pool.js';
import { type LengthFieldCodecOptions, lengthFieldCodec } from '../../reactor/codecs/length-field-codec.js';
import { ReactorError } from '../../reactor/errors.js';
import { SharedBudget } from '../../reactor/shared-budget.js';
import { SeededRandom } from '../support/seeded-random.js';
import { deferred, TinyTransport } from './support/tiny-transport.js';

const ROUNDS = 150;
const seed = Number(process.env['TRANSPORT_FRAMING_SEED'] ?? Date.now() % 2 ** 32);

interface Choice {
  readonly codec: Required<Omit<LengthFieldCodecOptions, 'msgId'>> & Pick<LengthFieldCodecOptions, 'msgId'>;
  readonly framing: FramingOptions;
}

function choose(random: SeededRandom): Choice {
  const lengthOffset = random.integer(0, 6);
  const lengthBytes = random.pick([1, 2, 3, 4, 8] as const);
  const byteOrder = random.pick(['little', 'big'] as const);
  const lengthAdjustment = random.pick([0, 0, -1, -4, 3, -(lengthOffset + lengthBytes)]);
  const stripBytes = random.pick([0, lengthOffset + lengthBytes, random.integer(0, 20)]);
  const frameBytesMax = random.pick([5, 300, 70_000]);
  const shared = { lengthOffset, lengthBytes, lengthAdjustment, stripBytes, frameBytesMax };
  const codec = { ...shared, byteOrder };
  const framing = { ...shared, bigEndian: byteOrder === 'big' };
  if (random.chance(0.5)) return { codec, framing };
  const bytes = random.pick([1, 2, 4] as const);
  const offset =
    random.chance(0.5) && lengthOffset >= bytes ? 0 : lengthOffset + lengthBytes + random.integer(0, 3);
  const msgIdOrder = random.pick(['little', 'big'] as const);
  return {
    codec: { ...codec, msgId: { offset, bytes, byteOrder: msgIdOrder } },
    framing: { ...framing, msgIdOffset: offset, msgIdBytes: bytes, msgIdBigEndian: msgIdOrder === 'big' },
  };
}

/** Bytes in which small lengths are common, so that many frames come out of noise. */
function wireOf(random: SeededRandom): Buffer {
  return random.bytes(random.integer(0, 3000), Buffer.from([0, 0, 0, 0, 1, 2, 5, 9, 40, 255]));
}

function decodeInTypeScript(options: LengthFieldCodecOptions, wire: Buffer): string[] {
  const pool = new BufferPool({}, 0, SharedBudget.create(16 * 1024 * 1024, 1));
  const decoder = lengthFieldCodec(options).createDecoder(pool);
  const story: string[] = [];
  try {
    decoder.feed(wire, {
      onFrame(msgId, bytes, start, end) {
        story.push(`${msgId} ${bytes.toString('hex', start, end)}`);
        return true;
      },
    });
  } catch (error) {
    assert(error instanceof ReactorError);
    story.push(error.code);
  }
  decoder.release();
  return story;
}

async function decodeInCpp(tiny: TinyTransport, port: number, framing: FramingOptions): Promise<string[]> {
  const story: string[] = [];
  const { promise, resolve } = deferred<void>();
  tiny.onEvent = (event) => {
    if (event.type === EVENT_CONNECTED) tiny.transport.resume(event.slot);
    else if (event.type === EVENT_FRAME) story.push(`${event.a} ${tiny.bytesOf(event).toString('hex')}`);
    else if (event.type === EVENT_TOO_LARGE) story.push('REACTOR_FRAME_TOO_LARGE');
    else if (event.type === EVENT_MALFORMED) story.push('REACTOR_FRAME_MALFORMED');
    if ([EVENT_END, EVENT_TOO_LARGE, EVENT_MALFORMED].includes(event.type)) {
      tiny.transport.closeSlot(event.slot);
      resolve();
    }
  };
  tiny.transport.connectTcp('127.0.0.1', port, tiny.transport.defineFraming(framing));
  await promise;
  return story;
}

test(`length-field frames are cut in C++ as in TypeScript (seed ${seed})`, async () => {
  const random = new SeededRandom(seed);
  let wire: Buffer = Buffer.alloc(0);
  const server = net.createServer((socket) => socket.on('error', () => {}).end(wire)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const tiny = new TinyTransport({}, () => {});
  let frames = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { codec, framing } = choose(random);
    wire = wireOf(random);
    const expected = decodeInTypeScript(codec, wire);
    assert.deepEqual(
      await decodeInCpp(tiny, port, framing),
      expected,
      `round ${round}: ${JSON.stringify(codec)}`,
    );
    frames += expected.length;
  }
  assert(frames > ROUNDS, `only ${frames} frames in all`);
  tiny.transport.close();
  server.close();
  await once(server, 'close');
});
