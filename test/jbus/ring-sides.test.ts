// The two sides of a ring: who may have them, what they refuse, how they wait and how they end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import {
  FLAG_BEGIN,
  FLAG_END,
  FLAG_HEARTBEAT,
  FLAG_MID,
  RecordBatch,
  type RingReader,
  type RingWriter,
} from '../../addon/jbus/index.js';
import { jbusError, patternBytes, privateRing } from './support/rings.js';

interface Sides {
  readonly writer: RingWriter;
  readonly reader: RingReader;
  readonly woken: string[];
}

/** Runs `body` over both sides of a ring of 4 KiB and closes everything. */
function withSides(body: (sides: Sides) => void): void {
  const ring = privateRing();
  const woken: string[] = [];
  const writer = ring.writer({ wakeConsumer: () => woken.push('consumer') });
  const reader = ring.reader({ wakeProducer: () => woken.push('producer'), messageBytesMax: 10_000 });
  try {
    body({ writer, reader, woken });
  } finally {
    writer.close();
    reader.close();
    ring.close();
  }
}

test('a side has one holder at a time, and is free again after close', () => {
  const ring = privateRing();
  const writer = ring.writer();
  assert.throws(() => ring.writer(), jbusError('JBUS_SIDE_TAKEN'));
  writer.close();
  writer.close();
  ring.writer().close();
  ring.close();
});

test('a worker cannot have the side that the main thread has, and gets it afterwards', async () => {
  const ring = privateRing();
  const reader = ring.reader();
  const answers: unknown[] = [];
  for (const isTaken of [true, false]) {
    if (!isTaken) reader.close();
    const worker = new Worker(new URL('support/ring-reader.worker.js', import.meta.url), {
      workerData: { id: ring.id, count: 0 },
    });
    const exited = once(worker, 'exit'); // it may come in the same turn as the message
    const [answer] = (await once(worker, 'message')) as [{ code?: string }];
    answers.push(answer.code);
    await exited;
  }
  assert.deepEqual(answers, ['JBUS_SIDE_TAKEN', undefined]);
  ring.close();
});

test('a worker blocks until records come, and reads them all', async () => {
  const ring = privateRing();
  const writer = ring.writer();
  const worker = new Worker(new URL('support/ring-reader.worker.js', import.meta.url), {
    workerData: { id: ring.id, count: 2000 },
  });
  const exited = once(worker, 'exit');
  const answered = once(worker, 'message') as Promise<[{ sum: number }]>;
  let sum = 0;
  for (let number = 0; number < 2000; ) {
    const bytes = patternBytes(number, number % 100);
    if (writer.write(1, number, bytes) > 0) {
      sum += bytes.reduce((a, b) => a + b, 0);
      number += 1;
    } else {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  assert.equal((await answered)[0].sum, sum);
  await exited;
  writer.close();
  ring.close();
});

test('blocking on the main thread throws, spinning is bounded', () => {
  withSides(({ writer, reader }) => {
    assert.throws(() => reader.waitForRecord(1), jbusError('JBUS_MAIN_THREAD'));
    assert.throws(() => writer.waitForRoom(8, 1), jbusError('JBUS_MAIN_THREAD'));
    assert.throws(() => reader.spin(1001), jbusError('JBUS_INVALID_ARGUMENT'));
    assert.equal(reader.spin(10), false);
    assert.equal(writer.spin(4096, 10), true);
  });
});

test('a peer that announced its sleep is woken once', () => {
  withSides(({ writer, reader, woken }) => {
    writer.write(1, 1, patternBytes(1, 8));
    assert.deepEqual(woken, []);
    reader.read();
    assert.equal(reader.prepareWait(), true);
    writer.write(1, 2, patternBytes(2, 8));
    writer.write(1, 3, patternBytes(3, 8));
    assert.deepEqual(woken, ['consumer']);
    assert.equal(reader.prepareWait(), false, 'there is something to read');
    reader.cancelWait();
    while (writer.write(1, 4, patternBytes(4, 1000)) > 0);
    assert.equal(writer.prepareWait(2000), true);
    reader.readBatch();
    reader.release();
    assert.deepEqual(woken, ['consumer', 'producer']);
    assert.equal(writer.prepareWait(2000), false, 'there is room');
  });
});

test('a larger message goes in fragments while the reader empties the ring', () => {
  withSides(({ writer, reader }) => {
    const message = patternBytes(9, 10_000);
    const received: Buffer[] = [];
    const flags: number[] = [];
    for (let from = 0; from < message.length; ) {
      from += writer.writeFragments(7, 99, message, from);
      writer.writeHeartbeat();
      for (let record = reader.read(); record !== null; record = reader.read()) {
        if (record.flags === FLAG_HEARTBEAT) continue;
        assert.deepEqual([record.type, record.msgId, record.totalLength], [7, 99, 10_000]);
        flags.push(record.flags);
        received.push(record.bytes);
      }
    }
    assert.equal(Buffer.concat(received).compare(message), 0);
    assert.equal(flags[0], FLAG_BEGIN);
    assert.equal(flags.at(-1), FLAG_END);
    assert(flags.slice(1, -1).every((flag) => flag === FLAG_MID));
  });
});

test('what is left of a message whose begin was cleared is dropped and counted', () => {
  withSides(({ writer, reader }) => {
    const message = patternBytes(1, 4000);
    const from = writer.writeFragments(1, 1, message, 0);
    assert(from < message.length);
    reader.clear();
    assert.equal(writer.writeFragments(1, 1, message, from), message.length - from);
    assert.equal(reader.read(), null);
    assert.equal(reader.dropped, 1);
    writer.write(1, 2, patternBytes(2, 5));
    assert.equal(reader.read()?.msgId, 2);
  });
});

test('a message beyond messageBytesMax poisons both sides, for good', () => {
  withSides(({ writer, reader }) => {
    assert(writer.writeFragments(1, 1, patternBytes(1, 10_001), 0) > 0);
    assert.throws(() => reader.read(), { code: 'JBUS_POISONED', message: /too large/ });
    assert.throws(() => writer.write(1, 2, patternBytes(2, 1)), {
      code: 'JBUS_POISONED',
      message: /other side/,
    });
    assert.throws(() => reader.peek(() => 1), jbusError('JBUS_POISONED'));
    assert.equal(reader.state, 'poisoned');
  });
});

test('bytes the peer changed in a header, a position or a state word are found out', () => {
  const corruptions: ((words: Uint32Array) => void)[] = [
    (words) => (words[1024] = 0), // the first record's magic
    (words) => (words[1025] = 9999), // its length
    (words) => (words[1027] = 0x3f), // its flags
    (words) => (words[0x80 / 4] = 7), // the tail
    (words) => (words[0x84 / 4] = 1),
    (words) => (words[0x1c / 4] = 3), // the state
  ];
  for (const corrupt of corruptions) {
    const ring = privateRing();
    const writer = ring.writer();
    const reader = ring.reader();
    writer.write(1, 1, patternBytes(1, 100));
    corrupt(new Uint32Array(ring.segment.buffer));
    assert.throws(() => reader.readBatch(), jbusError('JBUS_POISONED'));
    assert.throws(() => writer.throwIfPoisoned(), jbusError('JBUS_POISONED'));
    assert.throws(
      () => ring.writer(),
      (error: { code?: string }) => /SIDE_TAKEN|POISONED/.test(error.code ?? ''),
    );
    writer.close();
    reader.close();
    ring.close();
  }
});

test('arguments that cannot be right are refused and write nothing', () => {
  withSides(({ writer, reader }) => {
    const bytes = patternBytes(1, 8);
    for (const call of [
      () => writer.write(-1, 1, bytes),
      () => writer.write(65_536, 1, bytes),
      () => writer.write(1, 2 ** 53, bytes),
      () => writer.write(1, 0.5, bytes),
      () => writer.write(1, 1, 'text' as unknown as Uint8Array),
      () => writer.write(1, 1, new Uint16Array(4) as unknown as Uint8Array),
      () => writer.writeFragments(1, 1, bytes, 8),
      () => writer.writeFragments(1, 1, new Uint8Array(0), 0),
      () => reader.readBatch(-1),
      () => reader.seek(1.5),
      () => reader.record(0),
      () => reader.release(1),
      () => new RecordBatch({ recordsMax: 0 }),
    ]) {
      assert.throws(call, jbusError('JBUS_INVALID_ARGUMENT'));
    }
    assert.throws(() => writer.write(1, 1, new Uint8Array(2017)), jbusError('JBUS_RECORD_TOO_LARGE'));
    assert.equal(writer.size, 0);
  });
});

test('a batch that is out has to be released before the ring is read further', () => {
  withSides(({ writer, reader }) => {
    for (let number = 1; number <= 3; number += 1) writer.write(1, number, patternBytes(number, 8));
    assert.equal(reader.readBatch(2), 2);
    assert.throws(() => reader.readBatch(), jbusError('JBUS_RELEASE_FIRST'));
    reader.release(1);
    assert.throws(() => reader.read(), jbusError('JBUS_RELEASE_FIRST'));
    assert.equal(
      reader.peek((record) => record.msgId),
      3,
    );
    reader.release();
    assert.equal(reader.read()?.msgId, 3);
  });
});

test('a batch of rows that point outside its bytes is refused', () => {
  withSides(({ writer }) => {
    const batch = new RecordBatch({ recordsMax: 4, bytesMax: 64 });
    batch.add(1, 1, patternBytes(1, 8));
    batch.add(1, 2, patternBytes(2, 8));
    batch.rows[8] = 60; // the second row's offset
    assert.equal(writer.writeBatch(batch), 1);
    assert.throws(() => writer.writeBatch(batch), jbusError('JBUS_INVALID_ARGUMENT'));
  });
});

test('everything on a closed side says so', () => {
  const ring = privateRing();
  const writer = ring.writer();
  const reader = ring.reader();
  const { view } = reader;
  writer.close();
  reader.close();
  ring.close();
  assert.equal(view.length, 0);
  assert.throws(() => writer.write(1, 1, new Uint8Array(1)), jbusError('JBUS_CLOSED'));
  assert.throws(() => reader.readBatch(), jbusError('JBUS_CLOSED'));
  assert.throws(() => reader.clear(), jbusError('JBUS_CLOSED'));
});
