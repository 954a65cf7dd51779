// Bugs that other Raft implementations had, each one rule of kv/raft/rules.ts or of the disk broken. The swarm has to
// notice every one of them: what it does not notice it cannot vouch for. Numbers are those of the list they come from.

import { quorumValue, voteOutcome } from '../../../../kv/raft/quorum.js';
import { type Rules, RULES } from '../../../../kv/raft/rules.js';
import type { DiskBugs } from './sim-disk.js';
import { runSwarm, type SwarmResult } from './swarm.js';

export interface Mutation {
  readonly name: string;
  /** Needs more than a hundred seeds, up to 1,000: left to the script. */
  readonly isRare?: boolean;
  readonly rules?: Partial<Rules>;
  readonly bugs?: DiskBugs;
}

export const MUTATIONS: readonly Mutation[] = [
  { name: '1 entries are acknowledged before they are durable', rules: { ackRestsOn: () => 'term' } },
  {
    name: '2 entries of earlier terms are committed by counting',
    isRare: true,
    rules: { mayCommit: () => true },
  },
  { name: '3 the vote is forgotten at a restart', isRare: true, bugs: { forgetsVote: true } },
  {
    name: '4 logs are compared by length and term together',
    rules: {
      isUpToDate: (theirs, ours) => !(ours.index > theirs.index && ours.term > theirs.term),
    },
  },
  { name: '5 votes of an earlier election count', rules: { freshVotes: (old) => old } },
  {
    name: '6 the middle of unsorted progress is taken for the majority',
    rules: {
      quorum: (membership, valueOf) =>
        membership.outgoing.length > 0
          ? quorumValue(membership, valueOf)
          : membership.voters.map(valueOf)[Math.floor((membership.voters.length - 1) / 2)]!, // a voter
    },
  },
  { name: '7 reads are served before an entry of the term is committed', rules: { mayRead: () => true } },
  { name: '8 a lease outlives a transfer', isRare: true, rules: { leaseSurvivesTransfer: () => true } },
  { name: '11 an older snapshot is installed', rules: { isSnapshotNews: () => true } },
  { name: '12 log that a snapshot replaced stays on disk', isRare: true, bugs: { keepsLogAtInstall: true } },
  {
    name: '13 the quorum of a joint configuration is the new half alone',
    rules: {
      quorum: (membership, valueOf) => quorumValue({ ...membership, outgoing: [] }, valueOf),
      votes: (membership, votes) => voteOutcome({ ...membership, outgoing: [] }, votes),
    },
  },
  {
    name: '14 a write that comes back speaks for entries that replaced its own',
    rules: { truncationRevokesWrites: () => false },
  },
  {
    name: '17 a joint configuration is left before it is committed',
    rules: { mayLeaveJoint: (membership) => membership.outgoing.length > 0 },
  },
  {
    name: '18 any answer to a heartbeat confirms a read',
    isRare: true,
    rules: { confirmedRound: (_, latest) => latest },
  },
  {
    name: '21 an empty append is acknowledged beyond what is durable',
    rules: { ackRestsOn: (entryCount) => (entryCount === 0 ? 'term' : 'log') },
  },
  {
    name: '24 a leader counts entries of its own that are not durable',
    rules: { ownMatch: (_, last) => last },
  },
  { name: 'a voter votes twice in a term', rules: { mayVote: () => true } },
  { name: 'a vote leaves before it is durable', rules: { voteRestsOn: () => 'nothing' } },
  {
    name: 'a follower commits beyond what was compared',
    rules: { followerCommit: (leaderCommit) => leaderCommit },
  },
  { name: 'an append cuts off what follows it', rules: { keepsLongerLog: () => false } },
  { name: 'replaced entries stay on disk behind their replacement', bugs: { losesTruncation: true } },
];

/** The first seed, from `firstSeed` on, whose run shows the bug; null if none of `seedCount` does. */
export function catchMutation(
  mutation: Mutation,
  seedCount: number,
  eventCount: number,
  firstSeed: number = 1,
): SwarmResult | null {
  const rules = { ...RULES, ...mutation.rules };
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const result = runSwarm({ seed, eventCount, rules, bugs: mutation.bugs ?? {} });
    if (result.failure !== null) return result;
  }
  return null;
}
