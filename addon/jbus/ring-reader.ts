// The consumer's side of a ring in a segment: one thread of one process reads, nobody else.
// Channel and ShmRing's users call it; finding and checking records is C++ (addon/src/jbus/ring_reader.h).
// Batches are rows of numbers over one view; their bytes stay in the ring, and in place, until they are released.

import type { ShmRingReader } from '../index.js';
import { JbusError, native } from './errors.js';
import {
  ROW_COST,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_MSG_ID_HIGH,
  ROW_MSG_ID_LOW,
  ROW_OFFSET,
  ROW_TOTAL_LENGTH,
  ROW_TYPE,
  ROW_WORDS,
  SIDE_CONSUMER,
} from './layout.js';
import { shmAddon } from './native.js';
import { blockingMicros, checkSpin, RingSide } from './ring-side.js';

export interface RingReaderOptions {
  /** Called after a release that found the producer asleep: ring its doorbell. Default: nobody is woken. */
  wakeProducer?: () => void;
  /** Larger messages poison the ring. Default 256 MiB, at most 2^32 - 1. */
  messageBytesMax?: number;
  /** Rows of a batch. Default 1024. */
  batchRecordsMax?: number;
}

/** One record. `bytes` is a view or a copy, as the method says. */
export interface RingRecord {
  readonly type: number;
  readonly msgId: number;
  /** FLAG_WHOLE, FLAG_BEGIN, FLAG_MID, FLAG_END or FLAG_HEARTBEAT. */
  readonly flags: number;
  /** Of the message, of which this may be a fragment. */
  readonly totalLength: number;
  readonly bytes: Buffer;
}

const DEFAULTS: Required<RingReaderOptions> = {
  wakeProducer: () => {},
  messageBytesMax: 256 * 1024 * 1024,
  batchRecordsMax: 1024,
};

export class RingReader extends RingSide {
  /** The last batch: ROW_WORDS numbers per record, named by the ROW_ constants of layout.ts. */
  readonly rows: Uint32Array;
  /** The segment; ROW_OFFSET counts from its start and is a multiple of 8. Length 0 after close. */
  readonly view: Buffer;
  readonly #ring: ShmRingReader;
  readonly #wakeProducer: () => void;
  readonly #peekRow = new Uint32Array(ROW_WORDS);
  /** Rows of the last batch: taken, and of these released. */
  #taken = 0;
  #released = 0;

  /** @throws JbusError as ShmRing.attach, and JBUS_SIDE_TAKEN, JBUS_POISONED. */
  constructor(segmentId: number, options: RingReaderOptions = {}) {
    const { wakeProducer, messageBytesMax, batchRecordsMax } = { ...DEFAULTS, ...options };
    const ring = new (shmAddon().ShmRingReader)();
    super(segmentId, SIDE_CONSUMER, ring, () => ring.open(segmentId, messageBytesMax));
    this.#ring = ring;
    this.#wakeProducer = wakeProducer;
    this.rows = new Uint32Array(batchRecordsMax * ROW_WORDS);
    this.view = Buffer.from(this.segment.buffer);
  }

  /**
   * Describes up to `recordsMax` further records in `rows` and returns their number. Their bytes stay in the ring, and
   * the producer cannot reuse them, until they are released.
   * @throws JbusError JBUS_RELEASE_FIRST while rows of the last batch are not released; JBUS_POISONED, JBUS_CLOSED.
   */
  readBatch(recordsMax: number = this.rows.length / ROW_WORDS): number {
    if (this.#released < this.#taken) {
      throw new JbusError('JBUS_RELEASE_FIRST', 'the last batch has rows that are not released');
    }
    this.#released = 0;
    this.#taken = native(() => this.#ring.take(this.rows, recordsMax));
    if (this.#taken === 0) this.throwIfPoisoned();
    return this.#taken;
  }

  /** Gives the next `count` rows of the batch back to the producer; without a count, all that are left. */
  release(count: number = this.#taken - this.#released): void {
    if (count === 0) return;
    const end = this.#released + count;
    if (!Number.isInteger(count) || count < 0 || end > this.#taken) {
      throw new JbusError(
        'JBUS_INVALID_ARGUMENT',
        `count must be an integer up to the rows left, not ${count}`,
      );
    }
    let bytes: number | undefined;
    if (end < this.#taken) {
      bytes = 0;
      for (let row = this.#released; row < end; row += 1) bytes += this.rows[row * ROW_WORDS + ROW_COST]!;
    }
    this.#released = end;
    if (native(() => this.#ring.release(bytes))) this.#wakeProducer();
  }

  /** The record of a row of the batch, with its bytes in place: valid until it is released. */
  record(row: number): RingRecord {
    if (row >= this.#taken) throw new JbusError('JBUS_INVALID_ARGUMENT', 'row must be one of the last batch');
    return this.#recordOf(this.rows, row * ROW_WORDS);
  }

  /** Takes the next record out of the ring, its bytes copied; null when there is none. Heartbeats are records too. */
  read(): RingRecord | null {
    if (this.readBatch(1) === 0) return null;
    const inPlace = this.record(0);
    const record = { ...inPlace, bytes: Buffer.from(inPlace.bytes) };
    this.release();
    return record;
  }

  /**
   * Shows `look` the record at the cursor without taking it; undefined, and no call, when there is none. The bytes are
   * in place and valid until `look` returns.
   */
  peek<T>(look: (record: RingRecord) => T): T | undefined {
    if (native(() => this.#ring.peek(this.#peekRow))) return look(this.#recordOf(this.#peekRow, 0));
    this.throwIfPoisoned();
    return undefined;
  }

  /**
   * Moves the cursor of `peek` past up to `count` whole records and returns how many there were. Nothing is consumed;
   * the cursor is back at the reading position after the next readBatch, read or clear.
   */
  seek(count: number): number {
    const skipped = native(() => this.#ring.seek(count));
    if (skipped < count) this.throwIfPoisoned();
    return skipped;
  }

  /** Drops everything that is in the ring, an unreleased batch included. */
  clear(): void {
    this.#taken = 0;
    this.#released = 0;
    if (native(() => this.#ring.clear())) this.#wakeProducer();
    this.throwIfPoisoned();
  }

  /** Bytes in use, what is taken and not released included. */
  get size(): number {
    return native(() => this.#ring.size());
  }

  get free(): number {
    return this.capacity - this.size;
  }

  /** Fragments that were dropped because their message's begin was not seen. */
  get dropped(): number {
    return native(() => this.#ring.dropped());
  }

  /** Announces a sleep until there is a record; see RingWriter.prepareWait. */
  prepareWait(): boolean {
    return native(() => this.#ring.prepareWait());
  }

  cancelWait(): void {
    native(() => this.#ring.cancelWait());
  }

  /** Looks for a record without sleeping, for at most 1000 µs. True also when the ring is closing. */
  spin(spinMicros: number): boolean {
    return native(() => this.#ring.wait(checkSpin(spinMicros), 0));
  }

  /** Blocks until there is a record or the ring is closing; false after the timeout. @throws JbusError JBUS_MAIN_THREAD. */
  waitForRecord(timeoutMs: number, spinMicros = 0): boolean {
    return native(() => this.#ring.wait(checkSpin(spinMicros), blockingMicros(timeoutMs)));
  }

  #recordOf(rows: Uint32Array, at: number): RingRecord {
    const offset = rows[at + ROW_OFFSET]!;
    return {
      type: rows[at + ROW_TYPE]!,
      msgId: rows[at + ROW_MSG_ID_HIGH]! * 2 ** 32 + rows[at + ROW_MSG_ID_LOW]!,
      flags: rows[at + ROW_FLAGS]!,
      totalLength: rows[at + ROW_TOTAL_LENGTH]!,
      bytes: this.view.subarray(offset, offset + rows[at + ROW_LENGTH]!),
    };
  }
}
