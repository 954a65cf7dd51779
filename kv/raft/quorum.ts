// Majorities, of one configuration and of a joint one, where both halves must agree. Pure; core.ts asks through rules.ts.

import type { NodeId } from './entry.js';
import type { Membership } from './membership.js';

export type VoteOutcome = 'won' | 'lost' | 'pending';

/** The largest value that a majority of `voters` has reached; with no voters there is nothing to wait for. */
export function majorityValue(voters: readonly NodeId[], valueOf: (id: NodeId) => number): number {
  if (voters.length === 0) return Number.MAX_SAFE_INTEGER;
  const values = voters.map(valueOf).toSorted((a, b) => a - b);
  return values[values.length - 1 - Math.floor(values.length / 2)]!; // at least one voter
}

/** The largest value that every half of the membership has reached by majority. */
export function quorumValue(membership: Membership, valueOf: (id: NodeId) => number): number {
  const incoming = majorityValue(membership.voters, valueOf);
  return membership.outgoing.length === 0
    ? incoming
    : Math.min(incoming, majorityValue(membership.outgoing, valueOf));
}

export function voteOutcome(membership: Membership, votes: ReadonlyMap<NodeId, boolean>): VoteOutcome {
  const halves = [majorityVote(membership.voters, votes)];
  if (membership.outgoing.length > 0) halves.push(majorityVote(membership.outgoing, votes));
  if (halves.includes('lost')) return 'lost';
  return halves.includes('pending') ? 'pending' : 'won';
}

function majorityVote(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteOutcome {
  const needed = Math.floor(voters.length / 2) + 1;
  const granted = voters.filter((id) => votes.get(id) === true).length;
  const refused = voters.filter((id) => votes.get(id) === false).length;
  if (granted >= needed || voters.length === 0) return 'won';
  return voters.length - refused < needed ? 'lost' : 'pending';
}
