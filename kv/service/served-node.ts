// What the service needs of the member it speaks for: a Backend, and of one that runs in a cluster what operators ask for.
// KvNode has all of it; what a backend lacks is answered as not implemented.

import type { Backend, BackendStatus } from '../backend.js';
import type { KvError } from '../errors.js';

export interface ServedMember {
  readonly id: number;
  readonly rpc: string;
  readonly resp: string;
}

export interface ServedStatus extends BackendStatus {
  readonly clusterId?: number;
  readonly lastIndex?: number;
  readonly snapshotIndex?: number;
  readonly logBytes?: number;
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  readonly members?: readonly ServedMember[];
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
  snapshotNow?(): Promise<void>;
}
