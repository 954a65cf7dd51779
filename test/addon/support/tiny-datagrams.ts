// The smallest TypeScript half of a Datagrams that tests need: its memory, and what it is told.
// The real one lives in reactor/; this one has no policy, so that a test sees what C++ does.
import {
  DATAGRAM_ADDRESS,
  DATAGRAM_ADDRESS_WORDS,
  DATAGRAM_BYTES,
  DATAGRAM_CONTROL_BYTES,
  DATAGRAM_CONTROL_RECORDS,
  DATAGRAM_CONTROL_WORDS,
  DATAGRAM_EVENT,
  DATAGRAM_OFFSET,
  DATAGRAM_SEND_ADDRESS,
  DATAGRAM_SEND_BYTES,
  DATAGRAM_SEND_OFFSET,
  DATAGRAM_SEND_WORDS,
  DATAGRAM_WORDS,
  DATAGRAMS_PER_BATCH,
  type DatagramMemory,
  type Datagrams,
  requireAddon,
} from '../../../addon/index.js';

export interface DatagramNews {
  readonly event: number;
  /** Offset or errno. */
  readonly first: number;
  /** Bytes or count. */
  readonly second: number;
  readonly address: Int32Array;
}

const TO_PEER = new Int32Array(DATAGRAM_ADDRESS_WORDS);

export class TinyDatagrams {
  readonly datagrams: Datagrams;
  readonly memory: DatagramMemory;
  /** Datagrams and news of each batch, in order. */
  readonly batchSizes: number[] = [];
  readonly #onNews: (news: DatagramNews) => void;
  #next = 0;

  /** Takes over `fd`. */
  constructor(fd: number, onNews: (news: DatagramNews) => void, datagramBytesMax = 2000) {
    this.#onNews = onNews;
    this.memory = {
      receiveSlab: new Uint8Array(DATAGRAMS_PER_BATCH * (datagramBytesMax + 128)),
      records: new Int32Array(DATAGRAMS_PER_BATCH * DATAGRAM_WORDS),
      sendSlab: new Uint8Array(256 * 1024),
      sends: new Int32Array(256 * DATAGRAM_SEND_WORDS),
      control: new Int32Array(DATAGRAM_CONTROL_WORDS),
    };
    const { Datagrams: NativeDatagrams } = requireAddon();
    this.datagrams = new NativeDatagrams(
      fd,
      { ...this.memory, datagramBytesMax, waitingBytesMax: 1024 * 1024 },
      (recordCount) => this.#onBatch(recordCount),
    );
  }

  /** A copy of a received datagram. */
  bytesOf({ first, second }: DatagramNews): Buffer {
    return Buffer.from(this.memory.receiveSlab.subarray(first, first + second));
  }

  /** Describes a datagram to send; it leaves after the batch, or at `flush`. Default: to the connected peer. */
  stage(bytes: Uint8Array, address: Int32Array = TO_PEER): void {
    const { control, sends, sendSlab } = this.memory;
    const record = control[DATAGRAM_CONTROL_RECORDS]! * DATAGRAM_SEND_WORDS;
    const offset = control[DATAGRAM_CONTROL_BYTES]!;
    sendSlab.set(bytes, offset);
    sends[record + DATAGRAM_SEND_OFFSET] = offset;
    sends[record + DATAGRAM_SEND_BYTES] = bytes.length;
    sends.set(address, record + DATAGRAM_SEND_ADDRESS);
    control[DATAGRAM_CONTROL_RECORDS]! += 1;
    control[DATAGRAM_CONTROL_BYTES]! += bytes.length;
  }

  #onBatch(recordCount: number): void {
    const { records } = this.memory;
    if (this.#next === 0) this.batchSizes.push(recordCount);
    while (this.#next < recordCount) {
      const at = this.#next++ * DATAGRAM_WORDS;
      const address = at + DATAGRAM_ADDRESS;
      this.#onNews({
        event: records[at + DATAGRAM_EVENT]!,
        first: records[at + DATAGRAM_OFFSET]!,
        second: records[at + DATAGRAM_BYTES]!,
        address: records.slice(address, address + DATAGRAM_ADDRESS_WORDS),
      });
    }
    this.#next = 0;
  }
}
