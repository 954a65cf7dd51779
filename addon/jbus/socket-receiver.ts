// Takes a stream apart into records: messages go into a ring of this process, notices to whoever made this.
// socket-link.ts feeds it chunks. The peer counts the room in that ring, so a record without room breaks the format.

import { FLAG_BEGIN, FLAG_END, FLAG_MID, RECORD_HEADER_BYTES, recordBytesMax } from './layout.js';
import type { MemoryRing } from './memory-ring.js';
import { broken, decodeRecordHeader, type StreamRecord } from './socket-wire.js';

const MESSAGE_FLAGS = FLAG_BEGIN | FLAG_MID | FLAG_END;

export class SocketReceiver {
  readonly #ring: MemoryRing;
  readonly #onNotice: (notice: StreamRecord) => void;
  readonly #recordBytesMax: number;
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES);
  #headerBytes = 0;
  /** The record whose payload is coming, and where in the ring it goes. */
  #record: StreamRecord | undefined;
  #offset = 0;
  #received = 0;

  /** @param onNotice is given what is not a message: heartbeats, and the flags of socket-wire.ts. */
  constructor(ring: MemoryRing, onNotice: (notice: StreamRecord) => void) {
    this.#ring = ring;
    this.#onNotice = onNotice;
    this.#recordBytesMax = recordBytesMax(ring.capacity);
  }

  /** Takes a chunk, cut anywhere. @throws JbusError JBUS_POISONED, and what `onNotice` throws. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length || this.#record?.length === 0) {
      at +=
        this.#record === undefined ? this.#takeHeader(chunk, at) : this.#takePayload(this.#record, chunk, at);
    }
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#header, this.#headerBytes, at);
    this.#headerBytes += taken;
    if (this.#headerBytes < RECORD_HEADER_BYTES) return taken;
    this.#headerBytes = 0;
    const record = decodeRecordHeader(this.#header, this.#recordBytesMax);
    if ((record.flags & MESSAGE_FLAGS) === 0) {
      if (record.length > 0) throw broken('a notice has bytes');
      this.#onNotice(record);
      return taken;
    }
    this.#record = record;
    this.#offset = this.#ring.reserve(record.length);
    this.#received = 0;
    if (this.#offset < 0) throw broken('more was sent than there is room for');
    return taken;
  }

  #takePayload({ length, ...fields }: StreamRecord, chunk: Buffer, at: number): number {
    const bytes = chunk.subarray(at, at + length - this.#received);
    this.#ring.memory.set(bytes, this.#offset + this.#received);
    this.#received += bytes.length;
    if (this.#received === length) {
      this.#record = undefined;
      this.#ring.commit(this.#offset, length, fields);
    }
    return bytes.length;
  }
}
