// What a channel makes of records: messages of several fragments stay in the ring where nothing is the worse for it.
// The ring here is a list of records, so that it may hold what no writer of ours would write.

import assert from 'node:assert/strict';
import test from 'node:test';

import { type Lease, occupiedBytes } from '../../addon/jbus/index.js';
import { ChannelInput } from '../../addon/jbus/channel-input.js';
import {
  FLAG_BEGIN,
  FLAG_END,
  FLAG_HEARTBEAT,
  FLAG_MID,
  FLAG_WHOLE,
  ROW_COST,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_MSG_ID_LOW,
  ROW_OFFSET,
  ROW_TOTAL_LENGTH,
  ROW_WORDS,
} from '../../addon/jbus/layout.js';
import type { ChannelLink } from '../../addon/jbus/link.js';
import { jbusError, patternBytes } from './support/rings.js';

const CAPACITY = 4096;

class ListRing {
  readonly input: ChannelInput;
  /** What was given back. */
  released = 0;
  readonly #memory = new Uint8Array(1024 * 1024);
  #used = 0;
  #records: { flags: number; msgId: number; total: number; offset: number; length: number }[] = [];

  constructor(messageBytesMax = CAPACITY) {
    const reader = {
      take: (rows: Uint32Array, most: number): number => this.#take(rows, most),
      release: (bytes: number): boolean => {
        this.released += bytes;
        return false;
      },
      dropped: () => 0,
      prepareWait: () => true,
    };
    const link = { memory: this.#memory, inCapacity: CAPACITY, reader } as unknown as ChannelLink;
    this.input = new ChannelInput(link, messageBytesMax);
  }

  put(flags: number, msgId: number, total: number, bytes: Uint8Array): void {
    this.#memory.set(bytes, this.#used);
    this.#records.push({ flags, msgId, total, offset: this.#used, length: bytes.length });
    this.#used += bytes.length;
  }

  /** A message in fragments of `size`, all of it or its first `count` fragments. */
  putFragments(msgId: number, message: Uint8Array, size: number, count = Infinity): void {
    for (let at = 0, index = 0; at < message.length && index < count; at += size, index += 1) {
      const part = message.subarray(at, at + size);
      const edges = (at === 0 ? FLAG_BEGIN : 0) | (at + size >= message.length ? FLAG_END : 0);
      this.put(edges === 0 ? FLAG_MID : edges, msgId, message.length, part);
    }
  }

  #take(rows: Uint32Array, most: number): number {
    const taken = this.#records.splice(0, most);
    for (const [index, { flags, msgId, total, offset, length }] of taken.entries()) {
      const row = index * ROW_WORDS;
      rows[row + ROW_FLAGS] = flags;
      rows[row + ROW_MSG_ID_LOW] = msgId;
      rows[row + ROW_TOTAL_LENGTH] = total;
      rows[row + ROW_OFFSET] = offset;
      rows[row + ROW_LENGTH] = length;
      rows[row + ROW_COST] = occupiedBytes(length);
    }
    return taken.length;
  }
}

function next(ring: ListRing): Lease {
  const lease = ring.input.next();
  assert(lease !== undefined);
  return lease;
}

const HALF = patternBytes(5, CAPACITY / 2);

test('a message of half the ring is lent in its parts, and the ring gets them back with the release', () => {
  const ring = new ListRing();
  ring.putFragments(7, HALF, 500);
  const lease = next(ring);
  assert.deepEqual(
    lease.parts.map((part) => part.length),
    [500, 500, 500, 500, 48],
  );
  assert.equal(lease.length, HALF.length);
  assert.deepEqual(Buffer.concat(lease.parts), Buffer.from(HALF));
  assert.equal(ring.released, 0);
  lease.release();
  assert.equal(ring.released, 4 * occupiedBytes(500) + occupiedBytes(48));
  assert.throws(() => lease.parts, jbusError('JBUS_RELEASED'));
});

test('reading all of it at once copies, gives the ring back, and a kept copy is nobody else’s', () => {
  const ring = new ListRing();
  ring.putFragments(7, HALF, 500);
  const lease = next(ring);
  const { data } = lease;
  assert.deepEqual(Buffer.from(data), Buffer.from(HALF));
  assert.equal(lease.data, data, 'copied once');
  assert(ring.released > HALF.length);
  const kept = lease.keep();
  ring.putFragments(8, patternBytes(6, CAPACITY / 2), 500);
  const other = next(ring);
  assert.deepEqual(Buffer.from(other.data), Buffer.from(patternBytes(6, CAPACITY / 2)));
  other.release();
  assert.deepEqual(kept.data, Buffer.from(HALF));
});

test('what is kept without a look at it is copied too', () => {
  const ring = new ListRing();
  ring.putFragments(7, HALF, 500);
  const { msgId, data } = next(ring).keep();
  assert.equal(msgId, 7);
  assert.deepEqual(data, Buffer.from(HALF));
  assert(ring.released > HALF.length);
});

test('heartbeats come between parts and are counted', () => {
  const ring = new ListRing();
  ring.putFragments(7, HALF, 1000, 2);
  ring.put(FLAG_HEARTBEAT, 0, 0, new Uint8Array(0));
  assert.equal(ring.input.next(), undefined);
  assert.equal(ring.input.lent, 0, 'nobody has been lent anything yet');
  ring.put(FLAG_END, 7, HALF.length, HALF.subarray(2000));
  const lease = next(ring);
  assert.deepEqual(Buffer.from(lease.data), Buffer.from(HALF));
  assert.equal(ring.input.heartbeats, 1);
});

test('fragments so small that the writer would run out of room are copied, and the message is whole', () => {
  const ring = new ListRing();
  const sent = HALF.length / 8;
  ring.putFragments(7, HALF, 8, sent - 100);
  while (ring.input.next() === undefined && ring.input.hasMore); // turns of the loop
  assert(ring.released > 0, 'the writer got room before the message was complete');
  for (let index = sent - 100; index < sent; index += 1) {
    const part = HALF.subarray(index * 8, index * 8 + 8);
    ring.put(index === sent - 1 ? FLAG_END : FLAG_MID, 7, HALF.length, part);
  }
  let lease = ring.input.next();
  while (lease === undefined && ring.input.hasMore) lease = ring.input.next();
  assert(lease !== undefined);
  assert.equal(lease.parts.length, 1);
  assert.deepEqual(Buffer.from(lease.data), Buffer.from(HALF));
});

test('while another lease is out nothing stays: the writer might wait for both', () => {
  const ring = new ListRing();
  ring.put(FLAG_WHOLE, 1, 3, patternBytes(1, 3));
  ring.putFragments(7, HALF, 500);
  const first = next(ring);
  const second = next(ring);
  assert.equal(second.parts.length, 1);
  assert.deepEqual(Buffer.from(second.data), Buffer.from(HALF));
  first.release();
  second.release();
});

test('a message larger than that is assembled, and its fragments are given back as they come', () => {
  const ring = new ListRing(3 * CAPACITY);
  const message = patternBytes(2, 2 * CAPACITY);
  ring.putFragments(7, message, 992, 4);
  assert.equal(ring.input.next(), undefined);
  assert.equal(ring.released, 4 * occupiedBytes(992));
});

test('whatever breaks the format within a message that stays is poison, as it is in one that is copied', () => {
  const wrong: readonly (readonly [string, number, number, number, number])[] = [
    ['another id', FLAG_MID, 8, HALF.length, 100],
    ['another total', FLAG_MID, 7, HALF.length - 1, 100],
    ['too many bytes', FLAG_MID, 7, HALF.length, HALF.length],
    ['an end that comes too early', FLAG_END, 7, HALF.length, 100],
    ['a begin', FLAG_BEGIN, 7, HALF.length, 100],
    ['a whole message', FLAG_WHOLE, 8, 100, 100],
    ['a heartbeat with bytes', FLAG_HEARTBEAT, 0, 8, 8],
  ];
  for (const [what, flags, msgId, total, length] of wrong) {
    const ring = new ListRing();
    ring.putFragments(7, HALF, 500, 2);
    ring.put(flags, msgId, total, new Uint8Array(length));
    assert.throws(() => ring.input.next(), jbusError('JBUS_POISONED'), what);
  }
  const tooLarge = new ListRing(1000);
  tooLarge.putFragments(7, HALF, 500);
  assert.throws(() => tooLarge.input.next(), jbusError('JBUS_POISONED'));
});

test('a message whose writer died in the middle is counted as torn, and never delivered', () => {
  const ring = new ListRing();
  ring.putFragments(7, HALF, 500, 3);
  assert.equal(ring.input.next(), undefined);
  ring.input.abandon();
  assert.equal(ring.input.torn, 1);
  assert.equal(ring.input.next(), undefined);
});
