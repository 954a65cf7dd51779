// What the native transport is asked to send, record by record: nothing is copied that need not be.
// The addon is played by the test, so that a batch can be laid out to the byte.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import type { Addon, TransportOptions } from '../../addon/index.js';
import {
  CONTROL_FLUSH_FIRST,
  CONTROL_SEND_BYTES,
  CONTROL_SEND_RECORDS,
  EVENT_CLOSED,
  EVENT_DATA,
  EVENT_DRAINED,
  EVENT_WORDS,
  SEND_WORDS,
  STATUS_FLAG_OPEN,
  STATUS_FLAGS,
  STATUS_PENDING_BYTES,
  STATUS_WORDS,
} from '../../addon/index.js';
import { EpollConnection } from '../../reactor/epoll-connection.js';
import { EpollTransport } from '../../reactor/epoll-transport.js';
import type { Connection, Handlers } from '../../reactor/index.js';
import type { ConnectionOptions } from '../../reactor/tcp-options.js';
import { MemoryHost } from '../support/memory-connection.js';
import { tlvFrame } from '../support/tlv.js';

/** Bytes of each record that was flushed, and whether they lay in the receive slab. */
interface Sent {
  readonly slot: number;
  readonly bytes: Buffer;
  readonly isLent: boolean;
}

class PlayedTransport {
  readonly host: MemoryHost;
  readonly sent: Sent[] = [];
  /** Bytes that were copied into the send slab. */
  copiedBytes = 0;
  /** Calls of `flush`. */
  flushCalls = 0;
  /** Bytes that the kernel takes of each further record; the rest of it waits. */
  kernelBytes: number = Infinity;
  #breaking = -1;
  readonly #memory: TransportOptions;
  readonly #onBatch: (eventCount: number) => void;

  constructor(t: TestContext, handlers: Handlers, connections: number, options: ConnectionOptions = {}) {
    const created: { memory?: TransportOptions; onBatch?: (eventCount: number) => void } = {};
    const flush = (): void => {
      this.flushCalls += 1;
      this.#flush();
    };
    // Only what connections that stay open use.
    class Played {
      constructor(memory: TransportOptions, onBatch: (eventCount: number) => void) {
        Object.assign(created, { memory, onBatch });
      }
      flush(): void {
        flush();
      }
      resume(): void {}
      pause(): void {}
      closeSlot(): void {}
      ref(): void {}
      unref(): void {}
    }
    const addon: Partial<Addon> = { Transport: Played as unknown as Addon['Transport'] };
    const transport = new EpollTransport(addon as Addon);
    assert(created.memory !== undefined && created.onBatch !== undefined);
    this.#memory = created.memory;
    this.#onBatch = created.onBatch;
    this.host = new MemoryHost(t, handlers, options);
    const { host } = this;
    for (let slot = 0; slot < connections; slot += 1) {
      this.#memory.status[slot * STATUS_WORDS + STATUS_FLAGS] = STATUS_FLAG_OPEN;
      const connection = host.loop.connections.add((id) => new EpollConnection(host, id, transport, {}));
      connection.attach(slot);
      connection.start();
    }
  }

  /** One batch: what each slot received, side by side in the slab. */
  receive(...reads: readonly Buffer[]): void {
    let offset = 0;
    for (const [slot, bytes] of reads.entries()) {
      this.#memory.receiveSlab.set(bytes, offset);
      this.#memory.events.set([EVENT_DATA, slot, 0, offset, bytes.length], slot * EVENT_WORDS);
      offset += bytes.length;
    }
    this.#onBatch(reads.length);
    if (this.#memory.control[CONTROL_FLUSH_FIRST] === 1 && this.#flush()) this.#onBatch(0);
  }

  /** The kernel takes `bytes` of what waits. */
  drain(slot: number, bytes: number): void {
    this.#memory.status[slot * STATUS_WORDS + STATUS_PENDING_BYTES]! -= bytes;
    this.#memory.events.set([EVENT_DRAINED, slot, bytes, 0, 0], 0);
    this.#onBatch(1);
  }

  /** The connection breaks when next something is sent on it, and the event that says so follows. */
  breakNext(slot: number): void {
    this.#breaking = slot;
  }

  tellBroken(slot: number): void {
    this.#memory.events.set([EVENT_CLOSED, slot, constants.errno.EPIPE, 0, 0], 0);
    this.#onBatch(1);
  }

  /** Whether something was left. */
  #flush(): boolean {
    const { control, sends, sendSlab, receiveSlab, status } = this.#memory;
    let isSetBack = false;
    for (let at = 0; at < control[CONTROL_SEND_RECORDS]! * SEND_WORDS; at += SEND_WORDS) {
      const [slot, offset, bytes] = sends.subarray(at, at + SEND_WORDS) as unknown as [
        number,
        number,
        number,
      ];
      const isLent = offset >= sendSlab.length;
      const from = isLent ? offset - sendSlab.length : offset;
      const slab = isLent ? receiveSlab : sendSlab;
      this.sent.push({ slot, isLent, bytes: Buffer.from(slab.subarray(from, from + bytes)) });
      if (slot === this.#breaking) status[slot * STATUS_WORDS + STATUS_FLAGS] = 0;
      else status[slot * STATUS_WORDS + STATUS_PENDING_BYTES]! += Math.max(0, bytes - this.kernelBytes);
      isSetBack ||= slot === this.#breaking || bytes > this.kernelBytes;
    }
    this.copiedBytes += control[CONTROL_SEND_BYTES]!;
    control.fill(0);
    return isSetBack;
  }
}

const ECHO: Handlers = { onFrame: (connection, frame) => connection.send(frame.msgId, frame.body) };

test('frames that are echoed leave as one record per connection, without a copy', (t) => {
  const played = new PlayedTransport(t, ECHO, 2);
  const first = Buffer.concat([tlvFrame(1, 'one'), tlvFrame(2, ''), tlvFrame(1, 'three')]);
  const second = tlvFrame(7, 'of another');
  played.receive(first, second);
  assert.deepEqual(played.sent, [
    { slot: 0, isLent: true, bytes: first },
    { slot: 1, isLent: true, bytes: second },
  ]);
  assert.equal(played.copiedBytes, 0);
});

test('a body with another id, and a part of a body, are copied', (t) => {
  const played = new PlayedTransport(
    t,
    {
      onFrame: (connection, { msgId, body }) => {
        if (msgId === 1) connection.send(2, body);
        else connection.send(msgId, body.subarray(1));
      },
    },
    1,
  );
  played.receive(Buffer.concat([tlvFrame(1, 'one'), tlvFrame(3, 'three')]));
  assert.deepEqual(played.sent, [
    { slot: 0, isLent: false, bytes: Buffer.concat([tlvFrame(2, 'one'), tlvFrame(3, 'hree')]) },
  ]);
});

test('copies and lent bodies of one connection keep their order', (t) => {
  const played = new PlayedTransport(
    t,
    {
      onFrame: (connection, { msgId, body }) => {
        connection.send(msgId, body);
        if (msgId === 2) connection.send(9, 'between');
      },
    },
    1,
  );
  played.receive(Buffer.concat([tlvFrame(1, 'a'), tlvFrame(2, 'b'), tlvFrame(3, 'c')]));
  assert.deepEqual(
    played.sent.map(({ bytes, isLent }) => ({ bytes, isLent })),
    [
      { isLent: true, bytes: Buffer.concat([tlvFrame(1, 'a'), tlvFrame(2, 'b')]) },
      { isLent: false, bytes: tlvFrame(9, 'between') },
      { isLent: true, bytes: tlvFrame(3, 'c') },
    ],
  );
});

test('a body that is sent after its batch is copied', (t) => {
  let kept: Buffer | undefined;
  let connection: Connection | undefined;
  const handlers: Handlers = {
    onFrame: (itsConnection, frame) => {
      connection = itsConnection;
      kept = frame.body;
    },
  };
  const played = new PlayedTransport(t, handlers, 1);
  played.receive(tlvFrame(1, 'later'));
  connection!.send(1, kept!);
  played.host.endTurn();
  assert.deepEqual(played.sent, [{ slot: 0, isLent: false, bytes: tlvFrame(1, 'later') }]);
});

test('a body put together from two reads is copied', (t) => {
  const played = new PlayedTransport(t, ECHO, 1);
  const wire = tlvFrame(1, 'in two parts');
  played.receive(wire.subarray(0, 11));
  played.receive(wire.subarray(11));
  assert.deepEqual(played.sent, [{ slot: 0, isLent: false, bytes: wire }]);
});

/** An echo that notes its connections, by slot, and the errors they report. */
function notingEcho(): { handlers: Handlers; connections: Connection[]; errors: string[] } {
  const connections: Connection[] = [];
  const errors: string[] = [];
  const handlers: Handlers = {
    ...ECHO,
    onConnect: (connection) => void connections.push(connection),
    onError: (_, error) => void errors.push(error.code),
  };
  return { handlers, connections, errors };
}

test('the output of a batch is flushed without a call and counted', (t) => {
  const { handlers, connections } = notingEcho();
  const played = new PlayedTransport(t, handlers, 2);
  played.receive(tlvFrame(1, 'one'), tlvFrame(1, 'three'));
  assert.equal(played.flushCalls, 0);
  assert.equal(played.sent.length, 2);
  assert.deepEqual(
    connections.map((connection) => [connection.stats.bytesWritten, connection.outputBytes]),
    [
      [11, 0],
      [13, 0],
    ],
  );
  assert.equal(played.host.counters.get('bytes_written'), 24);
});

test('output that the kernel unexpectedly leaves is waiting output, and no counter falls', (t) => {
  const { handlers, connections } = notingEcho();
  const played = new PlayedTransport(t, handlers, 2);
  const written = (): number => played.host.counters.get('bytes_written');
  played.kernelBytes = 12;
  played.receive(tlvFrame(1, 'one'), tlvFrame(1, 'three'));
  const slow = connections[1]!;
  assert.equal(played.flushCalls, 0);
  assert.deepEqual([slow.stats.bytesWritten, slow.outputBytes], [12, 1]);
  assert.equal(written(), 24); // one ahead
  played.receive(tlvFrame(1, 'one'), tlvFrame(1, 'three'));
  assert.equal(played.flushCalls, 1); // what waits is looked at before it is counted
  assert.deepEqual([slow.stats.bytesWritten, slow.outputBytes], [24, 2]);
  assert.equal(written(), 46);
  played.drain(1, 2);
  assert.deepEqual([slow.stats.bytesWritten, slow.outputBytes], [26, 0]);
  assert.equal(written(), 48); // caught up
});

test('output of a connection that breaks in the flush is lost output', async (t) => {
  const { handlers, connections, errors } = notingEcho();
  const played = new PlayedTransport(t, handlers, 2);
  played.breakNext(0);
  played.receive(tlvFrame(1, 'one'), tlvFrame(1, 'three'));
  const broken = connections[0]!;
  assert.deepEqual([broken.stats.bytesWritten, broken.outputBytes], [0, 11]);
  broken.end(); // a tick ahead of the event: the end is not taken for a good one
  played.tellBroken(0);
  assert.deepEqual(errors, ['REACTOR_CONNECTION_CLOSED']);
  await new Promise(setImmediate);
  assert.equal(broken.state, 'closed');
  played.receive(tlvFrame(1, '')); // of a slot that is gone
  played.drain(1, 0);
  assert.equal(connections[1]!.stats.bytesWritten, 13);
});

test('a sender who waits for onDrain is told when the kernel has taken its output, not before', (t) => {
  const seen: string[] = [];
  const played = new PlayedTransport(
    t,
    {
      onFrame: (connection) => {
        seen.push(connection.send(1, Buffer.alloc(60)));
      },
      onDrain: (connection) =>
        void seen.push(`drained at ${connection.outputBytes}, ${played.sent.length} sent`),
    },
    1,
    { highWaterBytes: 64, lowWaterBytes: 0 },
  );
  played.receive(tlvFrame(1, ''));
  assert.deepEqual(seen, ['full', 'drained at 0, 1 sent']);
});
