// What the native transport is asked to send, record by record: nothing is copied that need not be.
// The addon is played by the test, so that a batch can be laid out to the byte.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Addon, TransportOptions } from '../../addon/index.js';
import {
  CONTROL_SEND_BYTES,
  CONTROL_SEND_RECORDS,
  EVENT_DATA,
  EVENT_WORDS,
  SEND_WORDS,
  STATUS_FLAG_OPEN,
  STATUS_FLAGS,
  STATUS_WORDS,
} from '../../addon/index.js';
import { EpollConnection } from '../../reactor/epoll-connection.js';
import { EpollTransport } from '../../reactor/epoll-transport.js';
import type { Connection, Handlers } from '../../reactor/index.js';
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
  readonly #memory: TransportOptions;
  readonly #onBatch: (eventCount: number) => void;

  constructor(t: TestContext, handlers: Handlers, connections: number) {
    const created: { memory?: TransportOptions; onBatch?: (eventCount: number) => void } = {};
    const flush = (): void => this.#flush();
    // Only what connections that stay open use.
    class Played {
      constructor(memory: TransportOptions, onBatch: (eventCount: number) => void) {
        Object.assign(created, { memory, onBatch });
      }
      flush(): void {
        flush();
      }
      resume(): void {}
      closeSlot(): void {}
      ref(): void {}
      unref(): void {}
    }
    const addon: Partial<Addon> = { Transport: Played as unknown as Addon['Transport'] };
    const transport = new EpollTransport(addon as Addon);
    assert(created.memory !== undefined && created.onBatch !== undefined);
    this.#memory = created.memory;
    this.#onBatch = created.onBatch;
    this.host = new MemoryHost(t, handlers);
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
  }

  #flush(): void {
    const { control, sends, sendSlab, receiveSlab } = this.#memory;
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
    }
    this.copiedBytes += control[CONTROL_SEND_BYTES]!;
    control.fill(0);
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
