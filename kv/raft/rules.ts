// The rules on which safety rests, one function each. core.ts asks here before it votes, commits, acknowledges, reads.
// They stand apart so that tests can break one at a time and see the simulator catch it; the product never passes others.

import type { NodeId } from './entry.js';
import type { Membership } from './membership.js';
import { isJoint } from './membership.js';
import { quorumValue, voteOutcome, type VoteOutcome } from './quorum.js';

export interface Rules {
  /** Raft 5.4.1: a voter refuses a candidate whose log is behind its own. */
  isUpToDate(theirs: LogEnd, ours: LogEnd): boolean;
  /** One vote a term. */
  mayVote(vote: NodeId | null, candidate: NodeId): boolean;
  /** Raft 5.4.2: only entries of its own term are committed by counting. */
  mayCommit(entryTerm: number, term: number): boolean;
  /** What a leader's own log counts for: what is durable. */
  ownMatch(durableIndex: number, lastIndex: number): number;
  /** What an acknowledgement of entries has to wait for. */
  ackRestsOn(entryCount: number): 'log' | 'term';
  /** What a granted vote has to wait for. */
  voteRestsOn(): 'term' | 'nothing';
  quorum(membership: Membership, valueOf: (id: NodeId) => number): number;
  votes(membership: Membership, votes: ReadonlyMap<NodeId, boolean>): VoteOutcome;
  /** A follower knows its log to be the leader's only up to the end of what it was just sent. */
  followerCommit(leaderCommit: number, lastChecked: number): number;
  /**
   * A write may be torn behind its hard state: what that calls committed must not be found where the write's own entries
   * were to replace others. `savedIndex` is how far the log reaches that earlier writes hold.
   */
  savedCommit(commit: number, savedIndex: number): number;
  /** Replacing entries takes the word of writes under way about them. */
  truncationRevokesWrites(): boolean;
  /** Entries are dropped where they conflict, not wherever an append ends. */
  keepsLongerLog(): boolean;
  /** Raft 6.4 of the thesis: a leader knows what is committed once it committed an entry of its own term. */
  mayRead(hasCommittedInTerm: boolean): boolean;
  /** A heartbeat's answer confirms the rounds up to its own, no later ones. */
  confirmedRound(answered: number, latest: number): number;
  /** A transfer lets voters forget a live leader: from then on there is no lease in this term. */
  leaseSurvivesTransfer(): boolean;
  /** A member that goes on before what the log holds is sent a snapshot, also when the log holds nothing at all. */
  needsSnapshot(isInLog: boolean, isLogEmpty: boolean): boolean;
  /** A snapshot that is not ahead of what is committed here is not taken. */
  isSnapshotNews(snapshotIndex: number, commitIndex: number): boolean;
  /** A joint configuration is left only once it is committed. */
  mayLeaveJoint(membership: Membership, isCommitted: boolean): boolean;
  /** Votes of an earlier election do not count. */
  freshVotes(old: Map<NodeId, boolean>): Map<NodeId, boolean>;
}

export interface LogEnd {
  readonly index: number;
  readonly term: number;
}

export const RULES: Rules = {
  isUpToDate: (theirs, ours) =>
    theirs.term > ours.term || (theirs.term === ours.term && theirs.index >= ours.index),
  mayVote: (vote, candidate) => vote === null || vote === candidate,
  mayCommit: (entryTerm, term) => entryTerm === term,
  ownMatch: (durableIndex) => durableIndex,
  ackRestsOn: () => 'log',
  voteRestsOn: () => 'term',
  quorum: quorumValue,
  votes: voteOutcome,
  followerCommit: (leaderCommit, lastChecked) => Math.min(leaderCommit, lastChecked),
  savedCommit: (commit, savedIndex) => Math.min(commit, savedIndex),
  truncationRevokesWrites: () => true,
  keepsLongerLog: () => true,
  mayRead: (hasCommittedInTerm) => hasCommittedInTerm,
  confirmedRound: (answered) => answered,
  leaseSurvivesTransfer: () => false,
  needsSnapshot: (isInLog) => !isInLog,
  isSnapshotNews: (snapshotIndex, commitIndex) => snapshotIndex > commitIndex,
  mayLeaveJoint: (membership, isCommitted) => isJoint(membership) && membership.autoLeave && isCommitted,
  freshVotes: () => new Map(),
};
