// The ring against a plain queue: any sizes, any order of calls, wraps and both kinds of skip at the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  occupiedBytes,
  RecordBatch,
  type RingReader,
  type RingWriter,
  recordBytesMax,
  type ShmRing,
} from '../../addon/jbus/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { patternBytes, privateRing } from './support/rings.js';

interface Expected {
  readonly type: number;
  readonly msgId: number;
  readonly bytes: Uint8Array;
}

/** What a test run knows beside the ring. */
class Model {
  readonly queue: Expected[] = [];
  readonly random: SeededRandom;
  readonly writer: RingWriter;
  readonly reader: RingReader;
  #sent = 0;

  constructor(ring: ShmRing, seed: number) {
    this.random = new SeededRandom(seed);
    this.writer = ring.writer();
    this.reader = ring.reader();
  }

  next(): Expected {
    this.#sent += 1;
    const lengthMax = this.random.chance(0.2) ? this.writer.recordBytesMax : 200;
    const length = this.random.integer(0, lengthMax);
    const msgId = this.random.chance(0.5) ? this.#sent : this.#sent + 2 ** 40;
    return { type: this.#sent & 0xffff, msgId, bytes: patternBytes(this.#sent, length) };
  }

  write(): void {
    const message = this.next();
    const taken = this.writer.write(message.type, message.msgId, message.bytes);
    if (taken > 0) this.queue.push(message);
    else assert(this.writer.free < occupiedBytes(message.bytes.length) * 2, 'refused only for want of room');
  }

  writeBatch(): void {
    const batch = new RecordBatch({ recordsMax: 20, bytesMax: 2000 });
    const messages: Expected[] = [];
    for (
      let message = this.next();
      batch.add(message.type, message.msgId, message.bytes);
      message = this.next()
    ) {
      messages.push(message);
    }
    const written = this.writer.writeBatch(batch);
    assert.equal(batch.count, messages.length - written);
    this.queue.push(...messages.slice(0, written));
  }

  read(): void {
    const record = this.reader.read();
    const expected = this.queue.shift();
    assert.equal(record === null, expected === undefined);
    if (record !== null && expected !== undefined) this.compare(record, expected);
  }

  readBatch(): void {
    const count = this.reader.readBatch(this.random.integer(0, 10));
    let released = 0;
    for (let row = 0; row < count; row += 1) {
      this.compare(this.reader.record(row), this.queue.shift()!);
      if (this.random.chance(0.7)) continue;
      this.reader.release(row + 1 - released);
      released = row + 1;
    }
    this.reader.release();
  }

  look(): void {
    const wanted = this.random.integer(0, 5);
    const skipped = this.reader.seek(wanted);
    assert.equal(skipped, Math.min(wanted, this.queue.length));
    const expected = this.queue[skipped];
    const seen = this.reader.peek((record) => {
      this.compare(record, expected!);
      return true;
    });
    assert.equal(seen, expected === undefined ? undefined : true);
    this.reader.seek(0);
    this.read();
  }

  clear(): void {
    this.reader.clear();
    this.queue.length = 0;
    assert.equal(this.reader.size, 0);
  }

  compare(record: Expected, { type, msgId, bytes }: Expected): void {
    assert.equal(record.type, type);
    assert.equal(record.msgId, msgId);
    assert.equal(Buffer.compare(record.bytes, bytes), 0);
  }

  step(): void {
    const choice = this.random.fraction();
    if (choice < 0.4) this.write();
    else if (choice < 0.5) this.writeBatch();
    else if (choice < 0.7) this.read();
    else if (choice < 0.9) this.readBatch();
    else if (choice < 0.995) this.look();
    else this.clear();
  }

  close(): void {
    this.writer.close();
    this.reader.close();
  }
}

function run(seed: number, steps: number, options: Parameters<typeof privateRing>[0]): void {
  const ring = privateRing(options);
  const model = new Model(ring, seed);
  try {
    for (let step = 0; step < steps; step += 1) model.step();
    while (model.queue.length > 0) model.read();
    assert.equal(model.reader.read(), null);
    assert.equal(model.writer.size, 0);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  } finally {
    model.close();
    ring.close();
  }
}

test('whatever is written, read, peeked, sought and cleared in whatever order, the ring is a queue', () => {
  const first = Date.now() % 1_000_000;
  for (let seed = first; seed < first + 30; seed += 1) run(seed, 1500, { crc: seed % 2 === 0 });
});

test('positions may pass 2^32 and 2^53', () => {
  run(1, 3000, { startPosition: 2 ** 32 - 4096 });
  run(2, 3000, { startPosition: 2 ** 53 - 4096 });
});

test('the skips of 8, 16 and 24 bytes, which have no pad, are all met', () => {
  for (const left of [8, 16, 24]) {
    const ring = privateRing();
    const writer = ring.writer();
    const reader = ring.reader();
    // Three records fill all but `left` bytes; the next one has to go to the start.
    const lengths = [1024 - 32, 1024 - 32, 2048 - left - 32];
    for (const length of lengths)
      assert.equal(writer.write(1, length, patternBytes(left, length)), length + 32);
    for (const length of lengths) assert.equal(reader.read()?.bytes.length, length);
    const taken = writer.write(2, 99, patternBytes(left, 64));
    assert.equal(taken, left + 32 + 64);
    assert.equal(reader.size, taken);
    assert.equal(Buffer.compare(reader.read()!.bytes, patternBytes(left, 64)), 0);
    assert.equal(writer.size, 0);
    writer.close();
    reader.close();
    ring.close();
  }
});

test('the largest record fits an empty ring wherever its positions are', () => {
  const largest = patternBytes(3, recordBytesMax(4096));
  for (let startPosition = 0; startPosition < 4096; startPosition += 8) {
    const ring = privateRing({ startPosition });
    const writer = ring.writer();
    const reader = ring.reader();
    assert(writer.write(1, startPosition, largest) > 0);
    assert.equal(reader.read()?.bytes.compare(largest), 0);
    assert.equal(writer.size, 0);
    writer.close();
    reader.close();
    ring.close();
  }
});

test('an exact fit is taken and one byte more is refused', () => {
  const ring = privateRing();
  const writer = ring.writer();
  const half = new Uint8Array(recordBytesMax(4096));
  assert.equal(writer.write(1, 1, half), 2048);
  assert.equal(writer.write(1, 2, half), 2048);
  assert.equal(writer.free, 0);
  assert.equal(writer.write(1, 3, new Uint8Array(0)), 0);
  writer.close();
  ring.close();
});
