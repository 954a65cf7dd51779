// Majorities against counting by hand, and configuration changes against their end.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ConfigChange,
  decodeMembership,
  encodeMembership,
  type Membership,
  membershipOf,
} from '../../../kv/raft/index.js';
import { changed, left } from '../../../kv/raft/membership.js';
import { quorumValue, voteOutcome } from '../../../kv/raft/quorum.js';
import { SeededRandom } from '../../support/seeded-random.js';

const SEED = Number(process.env['REACTOR_TEST_SEED'] ?? 1);
const IDS = [1, 2, 3, 4, 5, 6, 7];

function randomMembership(random: SeededRandom): Membership {
  const some = (): number[] => IDS.filter(() => random.chance(0.5));
  const voters = some();
  const membership = membershipOf(voters.length === 0 ? [1] : voters);
  return random.chance(0.5) ? membership : { ...membership, outgoing: some() };
}

test('what a quorum reached is what counting by hand finds', () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 2000; round += 1) {
    const membership = randomMembership(random);
    const match = new Map(IDS.map((id) => [id, random.integer(0, 9)]));
    const value = quorumValue(membership, (id) => match.get(id)!); // every id has one
    const isReached = (index: number): boolean =>
      [membership.voters, membership.outgoing].every(
        (half) => half.length === 0 || half.filter((id) => match.get(id)! >= index).length * 2 > half.length,
      );
    assert(isReached(value) && !isReached(value + 1), `seed ${SEED}, round ${round}`);
  }
});

test('an election is won, lost or open as counting by hand finds', () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 2000; round += 1) {
    const membership = randomMembership(random);
    const votes = new Map(IDS.filter(() => random.chance(0.7)).map((id) => [id, random.chance(0.5)]));
    const halves = [membership.voters, membership.outgoing].filter((half) => half.length > 0);
    const count = (half: readonly number[], vote: boolean | undefined): number =>
      half.filter((id) => votes.get(id) === vote).length;
    const isWon = halves.every((half) => count(half, true) * 2 > half.length);
    const canBeWon = halves.every((half) => (count(half, true) + count(half, undefined)) * 2 > half.length);
    const expected = isWon ? 'won' : canBeWon ? 'pending' : 'lost';
    assert.equal(voteOutcome(membership, votes), expected, `seed ${SEED}, round ${round}`);
  }
});

test('a joint change ends where the same changes one by one end', () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 2000; round += 1) {
    let simple = membershipOf([1, 2, 3], [4]);
    const changes: ConfigChange[] = [];
    for (const id of IDS.filter(() => random.chance(0.4))) {
      const isVoter = simple.voters.includes(id);
      const isLearner = simple.learners.includes(id);
      const type = random.pick(['add-voter', 'add-learner', 'remove']);
      const isPossible =
        type === 'add-voter' ? !isVoter : type === 'add-learner' ? !isLearner : isVoter || isLearner;
      const leavesVoters = simple.voters.length > 1 || !isVoter;
      if (!isPossible || !leavesVoters) continue;
      const change = { type, id } as ConfigChange; // one of the three
      changes.push(change);
      simple = changed(simple, [change], 'auto');
    }
    if (changes.length === 0) continue;
    const joint = changed(membershipOf([1, 2, 3], [4]), changes, 'joint');
    assert.deepEqual(left(joint), simple, `seed ${SEED}, round ${round}`);
    assert.deepEqual(decodeMembership(encodeMembership(joint)), joint);
  }
});
