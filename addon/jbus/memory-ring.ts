// A ring in the memory of this thread, with the methods of the native ones: records in order, a bound, poison.
// memory-link.ts makes two of them a channel within a process; socket-link.ts receives into one.
// Positions and costs are those of layout v1, so that room is counted alike; nothing of it is shared.

import { JbusError } from './errors.js';
import {
  FLAG_HEARTBEAT,
  FLAG_WHOLE,
  fragmentBytes,
  isCapacity,
  occupiedBytes,
  POISON_REASONS,
  ROW_COST,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_MSG_ID_HIGH,
  ROW_MSG_ID_LOW,
  ROW_OFFSET,
  ROW_TOTAL_LENGTH,
  ROW_TYPE,
  ROW_WORDS,
} from './layout.js';
import type { LinkReader, LinkWriter } from './link.js';
import { fragmentAt } from './message-assembly.js';

export interface RecordFields {
  readonly flags: number;
  readonly type: number;
  readonly msgId: number;
  readonly totalLength: number;
}

/** One record that was put and not taken. */
interface Waiting extends RecordFields {
  readonly offset: number;
  readonly length: number;
  readonly cost: number;
}

const HEARTBEAT: RecordFields = { flags: FLAG_HEARTBEAT, type: 0, msgId: 0, totalLength: 0 };

const POISON_BY_PEER = POISON_REASONS.indexOf('the other side gave it up');

export class MemoryRing implements LinkReader, LinkWriter {
  readonly capacity: number;
  readonly memory: Uint8Array;
  readonly #fragmentBytes: number;
  #waiting: Waiting[] = [];
  /** Of #waiting: taken already. */
  #taken = 0;
  #tail = 0;
  #head = 0;
  /** What the record that `reserve` made room for takes. */
  #reserved = 0;
  #consumerWaits = false;
  #producerWaits = false;
  #isPoisoned = false;

  /** @throws JbusError JBUS_INVALID_ARGUMENT */
  constructor(capacity: number) {
    if (!isCapacity(capacity)) {
      throw new JbusError(
        'JBUS_INVALID_ARGUMENT',
        `capacity must be a power of two from 4 KiB to 2 GiB, not ${capacity}`,
      );
    }
    this.capacity = capacity;
    this.memory = new Uint8Array(capacity);
    this.#fragmentBytes = fragmentBytes(capacity);
  }

  /** Where a payload of this length goes next; -1: no room. Fill it in `memory`, then `commit`. */
  reserve(length: number): number {
    const occupied = occupiedBytes(length);
    const toEnd = this.capacity - (this.#tail % this.capacity);
    const skipped = toEnd < occupied ? toEnd : 0;
    this.#reserved = skipped + occupied;
    if (this.#isPoisoned || this.#reserved > this.capacity - this.size()) return -1;
    return (this.#tail + skipped) % this.capacity;
  }

  /** Shows the record whose payload lies where `reserve` said. Does not look whether the consumer sleeps. */
  commit(offset: number, length: number, fields: RecordFields): void {
    const cost = this.#reserved;
    this.#tail += cost;
    this.#waiting.push({ offset, length, cost, ...fields });
  }

  write(type: number, msgId: number, bytes: Uint8Array): number {
    const fields = { flags: FLAG_WHOLE, type, msgId, totalLength: bytes.length };
    return this.#withWake(this.#put(bytes, fields));
  }

  writeFragments(type: number, msgId: number, bytes: Uint8Array, from: number): number {
    let next = from;
    while (next < bytes.length) {
      const { length, flags } = fragmentAt(next, bytes.length, this.#fragmentBytes);
      const fields = { flags, type, msgId, totalLength: bytes.length };
      if (this.#put(bytes.subarray(next, next + length), fields) === 0) break;
      next += length;
    }
    return this.#withWake(next - from);
  }

  writeHeartbeat(): number {
    return this.#withWake(this.#put(new Uint8Array(0), HEARTBEAT));
  }

  take(rows: Uint32Array, countMax: number): number {
    const waiting = this.#waiting;
    const count = this.#isPoisoned ? 0 : Math.min(countMax, waiting.length - this.#taken);
    for (let row = 0; row < count; row += 1) fillRow(rows, row * ROW_WORDS, waiting[this.#taken + row]!);
    this.#taken += count;
    if (this.#taken === waiting.length) {
      this.#waiting = [];
      this.#taken = 0;
    }
    return count;
  }

  release(bytes: number = this.size()): boolean {
    this.#head += bytes;
    const wasWaiting = this.#producerWaits;
    this.#producerWaits = false;
    return wasWaiting;
  }

  /** The position up to which everything was released. */
  get head(): number {
    return this.#head;
  }

  /** Bytes in use. */
  size(): number {
    return this.#tail - this.#head;
  }

  dropped(): number {
    return 0;
  }

  poison(): number {
    return this.#isPoisoned ? POISON_BY_PEER : 0;
  }

  giveUp(): void {
    this.#isPoisoned = true;
  }

  /** The producer's with an amount of bytes, the consumer's without. */
  prepareWait(bytes?: number): boolean {
    if (this.#isPoisoned) return false;
    if (bytes === undefined) return (this.#consumerWaits = this.#waiting.length === 0);
    return (this.#producerWaits = this.capacity - this.size() < bytes);
  }

  /** Forgets that the consumer sleeps; true when it did. */
  takeConsumerWait(): boolean {
    const wasWaiting = this.#consumerWaits;
    this.#consumerWaits = false;
    return wasWaiting;
  }

  close(): void {
    this.#waiting = [];
    this.#taken = 0;
  }

  /** Bytes the record takes; 0: no room. */
  #put(bytes: Uint8Array, fields: RecordFields): number {
    const offset = this.reserve(bytes.length);
    if (offset < 0) return 0;
    this.memory.set(bytes, offset);
    this.commit(offset, bytes.length, fields);
    return this.#reserved;
  }

  #withWake(amount: number): number {
    return amount > 0 && this.takeConsumerWait() ? -1 - amount : amount;
  }
}

function fillRow(rows: Uint32Array, at: number, record: Waiting): void {
  rows[at + ROW_OFFSET] = record.offset;
  rows[at + ROW_LENGTH] = record.length;
  rows[at + ROW_FLAGS] = record.flags;
  rows[at + ROW_TYPE] = record.type;
  rows[at + ROW_MSG_ID_LOW] = record.msgId; // modulo 2^32
  rows[at + ROW_MSG_ID_HIGH] = record.msgId / 2 ** 32;
  rows[at + ROW_TOTAL_LENGTH] = record.totalLength;
  rows[at + ROW_COST] = record.cost;
}
