// The stream of a channel without shared memory, taken apart: cut anywhere, corrupted anyhow.

import assert from 'node:assert/strict';
import test from 'node:test';

import * as fc from 'fast-check';

import { JbusError } from '../../addon/jbus/index.js';
import {
  FLAG_HEARTBEAT,
  FLAG_WHOLE,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_TYPE,
  ROW_WORDS,
} from '../../addon/jbus/layout.js';
import { MemoryRing } from '../../addon/jbus/memory-ring.js';
import { SocketReceiver } from '../../addon/jbus/socket-receiver.js';
import {
  decodeGreeting,
  encodeGreeting,
  encodeNotice,
  encodeRecordHeader,
  FLAG_RELEASED,
  FLAG_WANT,
  GREETING_BYTES,
} from '../../addon/jbus/socket-wire.js';
import { jbusError, patternBytes } from './support/rings.js';

const CAPACITY = 4096;

function record(type: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(32);
  const { length } = payload;
  encodeRecordHeader(header, { length, totalLength: length, flags: FLAG_WHOLE, type, msgId: type });
  return Buffer.concat([header, payload]);
}

/** Three messages and three notices. */
const STREAM = Buffer.concat([
  record(1, patternBytes(1, 100)),
  encodeNotice(FLAG_HEARTBEAT),
  record(2, new Uint8Array(0)),
  encodeNotice(FLAG_WANT),
  record(3, patternBytes(3, 7)),
  encodeNotice(FLAG_RELEASED, { msgId: 2 ** 40 + 8 }),
]);

interface Received {
  readonly ring: MemoryRing;
  readonly receiver: SocketReceiver;
  readonly notices: { flags: number; msgId: number }[];
}

function receive(): Received {
  const ring = new MemoryRing(CAPACITY);
  const notices: { flags: number; msgId: number }[] = [];
  const receiver = new SocketReceiver(ring, ({ flags, msgId }) => notices.push({ flags, msgId }));
  return { ring, receiver, notices };
}

/** Type and payload of every message in the ring. */
function messagesOf(ring: MemoryRing): [number, Buffer][] {
  const rows = new Uint32Array(64 * ROW_WORDS);
  return Array.from({ length: ring.take(rows, 64) }, (_, row) => {
    const at = row * ROW_WORDS;
    const offset = rows[at + ROW_OFFSET]!;
    return [rows[at + ROW_TYPE]!, Buffer.from(ring.memory.subarray(offset, offset + rows[at + ROW_LENGTH]!))];
  });
}

const EXPECTED = [
  [1, Buffer.from(patternBytes(1, 100))],
  [2, Buffer.alloc(0)],
  [3, Buffer.from(patternBytes(3, 7))],
];

test('a stream cut at every pair of bytes gives the same messages and notices', () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 13) {
      const { ring, receiver, notices } = receive();
      receiver.feed(STREAM.subarray(0, first));
      receiver.feed(STREAM.subarray(first, second));
      receiver.feed(STREAM.subarray(second));
      assert.deepEqual(messagesOf(ring), EXPECTED);
      assert.deepEqual(notices, [
        { flags: FLAG_HEARTBEAT, msgId: 0 },
        { flags: FLAG_WANT, msgId: 0 },
        { flags: FLAG_RELEASED, msgId: 2 ** 40 + 8 },
      ]);
    }
  }
});

test('a stream corrupted anywhere is poison or other messages, and never anything else', () => {
  const change = fc.record({ at: fc.nat(STREAM.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), fc.nat(STREAM.length), (changes, cut) => {
      const bytes = Buffer.from(STREAM);
      for (const { at, value } of changes) bytes[at] = value;
      const { ring, receiver } = receive();
      try {
        receiver.feed(bytes.subarray(0, cut));
        receiver.feed(bytes.subarray(cut));
      } catch (error) {
        assert(error instanceof JbusError && error.code === 'JBUS_POISONED', String(error));
      }
      assert(ring.size() <= CAPACITY);
    }),
    { numRuns: 2000 },
  );
});

test('a peer that sends more than there is room for has broken the format', () => {
  const { receiver } = receive();
  const large = record(1, patternBytes(0, 1900));
  receiver.feed(large);
  receiver.feed(large);
  assert.throws(() => receiver.feed(large), jbusError('JBUS_POISONED'));
});

test('a greeting is read back, and refused when it is another version or none at all', () => {
  const greeting = {
    pid: 7,
    epoch: 2 ** 53 - 1,
    channelHash: 2 ** 40,
    capacityOut: 4096,
    capacityIn: 2 ** 31,
  };
  assert.deepEqual(decodeGreeting(encodeGreeting(greeting)), greeting);
  const other = encodeGreeting(greeting);
  other.writeUInt32LE(2, 8);
  assert.throws(() => decodeGreeting(other), jbusError('JBUS_VERSION'));
  assert.throws(() => decodeGreeting(Buffer.alloc(GREETING_BYTES)), jbusError('JBUS_NOT_OURS'));
  assert.throws(() => decodeGreeting(encodeGreeting(greeting).subarray(1)), jbusError('JBUS_NOT_OURS'));
});
