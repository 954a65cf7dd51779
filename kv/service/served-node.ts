// What the service needs of the member it speaks for: a Backend, and of one that runs in a cluster what operators ask for.
// KvNode has all of it; what a backend lacks is answered as not implemented.

import type { Backend, BackendStatus } from '../backend.js';
import type { KvError } from '../errors.js';

export interface ServedMember {
  readonly id: number;
  readonly rpc: string;
  readonly resp: string;
}

/** How far a member's log is known to be the leader's, and durable. */
export interface MemberMatch {
  readonly id: number;
  readonly index: number;
}

/** A snapshot that was taken. */
export interface TakenSnapshot {
  readonly index: number;
  readonly term: number;
  /** Of its content. */
  readonly bytes: number;
}

export interface ServedStatus extends BackendStatus {
  readonly clusterId?: number;
  readonly firstIndex?: number;
  readonly lastIndex?: number;
  readonly snapshotIndex?: number;
  readonly logBytes?: number;
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  readonly members?: readonly ServedMember[];
  readonly matches?: readonly MemberMatch[];
}

export type ControlDone = (error: KvError | null) => void;

export interface ServedNode extends Backend {
  status(): ServedStatus;
  /** The leader's id, cheap to ask for; null: none is known. */
  readonly leader?: number | null;
  /** The machine is another one, and changes in between were not told. */
  onReplaced?(listener: () => void): () => void;
  /** Takes a member in, or tells where one is now. */
  addMember?(member: ServedMember, isLearner: boolean, done: ControlDone): void;
  removeMember?(id: number, done: ControlDone): void;
  changeMembers?(changes: readonly { type: 'add-voter'; id: number }[], done: ControlDone): void;
  /** `to` null: the node's choice. */
  transfer?(to: number | null, done: ControlDone): void;
  snapshotNow?(): Promise<TakenSnapshot>;
}
