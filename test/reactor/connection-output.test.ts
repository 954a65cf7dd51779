// Output in writes and in bounds: what is gathered, what the water marks say, what each overflow policy does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection, Handlers } from '../../reactor/index.js';
import type { ConnectionOptions } from '../../reactor/tcp-options.js';
import { MemoryHost } from '../support/memory-connection.js';
import { tlvFrame } from '../support/tlv.js';

/** 100 bytes on the wire. */
const BODY = 'x'.repeat(92);
const SMALL: ConnectionOptions = { hardCapBytes: 1000, highWaterBytes: 500, lowWaterBytes: 200 };
const ECHO: Handlers = { onFrame: (connection, frame) => connection.send(1, frame.body) };

test('the answers to one batch of input leave in one write', (t) => {
  const connection = new MemoryHost(t, ECHO).connect();
  connection.feed([1, 'a'], [1, 'b'], [1, 'c']);
  assert.equal(connection.writes.length, 1);
  assert.deepEqual(connection.sent(), Buffer.concat(['a', 'b', 'c'].map((body) => tlvFrame(1, body))));
});

test('what a cork sends leaves in one write when the outermost one ends', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  connection.cork(() => {
    connection.send(1, 'a');
    connection.cork((inner) => inner.send(1, 'b'));
    assert.equal(connection.writes.length, 0);
    connection.write('raw');
  });
  assert.equal(connection.writes.length, 1);
  host.endTurn();
  assert.equal(connection.writes.length, 1);
  assert.deepEqual(
    connection.sent(),
    Buffer.concat([tlvFrame(1, 'a'), tlvFrame(1, 'b'), Buffer.from('raw')]),
  );
});

test('a cork whose function throws still flushes, and throws on', (t) => {
  const connection = new MemoryHost(t, {}).connect();
  const fill = (): never => {
    connection.send(1, 'a');
    throw new Error('on purpose');
  };
  assert.throws(() => connection.cork(fill), /on purpose/);
  assert.equal(connection.writes.length, 1);
  connection.send(1, 'b');
  connection.flush();
  assert.equal(connection.writes.length, 2);
});

test('sends outside of a batch leave in one write at the end of the turn', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  for (let count = 0; count < 10; count += 1) assert.equal(connection.send(1, ''), 'sent');
  assert.equal(connection.writes.length, 0);
  host.endTurn();
  assert.equal(connection.writes.length, 1);
});

test('bytes written past the codec keep their place between frames', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  connection.send(1, 'a');
  connection.write(Buffer.from([1, 2, 3]));
  connection.send(2, 'ö');
  host.endTurn();
  assert.deepEqual(
    connection.sent(),
    Buffer.concat([tlvFrame(1, 'a'), Buffer.from([1, 2, 3]), tlvFrame(2, 'ö')]),
  );
  assert.equal(connection.stats.framesSent, 2);
});

test('a body is copied when it is sent and may be changed at once', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  const body = Buffer.from('before');
  connection.send(1, body);
  body.fill('x');
  host.endTurn();
  assert.deepEqual(connection.sent(), tlvFrame(1, 'before'));
});

test('a body that is too large is refused with a code; nothing is sent and the connection goes on', (t) => {
  const host = new MemoryHost(t, {});
  const connection = host.connect();
  assert.throws(() => connection.send(1, Buffer.alloc(1024 * 1024 + 1)), { code: 'REACTOR_BODY_TOO_LARGE' });
  assert.equal(connection.send(1, 'a'), 'sent');
  host.endTurn();
  assert.deepEqual(connection.sent(), tlvFrame(1, 'a'));
});

test("send says 'full' from the high-water mark on, reading pauses there and goes on at the low-water mark, with one onDrain", (t) => {
  let drained = 0;
  const host = new MemoryHost(t, { onDrain: () => (drained += 1) }, SMALL);
  const connection = host.connect(0);
  const outcomes = Array.from({ length: 6 }, () => connection.send(1, BODY));
  assert.deepEqual(outcomes, ['sent', 'sent', 'sent', 'sent', 'full', 'full']);
  assert.deepEqual([connection.outputBytes, connection.isReading], [600, false]);
  connection.peerReads(350); // the first chunk of 500 bytes is not through yet
  assert.deepEqual([connection.isReading, drained], [false, 0]);
  connection.peerReads(150);
  assert.deepEqual([connection.outputBytes, connection.isReading, drained], [100, true, 1]);
  connection.peerReads(100);
  assert.deepEqual([connection.outputBytes, drained], [0, 1]);
  assert.equal(connection.sent().length, 600);
});

test('without pauseReadingWhenFull input goes on while output is full', (t) => {
  const host = new MemoryHost(t, {}, { ...SMALL, pauseReadingWhenFull: false });
  const connection = host.connect(0);
  connection.send(1, 'x'.repeat(600));
  assert.equal(connection.isReading, true);
});

test("a sender that waits for onDrain after 'full' never passes the high-water mark by more than one frame", (t) => {
  let left = 1000;
  let highest = 0;
  const push = (connection: Connection): void => {
    while (left > 0) {
      left -= 1;
      const outcome = connection.send(1, BODY);
      highest = Math.max(highest, connection.outputBytes);
      if (outcome === 'full') return;
      assert.equal(outcome, 'sent');
    }
  };
  const host = new MemoryHost(t, { onConnect: push, onDrain: push }, SMALL);
  const connection = host.connect(0);
  while (connection.outputBytes > 0) connection.peerReads(137);
  assert.equal(left, 0);
  assert.equal(connection.sent().length, 1000 * 100);
  assert.equal(highest, 500);
});

test("overflow 'close': the send that would pass the hard cap resets the connection, and nothing passes afterwards", async (t) => {
  const events: string[] = [];
  const host = new MemoryHost(
    t,
    { onError: (_, error) => events.push(error.code), onClose: (_, reason) => events.push(reason) },
    { ...SMALL, overflow: 'close' },
  );
  const connection = host.connect(0);
  for (let count = 0; count < 10; count += 1) assert.notEqual(connection.send(1, BODY), 'closed');
  assert.equal(connection.outputBytes, 1000);
  assert.equal(connection.write('x'), 'closed');
  assert.deepEqual([connection.state, connection.closedBy], ['closed', 'reset']);
  assert.equal(connection.send(1, ''), 'closed');
  await Promise.resolve();
  assert.deepEqual(events, ['REACTOR_OUTPUT_OVERFLOW', 'output-overflow']);
  assert.equal(host.counters.get('output_overflows'), 1);
  assert.equal(host.loop.pool.stats().lentBytes, 0);
});

test("overflow 'drop': exactly the sends that would pass the hard cap are refused, and smaller ones still fit", (t) => {
  let drained = 0;
  const host = new MemoryHost(t, { onDrain: () => (drained += 1) }, { ...SMALL, overflow: 'drop' });
  const connection = host.connect(0);
  for (let count = 0; count < 9; count += 1) connection.send(1, BODY);
  assert.equal(connection.send(1, 'x'.repeat(93)), 'dropped'); // 900 + 101 bytes
  assert.equal(connection.send(1, 'y'.repeat(92)), 'full');
  assert.equal(connection.send(1, ''), 'dropped');
  assert.equal(connection.outputBytes, 1000);
  assert.equal(host.counters.get('frames_dropped'), 2);
  while (connection.outputBytes > 0) connection.peerReads(100);
  assert.equal(drained, 1);
  const expected = [...Array.from({ length: 9 }, () => tlvFrame(1, BODY)), tlvFrame(1, 'y'.repeat(92))];
  assert.deepEqual(connection.sent(), Buffer.concat(expected));
  assert.equal(connection.stats.framesSent, 10);
  assert.equal(connection.send(1, BODY), 'sent');
});

test("overflow 'pause': the refused send stops the reading until output has drained", (t) => {
  let drained = 0;
  const options: ConnectionOptions = { ...SMALL, overflow: 'pause', pauseReadingWhenFull: false };
  const host = new MemoryHost(t, { onDrain: () => (drained += 1) }, options);
  const connection = host.connect(0);
  for (let count = 0; count < 10; count += 1) connection.send(1, BODY);
  assert.equal(connection.isReading, true);
  assert.equal(connection.send(1, BODY), 'dropped');
  assert.equal(connection.isReading, false);
  while (connection.outputBytes > 200) connection.peerReads(50);
  assert.deepEqual([connection.isReading, drained], [true, 1]);
});

for (const overflow of ['drop', 'pause'] as const) {
  test(`overflow '${overflow}': a frame above the hard cap itself is refused without waiting for a drain that cannot come`, (t) => {
    let drained = 0;
    const options: ConnectionOptions = { ...SMALL, overflow, pauseReadingWhenFull: false };
    const host = new MemoryHost(t, { onDrain: () => (drained += 1) }, options);
    const connection = host.connect();
    assert.equal(connection.send(1, 'x'.repeat(1000)), 'dropped');
    host.endTurn();
    assert.deepEqual([connection.isReading, drained], [true, 0]);
    assert.equal(connection.send(1, BODY), 'sent');
  });
}

test('the memory of output stays within twice the hard cap for frames of every size, and all of it returns', (t) => {
  const MIB = 1024 * 1024;
  for (const bodyBytes of [0, 1, 100, 5000, 20_000, 65_537, 140_000, 300_000, 600_000, MIB]) {
    const host = new MemoryHost(t, {}, { overflow: 'drop' });
    const connection = host.connect(0);
    const body = Buffer.alloc(bodyBytes);
    while (connection.send(1, body) !== 'dropped') assert(connection.outputBytes <= 8 * MIB);
    const { lentBytes } = host.loop.pool.stats();
    assert(lentBytes <= 16 * MIB, `${lentBytes} bytes are lent for frames of ${bodyBytes}`);
    while (connection.outputBytes > 0) connection.peerReads(256 * 1024);
    assert.equal(host.loop.pool.stats().lentBytes, 0);
  }
});
