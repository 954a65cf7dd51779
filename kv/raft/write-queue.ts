// What was given to storage and has not come back, and what may leave only afterwards. Storage works through the writes
// in order, so one number says how far it got. core.ts issues, completes and truncates; time is its count of ticks.

import type { NodeId, SnapshotMeta } from './entry.js';
import type { RaftMessage } from './message.js';

export interface Write {
  readonly token: number;
  /** The log is durable up to here once this write is; lowered when a later write replaces its entries. */
  lastIndex: number;
  /** A snapshot that takes the state machine's and the log's place. */
  readonly install: SnapshotMeta | null;
  readonly issuedAtTick: number;
}

interface HeldMessage {
  readonly token: number;
  readonly to: NodeId;
  readonly message: RaftMessage;
}

export class WriteQueue {
  #lastToken = 0;
  #doneToken = 0;
  #hardStateToken = 0;
  #writes: Write[] = [];
  #held: HeldMessage[] = [];
  /** The log is durable up to here. */
  durableIndex: number;

  constructor(durableIndex: number) {
    this.durableIndex = durableIndex;
  }

  /** Snapshot chunks draw from the same numbers, though they are not written in order with the rest. */
  nextToken(): number {
    this.#lastToken += 1;
    return this.#lastToken;
  }

  issue(write: Omit<Write, 'token'>, carriesHardState: boolean): number {
    const token = this.nextToken();
    this.#writes.push({ ...write, token });
    if (carriesHardState) this.#hardStateToken = token;
    return token;
  }

  /** Entries from `from` on are being replaced: no write that comes back may speak for the new ones. */
  truncated(from: number): void {
    this.durableIndex = Math.min(this.durableIndex, from - 1);
    for (const write of this.#writes) write.lastIndex = Math.min(write.lastIndex, from - 1);
  }

  /** Ends every write up to `token`, oldest first. */
  complete(token: number): Write[] {
    const end = this.#writes.findIndex((write) => write.token > token);
    const done = this.#writes.splice(0, end === -1 ? this.#writes.length : end);
    for (const write of done) this.durableIndex = Math.max(this.durableIndex, write.lastIndex);
    this.#doneToken = Math.max(this.#doneToken, done.at(-1)?.token ?? 0);
    return done;
  }

  wasIssued(token: number): boolean {
    return token >= 1 && token <= this.#lastToken;
  }

  get isHardStateDurable(): boolean {
    return this.#hardStateToken <= this.#doneToken;
  }

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  get isInstalling(): boolean {
    return this.#writes.some((write) => write.install !== null);
  }

  /** Ticks the oldest write has been under way; 0 if there is none. */
  oldestAgeTicks(nowTick: number): number {
    const oldest = this.#writes[0];
    return oldest === undefined ? 0 : nowTick - oldest.issuedAtTick;
  }

  /** The write a message has to wait for, or 0. `log`: everything issued so far; `term`: the hard state alone. */
  awaited(rests: 'log' | 'term'): number {
    const token = rests === 'log' ? (this.#writes.at(-1)?.token ?? 0) : this.#hardStateToken;
    return token <= this.#doneToken ? 0 : token;
  }

  /** Acknowledgements that wait for the same write say the same: the newest is kept. */
  hold(token: number, to: NodeId, message: RaftMessage): void {
    const last = this.#held.at(-1);
    const replaces =
      last !== undefined &&
      last.token === token &&
      last.to === to &&
      last.message.type === message.type &&
      last.message.type === 'append-response' &&
      message.type === 'append-response' &&
      last.message.success &&
      message.success &&
      last.message.term === message.term &&
      last.message.matchIndex <= message.matchIndex;
    if (replaces) this.#held.pop();
    this.#held.push({ token, to, message });
  }

  /** What waited for writes that are done. */
  release(): HeldMessage[] {
    if (this.#held.length === 0) return [];
    const ready = this.#held.filter((held) => held.token <= this.#doneToken);
    this.#held = this.#held.filter((held) => held.token > this.#doneToken);
    return ready;
  }
}
