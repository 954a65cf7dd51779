// What the protocols (kv/resp, kv/service) need of a member: submit writes, ask for fresh reads, look at the machine.
// KvNode is one; tests have another that applies at once.

import type { KvError } from './errors.js';
import type { EncodedItems } from './machine/batch.js';
import type { ChangeSet } from './machine/changes.js';
import type { Machine } from './machine/machine.js';
import type { Reply } from './machine/reply.js';

export type { EncodedItems } from './machine/batch.js';

/** With an error: the replies are null. KV_OUTCOME_UNKNOWN: the items may have been executed, or may be later. */
export type Done = (error: KvError | null, replies: readonly Reply[] | null) => void;
export type ReadDone = (error: KvError | null) => void;

/** What every backend can say of itself; KvNode says more. */
export interface BackendStatus {
  /** This member's id. */
  readonly id: number;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  /** The leader's id, 0 when there is none. */
  readonly leader: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
}

export interface Backend {
  /** Replaced as a whole when a snapshot is installed: do not keep it. */
  readonly machine: Machine;
  /** Executes items through the log, on any member; called back once they were applied here, one reply per item. */
  submit(items: EncodedItems, done: Done, timeoutMs?: number): void;
  /** Called back when `machine` is fresh enough for a linearizable read, which must then be made at once. */
  read(done: ReadDone, timeoutMs?: number): void;
  status(): BackendStatus;
  /** After each command that changed something here. Gives the function that ends it. */
  onChanges(listener: (changes: ChangeSet) => void): () => void;
  /**
   * Every PUBLISH that the log brings, on every member, within its application: the listener delivers it to those who
   * listen here and says how many they were. One listener at a time. Gives the function that ends it.
   */
  onPublish(listener: PublishListener): () => void;
}

export type PublishListener = (channel: string, message: string) => number;
