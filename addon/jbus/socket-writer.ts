// The writer of a link over a stream: counts the room in the peer's ring, and asks for news of it when it runs low.
// socket-link.ts makes it and passes on what the peer has released; `onRoom` is its doorbell.

import type { Socket } from 'node:net';

import { FLAG_HEARTBEAT, FLAG_WHOLE, fragmentBytes, occupiedBytes, RECORD_HEADER_BYTES } from './layout.js';
import type { LinkWriter } from './link.js';
import { fragmentAt } from './message-assembly.js';
import { broken, encodeNotice, encodeRecordHeader, FLAG_WANT, type StreamRecord } from './socket-wire.js';

export class SocketWriter implements LinkWriter {
  readonly #capacity: number;
  readonly #fragmentBytes: number;
  readonly #onRoom: () => void;
  #stream: Socket | undefined;
  /** Positions in the peer's ring: behind the last record, and up to where it is known to have read. */
  #tail = 0;
  #head = 0;
  #isWaiting = false;
  #hasAsked = false;

  constructor(capacity: number, onRoom: () => void) {
    this.#capacity = capacity;
    this.#fragmentBytes = fragmentBytes(capacity);
    this.#onRoom = onRoom;
  }

  /** From now on there is somebody to write to. */
  open(stream: Socket): void {
    this.#stream = stream;
  }

  write(type: number, msgId: number, bytes: Uint8Array): number {
    return this.#put(
      { length: bytes.length, totalLength: bytes.length, flags: FLAG_WHOLE, type, msgId },
      bytes,
    );
  }

  writeFragments(type: number, msgId: number, bytes: Uint8Array, from: number): number {
    let next = from;
    while (next < bytes.length) {
      const { length, flags } = fragmentAt(next, bytes.length, this.#fragmentBytes);
      const record = { length, totalLength: bytes.length, flags, type, msgId };
      if (this.#put(record, bytes.subarray(next, next + length)) === 0) break;
      next += length;
    }
    return next - from;
  }

  /** A notice: it takes no room. */
  writeHeartbeat(): number {
    this.#stream?.write(encodeNotice(FLAG_HEARTBEAT));
    return this.#stream === undefined ? 0 : RECORD_HEADER_BYTES;
  }

  /** Bytes the kernel has not taken. */
  size(): number {
    return this.#stream?.writableLength ?? 0;
  }

  /** The peer has read up to this position. @throws JbusError JBUS_POISONED */
  release(position: number): void {
    if (position < this.#head || position > this.#tail) throw broken('an impossible position was released');
    this.#head = position;
    this.#hasAsked = false;
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#onRoom();
  }

  /** What breaks the format is found by who reads. */
  poison(): number {
    return 0;
  }

  prepareWait(bytes: number): boolean {
    this.#isWaiting = this.#stream === undefined || this.#free < bytes;
    if (this.#isWaiting) this.#ask();
    return this.#isWaiting;
  }

  close(): void {
    this.#stream = undefined;
    this.#isWaiting = false;
  }

  get #free(): number {
    return this.#capacity - (this.#tail - this.#head);
  }

  /** The bytes are copied: the caller's may change once this has answered. */
  #put(record: StreamRecord, payload: Uint8Array): number {
    const occupied = occupiedBytes(record.length);
    const toEnd = this.#capacity - (this.#tail % this.#capacity);
    const cost = toEnd < occupied ? toEnd + occupied : occupied;
    if (this.#stream === undefined || cost > this.#free) return 0;
    const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + record.length);
    encodeRecordHeader(bytes, record);
    bytes.set(payload, RECORD_HEADER_BYTES);
    this.#tail += cost;
    this.#stream.write(bytes);
    if (this.#free < this.#capacity / 2) this.#ask(); // early, so that a steady writer need not wait
    return cost;
  }

  #ask(): void {
    if (this.#hasAsked || this.#stream === undefined) return;
    this.#hasAsked = true;
    this.#stream.write(encodeNotice(FLAG_WANT));
  }
}
