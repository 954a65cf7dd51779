// The receiving half of a snapshot transfer: which chunk is wanted next, and how far the stored ones reach. core.ts asks
// it per chunk; the bytes go to the driver. A transfer is one sender's: another one, or another snapshot, begins anew.

import type { NodeId, SnapshotMeta } from './entry.js';

export class SnapshotReceiver {
  readonly from: NodeId;
  readonly snapshot: SnapshotMeta;
  /** Handed to the driver up to here. */
  #received = 0;
  /** Stored by the driver up to here. */
  #stored = 0;
  #chunks: { readonly token: number; readonly end: number }[] = [];
  #isStarted = false;

  constructor(from: NodeId, snapshot: SnapshotMeta) {
    this.from = from;
    this.snapshot = snapshot;
  }

  get nextOffset(): number {
    return this.#stored;
  }

  /** A chunk is being stored; its answer follows. */
  get isStoring(): boolean {
    return this.#chunks.length > 0;
  }

  get isComplete(): boolean {
    return this.#isStarted && this.#chunks.length === 0 && this.#stored === this.snapshot.byteCount;
  }

  isOf(from: NodeId, snapshot: SnapshotMeta): boolean {
    const ours = this.snapshot;
    return (
      this.from === from &&
      ours.index === snapshot.index &&
      ours.term === snapshot.term &&
      ours.byteCount === snapshot.byteCount
    );
  }

  wants(offset: number): boolean {
    return offset === this.#received && (!this.#isStarted || offset < this.snapshot.byteCount);
  }

  taken(token: number, byteCount: number): void {
    this.#isStarted = true;
    this.#received += byteCount;
    this.#chunks.push({ token, end: this.#received });
  }

  /** True if `token` is one of its chunks. Chunks may be stored in any order. */
  stored(token: number): boolean {
    const at = this.#chunks.findIndex((chunk) => chunk.token === token);
    if (at === -1) return false;
    this.#chunks.splice(at, 1);
    const firstOpen = this.#chunks[0];
    this.#stored = firstOpen === undefined ? this.#received : this.#stored;
    return true;
  }
}
