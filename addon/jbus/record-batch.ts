// Small messages collected in JavaScript, to be written into a ring by one native call.
// The caller adds, RingWriter.writeBatch takes from the front; what did not fit stays for the next call.
// Both arrays are made once and bounded: `add` answers false when either is full.

import { JbusError } from './errors.js';
import { ROW_LENGTH, ROW_MSG_ID_HIGH, ROW_MSG_ID_LOW, ROW_OFFSET, ROW_TYPE, ROW_WORDS } from './layout.js';

export interface RecordBatchOptions {
  /** Records that may wait. Default 1024. */
  recordsMax?: number;
  /** Payload bytes that may wait. Default 256 KiB. */
  bytesMax?: number;
}

const DEFAULTS: Required<RecordBatchOptions> = { recordsMax: 1024, bytesMax: 256 * 1024 };

export class RecordBatch {
  readonly rows: Uint32Array;
  readonly bytes: Uint8Array;
  readonly recordsMax: number;
  #count = 0;
  #first = 0;
  #used = 0;

  constructor(options: RecordBatchOptions = {}) {
    const { recordsMax, bytesMax } = { ...DEFAULTS, ...options };
    checkBound('recordsMax', recordsMax);
    checkBound('bytesMax', bytesMax);
    this.recordsMax = recordsMax;
    this.rows = new Uint32Array(recordsMax * ROW_WORDS);
    this.bytes = new Uint8Array(bytesMax);
  }

  /** Records that wait to be written. */
  get count(): number {
    return this.#count - this.#first;
  }

  /** Row of the oldest record that waits; for RingWriter. */
  get first(): number {
    return this.#first;
  }

  /** Copies one message into the batch; false, and nothing done, when it is full. */
  add(type: number, msgId: number, payload: Uint8Array): boolean {
    const offset = this.reserve(type, msgId, payload.length);
    if (offset < 0) return false;
    this.bytes.set(payload, offset);
    return true;
  }

  /** Makes room for a message that the caller writes into `bytes` himself, at the offset returned, a multiple of 8; -1: full. */
  reserve(type: number, msgId: number, length: number): number {
    const offset = this.#used;
    if (this.#count === this.recordsMax || length > this.bytes.length - offset) return -1;
    const { rows } = this;
    const row = this.#count * ROW_WORDS;
    rows[row + ROW_OFFSET] = offset;
    rows[row + ROW_LENGTH] = length;
    rows[row + ROW_TYPE] = type;
    rows[row + ROW_MSG_ID_LOW] = msgId; // modulo 2^32
    rows[row + ROW_MSG_ID_HIGH] = msgId / 2 ** 32;
    this.#count += 1;
    this.#used = Math.ceil((offset + length) / 8) * 8;
    return offset;
  }

  /** Forgets the `count` oldest records; RingWriter does after writing them. */
  drop(count: number): void {
    this.#first += count;
    if (this.#first >= this.#count) this.clear();
  }

  clear(): void {
    this.#count = 0;
    this.#first = 0;
    this.#used = 0;
  }
}

function checkBound(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= 2 ** 31 - 8) return;
  throw new JbusError(
    'JBUS_INVALID_ARGUMENT',
    `${name} must be an integer of at least 1, not ${String(value)}`,
  );
}
