// What tells a reader of messages that it read what was sent: sums that follow from numbers, and frames cut anywhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeTally, decodeTally, KIND_DATA, KIND_PING } from '../../bench/peers/messages/ends.js';
import { FRAME_HEADER_BYTES, FrameReader, writeFrameHeader } from '../../bench/peers/messages/frames.js';
import { fillLines, LINE_BYTES, Rotation, sumLines } from '../../bench/rotation.js';

const BYTES = 16 * 1024;

function memory(): Buffer {
  const bytes = Buffer.alloc(BYTES, 0xee); // what is not the first word of a line counts for nothing
  fillLines(bytes);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

test('a rotation knows the sum of any run of messages, round and round', () => {
  const view = viewOf(memory());
  for (const messageBytes of [64, 192, 4096, BYTES]) {
    const rotation = new Rotation(BYTES, messageBytes);
    for (const count of [1, 3, rotation.messageCount, 7, 2 * rotation.messageCount + 1, 0]) {
      let sum = 0;
      for (let index = 0; index < count; index += 1) sum = sumLines(view, rotation.next(), messageBytes, sum);
      assert.deepEqual(rotation.settle(), { count, sum });
    }
  }
});

test('where the reader adds up one line of many, so does the rotation', () => {
  const view = viewOf(memory());
  const rotation = new Rotation(BYTES, 4096, 16);
  let sum = 0;
  for (let index = 0; index < 7; index += 1) {
    const from = rotation.next();
    for (let at = from; at < from + 4096; at += 16 * LINE_BYTES) sum = (sum + view.getInt32(at, true)) | 0;
  }
  assert.deepEqual(rotation.settle(), { count: 7, sum });
});

test('messages that are no whole lines, or too large, do not rotate', () => {
  assert.throws(() => new Rotation(BYTES, 100), RangeError);
  assert.throws(() => new Rotation(BYTES, 2 * BYTES), RangeError);
});

for (const inPieces of [false, true]) {
  const how = inPieces ? 'added up in pieces' : 'put together';
  test(`a stream cut at every byte and ${how} gives the same sum, and short frames whole`, () => {
    const source = memory();
    const rotation = new Rotation(BYTES, 192);
    const frames: Buffer[] = [];
    for (let index = 0; index < 3; index += 1) {
      const at = rotation.next();
      frames.push(
        headerOf(KIND_DATA, 192),
        source.subarray(at, at + 192),
        headerOf(KIND_PING, 2),
        Buffer.from('hi'),
      );
    }
    const stream = Buffer.concat(frames);
    const expected = rotation.settle();
    for (let size = 1; size <= stream.length; size += 1) {
      const shorts: string[] = [];
      const reader = new FrameReader((kind, body) => shorts.push(`${kind} ${body.toString()}`), { inPieces });
      for (let at = 0; at < stream.length; at += size) {
        const chunk = Buffer.from(stream.subarray(at, at + size));
        reader.feed(chunk, viewOf(chunk), chunk.length);
      }
      assert.deepEqual(reader.settle(), expected, `chunks of ${size} bytes`);
      assert.deepEqual(shorts, Array(3).fill(`${KIND_PING} hi`));
      assert.deepEqual(reader.settle(), { count: 0, sum: 0 });
    }
  });
}

test('a body longer than any before is put together whole', () => {
  const bytes = 256 * 1024;
  const source = Buffer.alloc(bytes, 0xee);
  fillLines(source);
  const reader = new FrameReader(assert.fail);
  const rotation = new Rotation(bytes, bytes);
  for (const cut of [1, 100_000, bytes]) {
    rotation.next();
    const stream = Buffer.concat([headerOf(KIND_DATA, bytes), source]);
    for (const chunk of [stream.subarray(0, cut), stream.subarray(cut)]) {
      reader.feed(chunk, viewOf(chunk), chunk.length);
    }
  }
  assert.deepEqual(reader.settle(), rotation.settle());
});

test('a message that was read twice, or another instead, has another sum', () => {
  const view = viewOf(memory());
  const rotation = new Rotation(BYTES, 64);
  const first = rotation.next();
  rotation.next();
  assert.notEqual(rotation.settle().sum, sumLines(view, first, 64, sumLines(view, first, 64, 0)));
});

test('a tally goes over as it is', () => {
  const tally = { count: 2 ** 40, sum: -5 };
  assert.deepEqual(decodeTally(encodeTally(tally)), tally);
});

function headerOf(kind: number, length: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, kind, length);
  return header;
}
