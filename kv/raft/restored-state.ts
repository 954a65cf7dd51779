// What storage brings back at a start, checked before a core believes it. Called by core.ts's constructor. Pure.

import { type Entry, type HardState, type RestoredState, type SnapshotMeta } from './entry.js';
import { RaftError } from './errors.js';
import { checkNodeId, type Membership, membershipOf } from './membership.js';
import { checkEntries, checkSnapshot, isCount } from './message.js';

export interface CheckedState {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  /** Behind `offset`. */
  readonly entries: readonly Entry[];
  readonly offset: { readonly index: number; readonly term: number };
  readonly commit: number;
  readonly applied: number;
}

/**
 * What a member that never ran restores. The first members of a cluster all give the same membership; one that joins
 * later gives an empty one and learns the rest from the leader.
 */
export function bootstrap(membership: Membership = membershipOf([])): RestoredState {
  return {
    hardState: { term: 0, vote: null, commit: 0 },
    snapshot: { index: 0, term: 0, membership, byteCount: 0 },
    entries: [],
  };
}

/** @throws RaftError KV_RAFT_STATE_INVALID */
export function checkRestored(restored: RestoredState): CheckedState {
  const { hardState, snapshot } = restored;
  try {
    checkSnapshot(snapshot);
    const first = restored.entries[0];
    const before = first?.index ?? 1;
    checkEntries(restored.entries, before - 1, 0, hardState.term);
    if (hardState.vote !== null) checkNodeId(hardState.vote);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  if (!isCount(hardState.term) || !isCount(hardState.commit)) throw invalid('the hard state holds no counts');
  if (snapshot.term > hardState.term) throw invalid('the snapshot is of a later term than the hard state');
  const { offset, entries } = joined(snapshot, restored.entries);
  const lastIndex = offset.index + entries.length;
  const applied = restored.appliedIndex ?? snapshot.index;
  if (!isCount(applied) || applied < snapshot.index || applied > lastIndex) {
    throw invalid(`entry ${applied} cannot be applied: there are ${snapshot.index} to ${lastIndex}`);
  }
  const commit = Math.max(Math.min(hardState.commit, lastIndex), snapshot.index, applied);
  return { hardState, snapshot, entries, offset, commit, applied };
}

/** Entries that stop before the snapshot or disagree with it were replaced by it. */
function joined(snapshot: SnapshotMeta, entries: readonly Entry[]): Pick<CheckedState, 'offset' | 'entries'> {
  const atSnapshot = { index: snapshot.index, term: snapshot.term };
  const first = entries[0];
  if (first === undefined) return { offset: atSnapshot, entries: [] };
  if (first.index > snapshot.index + 1) {
    throw invalid(
      `the log begins at ${first.index}, the snapshot ends at ${snapshot.index}: entries are missing`,
    );
  }
  if (first.index === snapshot.index + 1) {
    if (first.term < snapshot.term)
      throw invalid('the log behind the snapshot is of an earlier term than it');
    return { offset: atSnapshot, entries };
  }
  const twin = entries[snapshot.index - first.index];
  if (twin === undefined || twin.term !== snapshot.term) return { offset: atSnapshot, entries: [] };
  if (first.index === 1) return { offset: { index: 0, term: 0 }, entries };
  return { offset: { index: first.index, term: first.term }, entries: entries.slice(1) };
}

function invalid(message: string): RaftError {
  return new RaftError('KV_RAFT_STATE_INVALID', message);
}
