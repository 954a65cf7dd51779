// What a log is made of, and what of a member outlives a crash. Shared by every file of the core and by its driver.
// Entries are never changed after they were made; `data` belongs to the core from the moment it is handed over.

import type { Membership } from './membership.js';

/** 1 up to 2^32 - 1, unique for ever: a removed member never comes back under the same id. */
export type NodeId = number;

export const NODE_ID_MAX: number = 2 ** 32 - 1;

/** `noop` starts a term and is empty; `config` holds an encoded Membership; `normal` is the user's. */
export type EntryKind = 'normal' | 'noop' | 'config';

export interface Entry {
  /** From 1, without gaps. */
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What must be durable besides entries. `commit` may lag behind: it only shortens the way back after a restart. */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId | null;
  /** Known to be committed, and in what was given to be kept before: a restart may hand out so much at once. */
  readonly commit: number;
}

/** A snapshot without its bytes: those stay with the driver, which finds them by index and term. */
export interface SnapshotMeta {
  /** The last entry whose effect is in it. */
  readonly index: number;
  readonly term: number;
  /** In force at `index`. */
  readonly membership: Membership;
  readonly byteCount: number;
}

/** What storage found at a start. */
export interface RestoredState {
  readonly hardState: HardState;
  /** Newest snapshot; before the first one `bootstrap()` gives the one at index 0. */
  readonly snapshot: SnapshotMeta;
  /** In order, without gaps; may begin before the snapshot's index (trailing entries) or right behind it. */
  readonly entries: readonly Entry[];
  /** What the state machine already holds, if it keeps its state itself. Default: the snapshot's index. */
  readonly appliedIndex?: number;
}

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Counted per entry besides its data, on the wire, in memory and in every limit. */
export const ENTRY_OVERHEAD_BYTES = 24;

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}
