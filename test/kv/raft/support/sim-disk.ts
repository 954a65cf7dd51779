// A member's disk: what is durable, and writes on their way there, which a crash loses from some point on. Writes end in
// the order they were issued; a crash may leave any first part of them, cut between entries.

import type {
  Entry,
  HardState,
  InstallEffect,
  PersistEffect,
  SnapshotMeta,
} from '../../../../kv/raft/index.js';
import { bootstrap, type RestoredState } from '../../../../kv/raft/index.js';
import type { SeededRandom } from '../../../support/seeded-random.js';

/** Bugs of a storage layer that the mutation gate switches on. */
export interface DiskBugs {
  readonly forgetsVote?: boolean;
  readonly keepsLogAtInstall?: boolean;
  readonly losesTruncation?: boolean;
}

type Write = PersistEffect | (InstallEffect & { readonly bytes: Uint8Array });

export class SimDisk {
  hardState: HardState;
  entries: Entry[] = [];
  snapshot: SnapshotMeta;
  snapshotBytes: Uint8Array = new Uint8Array(0);
  readonly #bugs: DiskBugs;
  #pending: Write[] = [];

  constructor(initial: RestoredState = bootstrap(), bugs: DiskBugs = {}) {
    this.hardState = initial.hardState;
    this.snapshot = initial.snapshot;
    this.#bugs = bugs;
  }

  get firstIndex(): number {
    return this.entries[0]?.index ?? this.snapshot.index + 1;
  }

  /** The durable log reaches to here, the snapshot included. */
  get lastIndex(): number {
    return Math.max(this.entries.at(-1)?.index ?? 0, this.snapshot.index);
  }

  /** Whether this entry would be there after a crash now. */
  holds(index: number, term: number): boolean {
    if (index <= this.snapshot.index) return true;
    return this.entries[index - this.firstIndex]?.term === term;
  }

  /** Of the log and the hard state, what a WAL would hold. */
  get byteCount(): number {
    return this.entries.reduce((sum, entry) => sum + entry.data.length + 24, 24);
  }

  issue(write: Write): void {
    this.#pending.push(write);
  }

  /** The oldest write became durable; returns its token. */
  completeOne(): number {
    const write = this.#pending.shift()!; // one completion per issued write
    this.#make(write);
    return write.token;
  }

  compact(index: number): void {
    const cut = index - this.firstIndex + 1;
    if (cut > 0) this.entries.splice(0, cut);
  }

  /** The process died: of what was not reported durable, a random first part is. */
  crash(random: SeededRandom): void {
    const writes = this.#pending;
    this.#pending = [];
    for (const write of writes) {
      if (random.chance(0.5)) {
        if (write.kind === 'persist') {
          const kept = random.integer(0, write.entries.length);
          if (random.chance(0.7)) this.#make({ ...write, entries: write.entries.slice(0, kept) });
        }
        return;
      }
      this.#make(write);
    }
  }

  restore(): RestoredState {
    const hardState = this.#bugs.forgetsVote ? { ...this.hardState, vote: null } : this.hardState;
    return { hardState, snapshot: this.snapshot, entries: this.entries.slice() };
  }

  #make(write: Write): void {
    if (write.kind === 'install') {
      this.snapshot = write.snapshot;
      this.snapshotBytes = write.bytes;
      if (!this.#bugs.keepsLogAtInstall) this.entries = [];
      else this.entries = this.entries.filter((entry) => entry.index > write.snapshot.index);
      return;
    }
    this.hardState = write.hardState;
    const first = write.entries[0];
    if (first === undefined) return;
    if (this.entries.length === 0 || first.index <= this.firstIndex) this.entries = [];
    else if (!this.#bugs.losesTruncation) this.entries.length = first.index - this.firstIndex;
    else if (this.entries.at(-1)!.index >= first.index) {
      for (const entry of write.entries) this.entries[entry.index - this.firstIndex] = entry;
      return;
    }
    this.entries.push(...write.entries);
  }
}
