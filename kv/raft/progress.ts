// What a leader knows of one other member, and how fast it may send to it. core.ts keeps one per member.
// probe: where the logs part is not known, one message at a time; replicate: sent ahead within a window; snapshot: the
// log it needs is gone, so a snapshot goes over in chunks.

import type { NodeId, SnapshotMeta } from './entry.js';
import { assert } from './errors.js';

export interface SnapshotTransfer {
  readonly snapshot: SnapshotMeta;
  /** The next chunk begins here. */
  offset: number;
  /** A chunk is on its way. */
  isWaiting: boolean;
  /** Of the last chunk or acknowledgement. */
  sinceTick: number;
  /** When the next chunk was sent first; null: it was not yet. */
  askedTick: number | null;
  /** A chunk that is not answered within so many ticks is sent again; grows where answers take long. */
  patienceTicks: number;
}

/** At the beginning, and where answers come at once. */
export const CHUNK_PATIENCE_TICKS = 3;

interface Inflight {
  readonly lastIndex: number;
  readonly byteCount: number;
}

export class Progress {
  readonly id: NodeId;
  /** Its log is known to equal the leader's up to here, durably. */
  match = 0;
  /** The next entry to send. */
  next: number;
  state: 'probe' | 'replicate' | 'snapshot' = 'probe';
  /** A probe is on its way: nothing more is sent before an answer or a heartbeat's. */
  isProbing = false;
  /** Heard since the last check of the quorum. */
  isActive = true;
  /** The last heartbeat round it answered. */
  round = 0;
  /** The commit index it was last told. */
  toldCommit = 0;
  transfer: SnapshotTransfer | null = null;
  #inflights: Inflight[] = [];
  #inflightBytes = 0;
  readonly #messagesMax: number;
  readonly #bytesMax: number;

  constructor(id: NodeId, next: number, limits: { messagesMax: number; bytesMax: number }) {
    this.id = id;
    this.next = next;
    this.#messagesMax = limits.messagesMax;
    this.#bytesMax = limits.bytesMax;
  }

  get inflightCount(): number {
    return this.#inflights.length;
  }

  get inflightBytes(): number {
    return this.#inflightBytes;
  }

  /** Nothing may be sent now. */
  get isPaused(): boolean {
    if (this.state === 'probe') return this.isProbing;
    return this.state === 'snapshot' || this.isWindowFull;
  }

  get isWindowFull(): boolean {
    return this.#inflights.length >= this.#messagesMax || this.#inflightBytes >= this.#bytesMax;
  }

  /** Entries up to `lastIndex` left. */
  sent(lastIndex: number, byteCount: number): void {
    if (this.state === 'probe') {
      this.isProbing = true;
      return;
    }
    if (byteCount === 0) return;
    this.#inflights.push({ lastIndex, byteCount });
    this.#inflightBytes += byteCount;
    this.next = lastIndex + 1;
  }

  /** True if it is news that the logs agree up to `index`. */
  matched(index: number): boolean {
    const gone = this.#inflights.findIndex((inflight) => inflight.lastIndex > index);
    this.#free(gone === -1 ? this.#inflights.length : gone);
    this.next = Math.max(this.next, index + 1);
    if (index <= this.match) return false;
    this.match = index;
    return true;
  }

  /** Makes room for one message: the answer to a heartbeat shows that the way is open, whatever was lost. */
  freeOne(): void {
    if (this.isWindowFull) this.#free(1);
  }

  becomeProbe(): void {
    this.state = 'probe';
    this.isProbing = false;
    this.transfer = null;
    this.next = this.match + 1;
    this.#free(this.#inflights.length);
  }

  becomeReplicate(): void {
    this.state = 'replicate';
    this.isProbing = false;
    this.transfer = null;
    this.next = this.match + 1;
    this.#free(this.#inflights.length);
  }

  becomeSnapshot(snapshot: SnapshotMeta, nowTick: number): void {
    this.state = 'snapshot';
    this.isProbing = false;
    this.#free(this.#inflights.length);
    const patienceTicks = CHUNK_PATIENCE_TICKS;
    this.transfer = {
      snapshot,
      offset: 0,
      isWaiting: false,
      sinceTick: nowTick,
      askedTick: null,
      patienceTicks,
    };
  }

  checkInvariants(): void {
    assert(this.match < this.next, 'the next entry is behind the matched ones');
    assert(
      (this.state === 'snapshot') === (this.transfer !== null),
      'only the snapshot state has a transfer',
    );
    assert(this.#inflights.length <= this.#messagesMax, 'the window is kept');
  }

  #free(count: number): void {
    for (const inflight of this.#inflights.splice(0, count)) this.#inflightBytes -= inflight.byteCount;
  }
}
