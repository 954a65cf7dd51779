// The reading half of a channel: rows of the ring become messages, lent in place or assembled from fragments.
// channel.ts asks for the next one whenever somebody waits for it; bytes go back to the producer as they are released.

import {
  FLAG_WHOLE,
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
import { Lease } from './lease.js';
import type { ChannelLink } from './link.js';
import { MessageAssembly } from './message-assembly.js';
import { ReleaseLedger } from './release-ledger.js';

const ROWS_PER_TAKE = 256;
/** Fragments taken for one message before the loop gets a turn: a fast writer must not hold this thread. */
const FRAGMENTS_PER_TURN = 64;
/** Released bytes are given back when they are this part of the ring, or when nothing is left to read. */
const GIVE_BACK_PART = 8;

export class ChannelInput {
  readonly #link: ChannelLink;
  readonly #assembly: MessageAssembly;
  readonly #ledger = new ReleaseLedger();
  readonly #giveBackBytes: number;
  readonly #rows = new Uint32Array(ROWS_PER_TAKE * ROW_WORDS);
  /** Of #rows: described, and of these handled. */
  #taken = 0;
  #handled = 0;
  #isClosed = false;
  #messages = 0;
  #bytes = 0;
  #torn = 0;
  #hasMore = false;

  constructor(link: ChannelLink, messageBytesMax: number) {
    this.#link = link;
    this.#assembly = new MessageAssembly(messageBytesMax);
    this.#giveBackBytes = link.inCapacity / GIVE_BACK_PART;
  }

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get heartbeats(): number {
    return this.#assembly.heartbeats;
  }

  /** Fragments without a begin, found here or by the native reader. */
  get fragmentsDropped(): number {
    return this.#assembly.orphans + (this.#isClosed ? 0 : this.#link.reader.dropped());
  }

  /** Messages whose end never came. */
  get torn(): number {
    return this.#torn;
  }

  /** Leases that were not released, and records that wait behind them. */
  get lent(): number {
    return this.#ledger.waiting;
  }

  /** `next` stopped to give the loop a turn: call it again soon. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /**
   * The next message; undefined when none is complete.
   * @throws JbusError JBUS_POISONED, JBUS_NO_SPACE: nothing more can be read.
   */
  next(): Lease | undefined {
    const rows = this.#rows;
    this.#hasMore = false;
    for (let fragments = 0; fragments < FRAGMENTS_PER_TURN; ) {
      if (this.#handled === this.#taken) {
        this.#giveBack();
        this.#handled = 0;
        this.#taken = this.#link.reader.take(rows, ROWS_PER_TAKE);
        if (this.#taken === 0) return undefined;
      }
      const row = this.#handled * ROW_WORDS;
      this.#handled += 1;
      const lease =
        rows[row + ROW_FLAGS] === FLAG_WHOLE && !this.#assembly.isOpen
          ? this.#lend(row)
          : this.#assemble(row);
      if (lease !== undefined) {
        this.#messages += 1;
        this.#bytes += lease.data.length;
        return lease;
      }
      fragments += 1;
    }
    this.#hasMore = true;
    return undefined;
  }

  /** Announces a sleep. False: there is something to look at, which may be poison. */
  prepareSleep(): boolean {
    this.#giveBack();
    return this.#handled === this.#taken && this.#link.reader.prepareWait();
  }

  /** Nothing more will come: what was half received is dropped and counted. */
  abandon(): void {
    if (this.#assembly.abandon()) this.#torn += 1;
  }

  /** Leases may be released after this; their bytes are gone with the ring. */
  close(): void {
    this.#isClosed = true;
    this.#hasMore = false;
    this.abandon();
    this.#taken = 0;
    this.#handled = 0;
  }

  #lend(row: number): Lease {
    const rows = this.#rows;
    const bytes = this.#ledger.lend(rows[row + ROW_COST]!);
    return new Lease(rows[row + ROW_TYPE]!, msgIdAt(rows, row), this.#viewOf(row), () => {
      this.#ledger.settle(bytes);
      this.#giveBackSome();
    });
  }

  #assemble(row: number): Lease | undefined {
    const rows = this.#rows;
    const done = this.#assembly.feed(
      rows[row + ROW_FLAGS]!,
      rows[row + ROW_TYPE]!,
      msgIdAt(rows, row),
      rows[row + ROW_TOTAL_LENGTH]!,
      this.#viewOf(row),
    );
    this.#ledger.pass(rows[row + ROW_COST]!);
    this.#giveBackSome();
    if (done === undefined) return undefined;
    return new Lease(done.type, done.msgId, done.bytes, () => this.#assembly.recycle(done.bytes), true);
  }

  #viewOf(row: number): Uint8Array {
    const offset = this.#rows[row + ROW_OFFSET]!;
    return this.#link.memory.subarray(offset, offset + this.#rows[row + ROW_LENGTH]!);
  }

  #giveBackSome(): void {
    if (this.#handled === this.#taken || this.#ledger.ready >= this.#giveBackBytes) this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#ledger.takeReady();
    if (bytes > 0 && !this.#isClosed && this.#link.reader.release(bytes)) this.#link.doorbell.ring();
  }
}

function msgIdAt(rows: Uint32Array, row: number): number {
  return rows[row + ROW_MSG_ID_HIGH]! * 2 ** 32 + rows[row + ROW_MSG_ID_LOW]!;
}
