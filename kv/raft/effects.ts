// What the core asks of its driver. Every input of core.ts returns a list of these, to be carried out in order.
// The rules of each are in docs/raft.md; in short: `persist` and `install` form one queue and end in order, `apply`,
// `take-snapshot` and `install` form the state machine's queue, everything else is done at once.

import type { Entry, HardState, NodeId, SnapshotMeta } from './entry.js';
import type { RaftErrorCode } from './errors.js';
import type { Membership } from './membership.js';
import type { RaftMessage } from './message.js';

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

export type Effect =
  | PersistEffect
  | SendEffect
  | ApplyEffect
  | StoreChunkEffect
  | InstallEffect
  | TakeSnapshotEffect
  | CompactEffect
  | RoleEffect
  | MembershipEffect
  | ProposedEffect
  | ForwardedEffect
  | ForwardAnsweredEffect
  | ReadsReadyEffect
  | ReadsFailedEffect
  | TransferEffect;

/** Make it durable, then call `persisted(token)`. Entries replace what the log holds at their indexes and behind. */
export interface PersistEffect {
  readonly kind: 'persist';
  readonly token: number;
  readonly hardState: HardState;
  /** `hardState` has a new term or vote; else only `commit` may differ, which alone is no reason to write. */
  readonly hardStateChanged: boolean;
  readonly entries: readonly Entry[];
}

/** May be lost, delayed, doubled. A `snapshot` message gets its bytes from the driver. */
export interface SendEffect {
  readonly kind: 'send';
  readonly to: NodeId;
  readonly message: RaftMessage;
}

/** Committed entries, durable here, in order and each once per life; `noop` and `config` among them. */
export interface ApplyEffect {
  readonly kind: 'apply';
  readonly entries: readonly Entry[];
}

/** Keep `data` at `offset` of the snapshot that is being received; offset 0 begins anew. Then `persisted(token)`. */
export interface StoreChunkEffect {
  readonly kind: 'store-chunk';
  readonly token: number;
  readonly snapshot: SnapshotMeta;
  readonly offset: number;
  readonly data: Uint8Array;
}

/**
 * The received snapshot is complete: check it, make it durable, let the state machine hold it, and drop the whole log,
 * which goes on behind it. Then `persisted(token)`, or `installFailed(token)` if it is damaged.
 */
export interface InstallEffect {
  readonly kind: 'install';
  readonly token: number;
  readonly snapshot: SnapshotMeta;
}

/**
 * Take a snapshot of the state machine as it is now, at `index` or later; `describeSnapshot` says what else belongs into
 * it. Once it is durable `snapshotted(…)`, else `snapshotFailed()`.
 */
export interface TakeSnapshotEffect {
  readonly kind: 'take-snapshot';
  readonly index: number;
}

/** The log up to `index` is needed no more; may be carried out late. */
export interface CompactEffect {
  readonly kind: 'compact';
  readonly index: number;
  readonly term: number;
}

export interface RoleEffect {
  readonly kind: 'role';
  readonly role: Role;
  readonly term: number;
  readonly leader: NodeId | null;
  /** Why, when a leader ceased to be one; else null. */
  readonly reason: StepDownReason | null;
}

export type StepDownReason =
  | 'higher-term' // somebody else is or may be leader
  | 'quorum-lost' // no majority was heard for an election timeout
  | 'disk-stalled' // its own writes do not come back
  | 'removed' // the committed configuration has it no more
  | 'storage-failed';

export interface MembershipEffect {
  readonly kind: 'membership';
  readonly membership: Membership;
  readonly index: number;
  readonly committed: boolean;
}

/** `propose` was taken: the entries stand from `index` on. They count once they are applied with this very term. */
export interface ProposedEffect {
  readonly kind: 'proposed';
  readonly index: number;
  readonly term: number;
  readonly count: number;
}

/** `propose` went to the leader; a `forward-answered` with this id may follow, or nothing. */
export interface ForwardedEffect {
  readonly kind: 'forwarded';
  readonly to: NodeId;
  readonly id: number;
}

/** `index` 0: refused, surely not executed by this attempt. */
export interface ForwardAnsweredEffect {
  readonly kind: 'forward-answered';
  readonly id: number;
  readonly index: number;
  readonly term: number;
}

/** The state machine, as it is now, may answer these reads. */
export interface ReadsReadyEffect {
  readonly kind: 'reads-ready';
  readonly contexts: readonly unknown[];
  readonly index: number;
}

export interface ReadsFailedEffect {
  readonly kind: 'reads-failed';
  readonly contexts: readonly unknown[];
  readonly code: RaftErrorCode;
}

export interface TransferEffect {
  readonly kind: 'transfer';
  readonly to: NodeId;
  /** `ended`: this member leads no more (the role effect tells who does); `timed-out`: it goes on leading. */
  readonly outcome: 'ended' | 'timed-out' | 'replaced';
}
