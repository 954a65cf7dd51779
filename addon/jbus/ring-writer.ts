// The producer's side of a ring in a segment: one thread of one process writes, nobody else.
// Channel and ShmRing's users call it; the writing is C++ (addon/src/jbus/ring_writer.h), one crossing per call.
// A record is visible when the call returns, whole, or not at all; a full ring refuses and overwrites nothing.

import type { ShmRingWriter } from '../index.js';
import { JbusError, native } from './errors.js';
import { fragmentBytes, recordBytesMax, SIDE_PRODUCER } from './layout.js';
import { shmAddon } from './native.js';
import type { RecordBatch } from './record-batch.js';
import { blockingMicros, checkSpin, RingSide } from './ring-side.js';

export interface RingWriterOptions {
  /** Called after a publication that found the consumer asleep: ring its doorbell. Default: nobody is woken. */
  wakeConsumer?: () => void;
}

export class RingWriter extends RingSide {
  /** The largest payload of one record. */
  readonly recordBytesMax: number;
  /** The payload of one fragment of a larger message. */
  readonly fragmentBytes: number;
  readonly #ring: ShmRingWriter;
  readonly #wakeConsumer: () => void;

  /** @throws JbusError as ShmRing.attach, and JBUS_SIDE_TAKEN, JBUS_POISONED. */
  constructor(segmentId: number, options: RingWriterOptions = {}) {
    const ring = new (shmAddon().ShmRingWriter)();
    super(segmentId, SIDE_PRODUCER, ring, () => ring.open(segmentId));
    this.#ring = ring;
    this.#wakeConsumer = options.wakeConsumer ?? (() => {});
    this.recordBytesMax = recordBytesMax(this.capacity);
    this.fragmentBytes = fragmentBytes(this.capacity);
  }

  /**
   * Writes one message as one record. Returns the bytes it takes in the ring, header and pad included; 0 when there is
   * no room. `type` is 16 bits, `msgId` an integer up to 2^53 - 1. The bytes are copied.
   * @throws JbusError JBUS_RECORD_TOO_LARGE beyond recordBytesMax, JBUS_POISONED, JBUS_CLOSED.
   */
  write(type: number, msgId: number, bytes: Uint8Array): number {
    if (bytes.length > this.recordBytesMax) {
      throw new JbusError(
        'JBUS_RECORD_TOO_LARGE',
        `${bytes.length} bytes, a record has at most ${this.recordBytesMax}: use writeFragments`,
      );
    }
    return this.#settle(native(() => this.#ring.write(type, msgId, bytes)));
  }

  /**
   * Writes the message, or what is left of it from byte `from` on, as fragments of `fragmentBytes`, as many as fit.
   * Returns the bytes of it that were written; call again with `from` advanced once there is room, with nothing else
   * in between but heartbeats. For 1 to 2^32 - 1 bytes; an empty message is a `write`.
   */
  writeFragments(type: number, msgId: number, bytes: Uint8Array, from: number): number {
    return this.#settle(native(() => this.#ring.writeFragments(type, msgId, bytes, from)));
  }

  /** Writes the batch's records, oldest first, as many as fit, and takes them off it. Returns their number. */
  writeBatch(batch: RecordBatch): number {
    let total = 0;
    for (;;) {
      const { count } = batch;
      if (count === 0) return total;
      // C++ stops early to have the consumer woken; what is left may still fit.
      const answer = native(() => this.#ring.writeBatch(batch.rows, batch.bytes, batch.first, count));
      const written = answer < 0 ? -1 - answer : answer;
      batch.drop(written);
      this.#settle(answer);
      total += written;
      if (answer >= 0) return total;
    }
  }

  /** Writes a heartbeat record; false when there is no room. It may come between fragments. */
  writeHeartbeat(): boolean {
    return this.#settle(native(() => this.#ring.writeHeartbeat())) > 0;
  }

  /** Bytes in use. */
  get size(): number {
    return native(() => this.#ring.size());
  }

  /** Bytes free; a record may need a pad on top of what it takes, when it would wrap. */
  get free(): number {
    return this.capacity - this.size;
  }

  /**
   * Announces a sleep until `bytes` are free. True: sleep now; a release by the consumer will ring. False: there is
   * room already. Announce again before every sleep, and `cancelWait` after one that ended otherwise.
   */
  prepareWait(bytes: number): boolean {
    return native(() => this.#ring.prepareWait(bytes));
  }

  cancelWait(): void {
    native(() => this.#ring.cancelWait());
  }

  /** Looks for room for `bytes` without sleeping, for at most 1000 µs. True also when the ring is closing. */
  spin(bytes: number, spinMicros: number): boolean {
    return native(() => this.#ring.wait(bytes, checkSpin(spinMicros), 0));
  }

  /** Blocks until there is room for `bytes` or the ring is closing; false after the timeout. @throws JbusError JBUS_MAIN_THREAD. */
  waitForRoom(bytes: number, timeoutMs: number, spinMicros = 0): boolean {
    return native(() => this.#ring.wait(bytes, checkSpin(spinMicros), blockingMicros(timeoutMs)));
  }

  /** Wakes the consumer if the answer asks for it, and looks for poison if nothing was written. */
  #settle(answer: number): number {
    if (answer > 0) return answer;
    if (answer === 0) {
      this.throwIfPoisoned();
      return 0;
    }
    this.#wakeConsumer();
    return -1 - answer;
  }
}
