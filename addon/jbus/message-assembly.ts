// Makes messages of records, and says how a message is cut into records.
// channel-input.ts feeds it every record that is not a whole message; memory-ring.ts and socket-link.ts cut by it.
// Pure: a record comes in as numbers and bytes, so a test may send anything. The native reader has judged records
// already; the backings without one rely on this file alone.

import { JbusError } from './errors.js';
import { FLAG_BEGIN, FLAG_END, FLAG_HEARTBEAT, FLAG_MID, FLAG_WHOLE } from './layout.js';

export interface AssembledMessage {
  readonly type: number;
  readonly msgId: number;
  /** Memory of its own, the receiver's until it gives it to `recycle`; for a message in one record, the bytes that came in. */
  readonly bytes: Uint8Array;
}

/** The message of which some fragments have come. */
interface Open {
  readonly type: number;
  readonly msgId: number;
  readonly bytes: Buffer;
  received: number;
}

const SPARE_BYTES_MAX = 16 * 1024 * 1024;
const SPARE_WASTE_MAX = 2;

export class MessageAssembly {
  readonly #messageBytesMax: number;
  #open: Open | undefined;
  /** Memory of an earlier message: fresh memory costs a page fault per 4 KiB, which is as much as the copy. */
  #spare: Buffer | undefined;
  #orphans = 0;
  #heartbeats = 0;

  /** @param messageBytesMax what the peer may announce; nothing larger is allocated. */
  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** A message has begun and not ended. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Fragments dropped because their message's begin was not seen. */
  get orphans(): number {
    return this.#orphans;
  }

  get heartbeats(): number {
    return this.#heartbeats;
  }

  /**
   * Takes one record and returns the message that it completes, if it does. `bytes` is copied unless it is the whole
   * message. Nothing more can be fed after an error: what follows cannot be told apart.
   * @throws JbusError JBUS_POISONED: the peer broke the format; JBUS_NO_SPACE: no memory for the message it announced.
   */
  feed(
    flags: number,
    type: number,
    msgId: number,
    totalLength: number,
    bytes: Uint8Array,
  ): AssembledMessage | undefined {
    switch (flags) {
      case FLAG_HEARTBEAT:
        if (bytes.length > 0) throw broken('a heartbeat has bytes');
        this.#heartbeats += 1;
        return undefined;
      case FLAG_WHOLE:
        this.#checkBegin(totalLength, bytes.length);
        if (bytes.length !== totalLength) throw broken('the only record of a message has not all its bytes');
        return { type, msgId, bytes };
      case FLAG_BEGIN:
        this.#checkBegin(totalLength, bytes.length);
        this.#open = { type, msgId, bytes: this.#memoryFor(totalLength), received: 0 };
        this.#append(this.#open, bytes);
        return undefined;
      case FLAG_MID:
      case FLAG_END:
        return this.#continue(flags === FLAG_END, msgId, totalLength, bytes);
      default:
        throw broken(`flags ${flags} mean nothing`);
    }
  }

  /** A copy of a message whose parts lie elsewhere, in memory that `recycle` takes. @throws JbusError JBUS_NO_SPACE. */
  join(parts: readonly Uint8Array[], totalLength: number): Buffer {
    const bytes = this.#memoryFor(totalLength);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Takes back the bytes of a message that was assembled here, to be used for a later one. */
  recycle(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength <= SPARE_BYTES_MAX) this.#spare = Buffer.from(bytes.buffer);
  }

  /** Forgets a message that will not be completed. True: there was one. */
  abandon(): boolean {
    const wasOpen = this.isOpen;
    this.#open = undefined;
    return wasOpen;
  }

  #checkBegin(totalLength: number, length: number): void {
    if (this.#open !== undefined) throw broken('a message begins within another');
    if (length > totalLength) throw broken('a fragment is longer than its message');
    if (totalLength > this.#messageBytesMax) {
      throw broken(
        `a message of ${totalLength} bytes is announced, messageBytesMax is ${this.#messageBytesMax}`,
      );
    }
  }

  #continue(
    isEnd: boolean,
    msgId: number,
    totalLength: number,
    bytes: Uint8Array,
  ): AssembledMessage | undefined {
    const open = this.#open;
    if (open === undefined) {
      this.#orphans += 1; // its begin was read by a consumer that died, or cleared
      return undefined;
    }
    if (msgId !== open.msgId || totalLength !== open.bytes.length) throw broken('two messages are mixed');
    const missing = totalLength - open.received;
    if (bytes.length > missing || (isEnd && bytes.length !== missing)) {
      throw broken('the fragments of a message do not add up');
    }
    this.#append(open, bytes);
    if (!isEnd) return undefined;
    this.#open = undefined;
    return { type: open.type, msgId: open.msgId, bytes: open.bytes };
  }

  #memoryFor(totalLength: number): Buffer {
    const spare = this.#spare;
    // A small message must not keep much memory from being freed.
    if (spare === undefined || spare.length < totalLength || spare.length / SPARE_WASTE_MAX > totalLength) {
      return allocate(totalLength);
    }
    this.#spare = undefined;
    return spare.subarray(0, totalLength);
  }

  #append(open: Open, bytes: Uint8Array): void {
    open.bytes.set(bytes, open.received);
    open.received += bytes.length;
  }
}

/** Bytes and flags of the fragment that begins at byte `from` of a message with `total` bytes. */
export function fragmentAt(
  from: number,
  total: number,
  fragmentBytesMax: number,
): { length: number; flags: number } {
  const length = Math.min(fragmentBytesMax, total - from);
  const edges = (from === 0 ? FLAG_BEGIN : 0) | (from + length === total ? FLAG_END : 0);
  return { length, flags: edges === 0 ? FLAG_MID : edges };
}

function allocate(bytes: number): Buffer {
  try {
    return Buffer.allocUnsafeSlow(bytes);
  } catch (error) {
    throw new JbusError('JBUS_NO_SPACE', `no memory for a message of ${bytes} bytes`, { cause: error });
  }
}

function broken(what: string): JbusError {
  return new JbusError('JBUS_POISONED', `the peer broke the format: ${what}`);
}
