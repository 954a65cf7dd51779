// The reading half of a channel: rows of the ring become messages, lent in place or assembled from fragments.
// channel.ts asks for the next one whenever somebody waits for it; bytes go back to the producer as they are released.

import { canHold, HeldMessage } from './held-message.js';
import {
  FLAG_BEGIN,
  FLAG_HEARTBEAT,
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
  /** The message of which some fragments have come and stay in the ring. */
  #held: HeldMessage | undefined;
  readonly #giveBackBytes: number;
  readonly #messageBytesMax: number;
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
    this.#messageBytesMax = messageBytesMax;
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
    return this.#ledger.waiting - (this.#held === undefined ? 0 : 1);
  }

  /** `next` stopped to give the loop a turn: call it again soon. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /**
   * The next message; undefined when none is complete. With `spinMicros` it looks as long for another record.
   * @throws JbusError JBUS_POISONED, JBUS_NO_SPACE: nothing more can be read.
   */
  next(spinMicros: number = 0): Lease | undefined {
    const rows = this.#rows;
    this.#hasMore = false;
    for (let fragments = 0; fragments < FRAGMENTS_PER_TURN; ) {
      if (this.#handled === this.#taken) {
        this.#giveBack();
        this.#handled = 0;
        this.#taken = this.#link.reader.take(rows, ROWS_PER_TAKE, spinMicros);
        if (this.#taken === 0) {
          this.#letGoIfInTheWay();
          return undefined;
        }
      }
      const row = this.#handled * ROW_WORDS;
      this.#handled += 1;
      const lease =
        rows[row + ROW_FLAGS] === FLAG_WHOLE && !this.#isWithinMessage
          ? this.#lend(row)
          : this.#assemble(row);
      if (lease !== undefined) {
        this.#messages += 1;
        this.#bytes += lease.length;
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
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#ledger.settle(held.lent);
    if (this.#assembly.abandon() || held !== undefined) this.#torn += 1;
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

  get #isWithinMessage(): boolean {
    return this.#held !== undefined || this.#assembly.isOpen;
  }

  #assemble(row: number): Lease | undefined {
    const rows = this.#rows;
    const flags = rows[row + ROW_FLAGS]!;
    const type = rows[row + ROW_TYPE]!;
    const msgId = msgIdAt(rows, row);
    const totalLength = rows[row + ROW_TOTAL_LENGTH]!;
    const bytes = this.#viewOf(row);
    const cost = rows[row + ROW_COST]!;
    if (flags === FLAG_BEGIN && !this.#isWithinMessage && this.#mayHold(totalLength, bytes.length, cost)) {
      this.#held = new HeldMessage(type, msgId, totalLength, bytes, this.#ledger.lend(cost));
      return undefined;
    }
    if (this.#held !== undefined && flags !== FLAG_HEARTBEAT) {
      if (this.#held.add(flags, msgId, totalLength, bytes)) {
        this.#ledger.pass(cost);
        return this.#held.isComplete ? this.#lendHeld() : undefined;
      }
      this.#letGo();
    }
    const done = this.#assembly.feed(flags, type, msgId, totalLength, bytes);
    this.#ledger.pass(cost);
    this.#giveBackSome();
    if (done === undefined) return undefined;
    return new Lease(done.type, done.msgId, done.bytes, () => this.#assembly.recycle(done.bytes), true);
  }

  /** Leases that are out may keep the writer from going on; what is not right is for the assembly to refuse. */
  #mayHold(totalLength: number, length: number, cost: number): boolean {
    if (length > totalLength || totalLength > this.#messageBytesMax || this.#ledger.waiting > 0) return false;
    return canHold(totalLength - length, cost, this.#link.inCapacity);
  }

  #lendHeld(): Lease {
    const { type, msgId, totalLength, parts, lent } = this.#held!;
    this.#held = undefined;
    let joined: Uint8Array | undefined;
    const giveBack = (): void => {
      this.#ledger.settle(lent);
      this.#giveBackSome();
    };
    const onRelease = (): void => {
      if (joined === undefined) giveBack();
      else this.#assembly.recycle(joined);
    };
    return new Lease(type, msgId, parts, onRelease, false, () => {
      joined = this.#assembly.join(parts, totalLength);
      giveBack();
      return joined;
    });
  }

  /** Many small fragments may take so much of the ring that the writer cannot go on while they stay. */
  #letGoIfInTheWay(): void {
    const held = this.#held;
    if (held === undefined || canHold(held.missing, held.lent.bytes, this.#link.inCapacity)) return;
    this.#letGo();
    this.#giveBack();
  }

  /** Copies the message's fragments: from here on it is the assembly's. */
  #letGo(): void {
    const held = this.#held!;
    this.#held = undefined;
    held.moveTo(this.#assembly);
    this.#ledger.settle(held.lent);
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
