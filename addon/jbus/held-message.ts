// A message in several fragments that stay where they are, in the ring, until it is complete and its lease is over.
// channel-input.ts holds one where its writer cannot run out of room meanwhile; else message-assembly.ts copies. Pure.

import { FLAG_BEGIN, FLAG_END, FLAG_MID, RECORD_HEADER_BYTES } from './layout.js';
import type { MessageAssembly } from './message-assembly.js';
import type { LentBytes } from './release-ledger.js';

/** Two records, one of them the pad that the other may need: headers, and what lengths are rounded up by. */
const SLACK_BYTES = 2 * (RECORD_HEADER_BYTES + 8);

/**
 * Whether a writer always has room for what is missing, its next record and a pad for that included, while
 * `heldBytes` of the ring are not given back.
 */
export function canHold(missingBytes: number, heldBytes: number, capacity: number): boolean {
  return 2 * missingBytes + SLACK_BYTES <= capacity - heldBytes;
}

export class HeldMessage {
  readonly type: number;
  readonly msgId: number;
  readonly totalLength: number;
  readonly parts: Uint8Array[];
  /** The ring's account of it: grows by every record behind the first. */
  readonly lent: LentBytes;
  #received: number;

  /** @param part the payload of the record with the BEGIN. */
  constructor(type: number, msgId: number, totalLength: number, part: Uint8Array, lent: LentBytes) {
    this.type = type;
    this.msgId = msgId;
    this.totalLength = totalLength;
    this.parts = [part];
    this.lent = lent;
    this.#received = part.length;
  }

  get missing(): number {
    return this.totalLength - this.#received;
  }

  get isComplete(): boolean {
    return this.missing === 0;
  }

  /** False, and nothing done, when the record is not this message's next one, which the assembly will explain. */
  add(flags: number, msgId: number, totalLength: number, part: Uint8Array): boolean {
    const isNext =
      flags === (part.length === this.missing ? FLAG_END : FLAG_MID) && part.length <= this.missing;
    if (!isNext || msgId !== this.msgId || totalLength !== this.totalLength) return false;
    this.parts.push(part);
    this.#received += part.length;
    return true;
  }

  /** Copies what has come so far: the assembly goes on with it. */
  moveTo(assembly: MessageAssembly): void {
    for (const [index, part] of this.parts.entries()) {
      assembly.feed(index === 0 ? FLAG_BEGIN : FLAG_MID, this.type, this.msgId, this.totalLength, part);
    }
  }
}
