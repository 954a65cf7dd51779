// The door of kv/raft: a Raft member as a pure state machine, to be put under a state machine of your own.
// A library for now: there is no server and no command behind it yet. docs/raft.md is its manual.

export { RaftCore } from './core.js';
export type { MemberStatus, RaftStatus } from './core.js';
export type * from './effects.js';
export { EMPTY, ENTRY_OVERHEAD_BYTES, entryBytes, NODE_ID_MAX } from './entry.js';
export type { Entry, EntryKind, HardState, NodeId, RestoredState, SnapshotMeta } from './entry.js';
export { RaftError } from './errors.js';
export type { RaftErrorCode } from './errors.js';
export {
  decodeMembership,
  encodeMembership,
  isJoint,
  isVoter,
  membersOf,
  membershipOf,
} from './membership.js';
export type { ConfigChange, ConfigTransition, Membership } from './membership.js';
export { checkMessage } from './message.js';
export type * from './message.js';
export type { RaftOptions } from './options.js';
export { bootstrap } from './restored-state.js';
export { type Rules, RULES } from './rules.js';
