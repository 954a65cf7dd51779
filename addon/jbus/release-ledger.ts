// Which bytes of a ring can go back to the producer while some messages are lent out.
// A ring takes back only its oldest bytes; leases end in any order. This keeps the account between the two.
// channel-input.ts notes every record here, in the order of the ring. Pure.

/** A record that is lent; `bytes` grows by the records behind it that are not. */
export interface LentBytes {
  bytes: number;
  isOut: boolean;
}

/** Settled records at the front before they are dropped. */
const COMPACT_AT = 1024;

export class ReleaseLedger {
  /** Lent records, oldest first, from #first on; the first of them is out. */
  #lent: LentBytes[] = [];
  #first = 0;
  #ready = 0;

  /** Bytes that can go back now. */
  get ready(): number {
    return this.#ready;
  }

  /** Records that are lent, or wait behind one that is. */
  get waiting(): number {
    return this.#lent.length - this.#first;
  }

  /** Notes a record that nobody needs any more. */
  pass(bytes: number): void {
    const last = this.#lent.at(-1);
    if (last === undefined) this.#ready += bytes;
    else last.bytes += bytes;
  }

  /** Notes a record that is lent until `settle`. */
  lend(bytes: number): LentBytes {
    const record = { bytes, isOut: true };
    this.#lent.push(record);
    return record;
  }

  /** Once per record that was lent. */
  settle(record: LentBytes): void {
    record.isOut = false;
    const lent = this.#lent;
    while (this.#first < lent.length && !lent[this.#first]!.isOut) {
      this.#ready += lent[this.#first]!.bytes;
      this.#first += 1;
    }
    if (this.#first === lent.length || this.#first >= COMPACT_AT) {
      this.#lent = lent.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The ready bytes, which are then no longer the ledger's. */
  takeReady(): number {
    const bytes = this.#ready;
    this.#ready = 0;
    return bytes;
  }
}
