// The door of the KV layer: re-exports only.
// `KvServer` is a member as a process has it, `KvNode` the same without clock, disk and network; below them are the parts.
export * from './errors.js';
export { keyFromBytes, keyFromText, keyToBytes, prefixEnd } from './key.js';
export { SkipList, type SkipListMemory, type SkipListOptions } from './skip-list.js';
export type { Entry, Page, PageOptions, Range } from './skip/range.js';
export type { SnapshotView } from './skip/snapshot-view.js';
export { DiskFiles } from './wal/disk-files.js';
export type { LogEntry, LogEntryKind, LogHardState, LogPosition, LogWrite } from './wal/log-image.js';
export type { TornTail } from './wal/recovery.js';
export type { LogOwner } from './wal/segment.js';
export { type Completion, type RecoveredLog, Wal, type WalState, type WalStats } from './wal/wal.js';
export type { WalFile, WalFiles } from './wal/wal-files.js';
export type { WalOptions } from './wal/wal-options.js';
export { type NewestSnapshot, SnapshotFiles, type SnapshotFilesOptions } from './wal/snapshot-files.js';
export type { SnapshotInfo, SnapshotWriter } from './wal/snapshot-writer.js';
export { failureOf, type ToldFailure } from './service/failures.js';
export { KvService, type KvServiceOptions } from './service/kv-service.js';
export type { ServedNode } from './service/served-node.js';
export {
  type Alarm,
  Machine,
  type MachineOptions,
} from './machine/machine.js';
export { BatchWriter, type EncodedItems, ItemWriter, type Origin, type Watch } from './machine/batch.js';
export type {
  Change,
  ChangeHistory,
  ChangeHistoryOptions,
  ChangeKind,
  ChangeSet,
} from './machine/changes.js';
export * from './machine/reply.js';
export { type Backend, type BackendStatus, type Done, type ReadDone } from './backend.js';
export { KvNode, type NodeFigures, type NodeParts, type NodeStatus } from './node/kv-node.js';
export type { MemberAddress } from './node/member-list.js';
export { type NodeClock, systemClock } from './node/node-clock.js';
export type { KvNodeOptions } from './node/node-options.js';
export type { PeerFigures, PeerReceiver, PeerTransport } from './peer/peer-transport.js';
export { type KvAddresses, type KvFront, type KvParts, KvServer } from './kv-server.js';
export { ANY_CERTIFICATE, type KvAddress, type KvServerOptions } from './kv-server-options.js';
export { AccessList, type UserEntry } from './resp/access-list.js';
export type { RaftAdmin, RaftMemberInfo } from './resp/raft-admin.js';
export type { RespServerOptions } from './resp/resp-options.js';
export { RespServer, type RespSnapshot } from './resp/resp-server.js';
export type { ClerkAdmin, ClusterMember, MemberStatus, StateHash } from './client/admin.js';
export {
  Clerk,
  mayHaveRun,
  type Answered,
  type ReadName,
  type ReadOptions,
  type RequestOptions,
} from './client/clerk.js';
export type { ClerkOptions } from './client/clerk-options.js';
export { backoffMs, judge, MemberChoice, type Repetition, type Verdict } from './client/clerk-policy.js';
export { Lease, type LeaseOptions } from './client/lease.js';
export {
  type CasAnswer,
  type Comparison,
  type DeleteAnswer,
  type Expected,
  type KeySpan,
  op,
  type Operation,
  type PutAnswer,
  type PutOptions,
  type RangeAnswer,
  type RangeOptions,
  type SequentialAnswer,
  when,
} from './client/operations.js';
export { type BytesLike, KvPair } from './client/pair.js';
export { ClerkTree, type CreateOptions, type TreeChild } from './client/tree.js';
export { Txn, type TxnAnswer } from './client/txn.js';
export {
  type KvEvent,
  ClerkWatch,
  type WatchBatch,
  type WatchOptions as KvWatchOptions,
  type WatchTarget,
} from './client/watch.js';
export { KvClient } from './proto/kv.js';
export { Barrier, DoubleBarrier } from './recipes/barrier.js';
export { Election, type Leader as ElectedLeader, type Leadership } from './recipes/election.js';
export { type Held, Lock } from './recipes/lock.js';
export { Semaphore } from './recipes/semaphore.js';
export type { TurnOptions, WaitOptions as RecipeWaitOptions } from './recipes/turn.js';
export { type BackupFacts, type BackupSeal, readBackup, writeBackup } from './client/backup-file.js';
export { type Restored, type RestoreOptions, restoreMember } from './client/restore.js';
export { type KvRegistryParts, KvRegistryStore } from './registry/kv-registry-store.js';
