// Conversations for the RPC fuzzers: mostly what a client or a server would say, then spoilt in the ways that peers spoil
// them. From one seed alone, so that a failure can be seen again.

import { gzipSync } from 'node:zlib';

import { Metadata, RpcError } from '../../rpc/index.js';
import { FLAG_COMPRESSED, FLAG_END, FLAG_MORE, FRAME } from '../../rpc/wire/frame-types.js';
import * as wire from '../rpc/support/wire-frames.js';
import type { WireFrame } from '../rpc/support/wire-frames.js';
import type { SeededRandom } from '../support/seeded-random.js';

const METHODS = ['Say', 'List', 'Upload', 'Chat', 'Count'] as const;
const CODES = ['RPC_NOT_FOUND', 'RPC_UNAVAILABLE', 'RPC_SHUTTING_DOWN', 'RPC_UNKNOWN'] as const;
const NUMBERS = [
  0,
  1,
  2,
  7,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  0xffff_fffe,
  0xffff_ffff,
] as const;
const STREAMS_MAX = 12;

/** What a client says behind its HELLO, spoilt here and there. */
export function clientFrames(random: SeededRandom): WireFrame[] {
  const frames: WireFrame[] = [
    random.chance(0.05) ? oddHello(random) : wire.hello({ serializers: serializers(random) }),
  ];
  let streams = 0;
  /** Streams on which more may be sent. */
  let open: number[] = [];
  const count = random.integer(1, 60);
  for (let index = 0; index < count; index += 1) {
    const known = random.chance(0.99)
      ? (open[random.integer(0, open.length - 1)] ?? 0)
      : random.integer(1, 20);
    const dice = random.fraction();
    if (known === 0 || (dice < 0.3 && streams < STREAMS_MAX)) {
      if (streams >= STREAMS_MAX) break;
      streams += 1;
      const frame = opening(random, streams);
      frames.push(frame);
      if ((frame.body[0]! & FLAG_END) === 0) open.push(streams);
    } else if (dice < 0.65) {
      const parts = message(random, known);
      frames.push(...parts);
      if ((parts.at(-1)!.body[0]! & FLAG_END) !== 0) open = open.filter((id) => id !== known);
    } else if (dice < 0.72) {
      frames.push(wire.end(known));
      open = open.filter((id) => id !== known);
    } else if (dice < 0.78) {
      frames.push(wire.cancel(known, random.pick([1, 4, 99]), 'no more'));
    } else if (dice < 0.9) {
      const bytes = random.chance(0.95) ? random.integer(0, 100_000) : random.pick(NUMBERS);
      frames.push(wire.windowOf(random.chance(0.5) ? 0 : known, bytes));
    } else if (dice < 0.96) {
      frames.push(wire.ping('fuzz', random.chance(0.8) ? FRAME.PING : FRAME.PONG));
    } else if (dice < 0.97) {
      frames.push(wire.goaway({ lastStreamId: 0, reason: random.integer(0, 9), text: 'bye', drainMs: 0 }));
    } else {
      frames.push(...burst(random, known, streams, open));
      streams = Math.max(streams, STREAMS_MAX);
    }
  }
  return spoilt(random, frames);
}

/** What a server says behind its HELLO to a client with calls 1 to `calls`. */
export function serverFrames(random: SeededRandom, calls: number): WireFrame[] {
  const frames: WireFrame[] = [
    random.chance(0.05)
      ? oddHello(random)
      : wire.hello({ streamsMax: 100, pingIntervalMsMin: random.pick(NUMBERS), agent: 'server' }),
  ];
  const count = random.integer(1, 40);
  for (let index = 0; index < count; index += 1) {
    const id = random.integer(1, Math.max(1, calls));
    const dice = random.fraction();
    if (dice < 0.15) frames.push(wire.responseHeaders(id, metadata(random)));
    else if (dice < 0.55) frames.push(...message(random, id).map(withoutEnd));
    else if (dice < 0.65)
      frames.push(wire.ok(id, random.chance(0.7) ? payload(random) : null, metadata(random)));
    else if (dice < 0.75) frames.push(wire.failed(id, anError(random)));
    else if (dice < 0.88)
      frames.push(
        wire.windowOf(random.chance(0.5) ? 0 : id, random.chance(0.9) ? 1000 : random.pick(NUMBERS)),
      );
    else if (dice < 0.96) frames.push(wire.ping('fuzz', random.chance(0.5) ? FRAME.PING : FRAME.PONG));
    else
      frames.push(wire.goaway({ lastStreamId: id, reason: random.integer(0, 9), text: 'bye', drainMs: 100 }));
  }
  return spoilt(random, frames);
}

/** The same frames as one wire, spoilt once more where frames do not matter, and cut into pieces. */
export function wirePieces(random: SeededRandom, frames: readonly WireFrame[]): Buffer[] {
  let bytes: Buffer = Buffer.concat(frames.map(wire.tlv));
  if (random.chance(0.2)) bytes = flipped(random, bytes);
  if (random.chance(0.2)) bytes = bytes.subarray(0, random.integer(0, bytes.length));
  const pieceBytesMax = random.pick([1, 40, 1000, 100_000]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length && pieces.length < 300; ) {
    const end = at + random.integer(1, pieceBytesMax);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

function opening(random: SeededRandom, streamId: number): WireFrame {
  const path = random.chance(0.95)
    ? `/demo.Echo/${random.pick(METHODS)}`
    : random.pick(['', '/', '/x'.repeat(400)]);
  const flags = random.chance(0.5) ? FLAG_END : 0;
  return wire.request(streamId, path, random.chance(0.7) ? payload(random) : null, flags, {
    timeoutMs: random.chance(0.9) ? 0 : random.pick(NUMBERS),
    previousAttempts: random.integer(0, 255),
    callFlags: random.integer(0, 255),
    metadata: random.chance(0.2) ? metadata(random) : null,
  });
}

/** One message, in one way or another. */
function message(random: SeededRandom, streamId: number): WireFrame[] {
  const flags = random.chance(0.15) ? FLAG_END : 0;
  const bytes = payload(random);
  const dice = random.fraction();
  if (dice < 0.5) return [wire.data(streamId, bytes, flags)];
  if (dice < 0.7) {
    const size = random.chance(0.8) ? bytes.length : random.pick(NUMBERS);
    const raw = random.chance(0.1) ? Buffer.alloc(3_000_000) : bytes;
    const packed = random.chance(0.9) ? gzipSync(raw, { level: 1 }) : bytes;
    return [
      wire.data(
        streamId,
        Buffer.concat([u32(raw === bytes ? size : raw.length), packed]),
        flags | FLAG_COMPRESSED,
      ),
    ];
  }
  if (bytes.length < 2) return [wire.data(streamId, bytes, flags)];
  const announced = random.chance(0.97) ? bytes.length : random.pick(NUMBERS);
  const cut = random.integer(1, bytes.length - 1);
  return [
    wire.data(streamId, Buffer.concat([u32(announced), bytes.subarray(0, cut)]), FLAG_MORE),
    ...(random.chance(0.95) ? [wire.data(streamId, bytes.subarray(cut), flags)] : []),
  ];
}

/** Many of one thing. */
function burst(
  random: SeededRandom,
  streamId: number,
  streams: number,
  open: readonly number[],
): WireFrame[] {
  const count = random.pick([10, 100, 1000]);
  const repeat = (make: (index: number) => WireFrame): WireFrame[] =>
    Array.from({ length: count }, (_, index) => make(index));
  switch (random.integer(0, 7)) {
    case 0:
      return repeat(() => wire.ping('flood'));
    case 1:
      return repeat((index) => opening(random, streams + 1 + index));
    case 2:
      return repeat((index) => opening(random, streams + 1 + index)).flatMap((frame, index) => [
        frame,
        wire.cancel(streams + 1 + index, 1, ''),
      ]);
    case 3:
      return repeat(() => wire.windowOf(random.integer(0, streamId), random.pick(NUMBERS)));
    case 4: {
      const long = Buffer.alloc(60_000);
      return Array.from({ length: 8 }, () => wire.data(streamId, long)); // more than the window of a stream
    }
    case 6:
      return longMessages(random, open);
    case 5:
      return repeat(() => wire.data(streamId, Buffer.alloc(0)));
    default:
      return repeat(() => wire.cancel(streamId, 1, ''));
  }
}

/** A long message on every stream, in parts that take turns; some are never finished. */
function longMessages(random: SeededRandom, streamIds: readonly number[]): WireFrame[] {
  const parts = random.integer(2, 5);
  const part = Buffer.alloc(50_000);
  const finishes = random.chance(0.5);
  return Array.from({ length: parts }, (_, index) =>
    streamIds.map((id) => {
      const isLast = finishes && index === parts - 1;
      const bytes = index === 0 ? Buffer.concat([u32(parts * part.length), part]) : part;
      return wire.data(id, bytes, isLast ? 0 : FLAG_MORE);
    }),
  ).flat();
}

const JSON_TEXTS = [
  '{"text":"hello","number":"9007199254740993"}',
  '{"__proto__":{"text":"polluted"},"constructor":1}',
  '{"payload":"AAEC","count":4294967296}',
  '{"text":',
  'null',
  '['.repeat(20_000),
] as const;

function payload(random: SeededRandom): Buffer {
  const dice = random.fraction();
  if (random.chance(0.1)) return Buffer.from(random.pick(JSON_TEXTS));
  if (dice < 0.1) return Buffer.alloc(0);
  if (dice < 0.2) return random.bytes(random.integer(1, 300), ANY_BYTES);
  if (dice < 0.25) return nested(random.integer(1, 5000));
  const text = 'x'.repeat(random.integer(0, 100));
  const small = Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);
  if (dice < 0.6) return small;
  if (dice < 0.75) return Buffer.concat([small, Buffer.from([0x10, random.integer(0, 127)])]);
  const bytes = random.pick([200, 5000, 20_000, 50_000]);
  return Buffer.concat([Buffer.from([0x1a]), varint(bytes), Buffer.alloc(bytes, 7)]);
}

/** Groups and lengths inside of each other. */
function nested(depth: number): Buffer {
  return Buffer.alloc(depth, 0x0b);
}

function metadata(random: SeededRandom): Metadata {
  const block = new Metadata();
  const count = random.pick([0, 1, 3, 300]);
  for (let index = 0; index < count; index += 1) {
    if (random.chance(0.5)) block.add(`k${index}`, 'v'.repeat(random.integer(0, 20)));
    else block.add(`k${index}-bin`, Buffer.alloc(random.integer(0, 20)));
  }
  return block;
}

function anError(random: SeededRandom): RpcError {
  return new RpcError(random.pick(CODES), 'failed on purpose', {
    executed: random.chance(0.5) ? 'no' : 'unknown',
    ...(random.chance(0.5) ? { retryPushbackMs: random.integer(-5, 1000) } : {}),
    ...(random.chance(0.3) ? { details: [{ typeUrl: 'type/x', value: new Uint8Array([1, 2]) }] } : {}),
  });
}

function serializers(random: SeededRandom): ('json' | 'protobuf')[] {
  return random.chance(0.2) ? ['json'] : ['protobuf', 'json'];
}

function oddHello(random: SeededRandom): WireFrame {
  switch (random.integer(0, 4)) {
    case 0:
      return wire.hello({ version: random.pick([0, 2, 65_535]), versionMin: random.pick([0, 2, 65_535]) });
    case 1:
      return wire.hello({ serializers: [] });
    case 2:
      return wire.hello({
        streamWindowBytes: random.pick(NUMBERS),
        connectionWindowBytes: random.pick(NUMBERS),
      });
    case 3:
      return wire.hello({
        messageBytesMax: random.pick(NUMBERS),
        metadataBytesMax: random.pick(NUMBERS),
        streamsMax: 5,
      });
    default:
      return { msgId: FRAME.HELLO, body: random.bytes(random.integer(0, 200), ANY_BYTES) };
  }
}

function spoilt(random: SeededRandom, frames: readonly WireFrame[]): WireFrame[] {
  const all = [...frames];
  const spoils = random.pick([0, 0, 0, 1, 1, 3, 10]);
  for (let index = 0; index < spoils && all.length > 0; index += 1) {
    const at = random.integer(0, all.length - 1);
    const frame = all[at]!;
    const { msgId, body } = frame;
    switch (random.integer(0, 8)) {
      case 0:
        all.splice(at, 1);
        break;
      case 1:
        all.splice(at, 0, frame);
        break;
      case 2:
        all[at] = { msgId, body: flipped(random, body) };
        break;
      case 3:
        all[at] = { msgId, body: body.subarray(0, random.integer(0, body.length)) };
        break;
      case 4:
        all[at] = { msgId, body: Buffer.concat([body, random.bytes(random.integer(1, 50), ANY_BYTES)]) };
        break;
      case 5:
        all[at] = { msgId: 0x5200 + random.integer(0, 12), body };
        break;
      case 6:
        all[at] = { msgId, body: withNumber(random, body) };
        break;
      case 7:
        all.splice(random.integer(0, all.length - 1), 0, ...all.splice(at, 1));
        break;
      default:
        all[at] = { msgId, body: withStream(random, body) };
    }
  }
  return all;
}

function flipped(random: SeededRandom, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const flips = random.integer(1, 4);
  for (let index = 0; index < flips && copy.length > 0; index += 1) {
    const at = random.integer(0, copy.length - 1);
    copy[at]! ^= 1 << random.integer(0, 7);
  }
  return copy;
}

/** A length or a count becomes another one. */
function withNumber(random: SeededRandom, body: Buffer): Buffer {
  const copy = Buffer.from(body);
  if (copy.length >= 12) copy.writeUInt32LE(random.pick(NUMBERS), random.integer(8, copy.length - 4));
  return copy;
}

function withStream(random: SeededRandom, body: Buffer): Buffer {
  const copy = Buffer.from(body);
  if (copy.length >= 8) copy.writeUInt32LE(random.pick(NUMBERS), 4);
  return copy;
}

function withoutEnd({ msgId, body }: WireFrame): WireFrame {
  body[0]! &= ~FLAG_END;
  return { msgId, body };
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const ANY_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);
