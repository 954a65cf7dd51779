// Bugs that other key-value stores had, each switched on in one part of a real member: its log, its files, its state
// machine, its driver. The swarm of whole members has to notice every one. Numbers are those of the list they come from;
// test/kv/raft/support/mutations.ts has those of the core.

import { NODE_RULES } from '../../../kv/node/node-rules.js';
import { RULES } from '../../../kv/raft/rules.js';
import { WAL_RULES } from '../../../kv/wal/wal-rules.js';
import { type PartsResult, runPartsSwarm } from './parts-swarm.js';
import type { MemberBugs } from './sim-member.js';

export interface PartsMutation {
  readonly name: string;
  /** Needs more than ten seeds: left to the script. */
  readonly isRare?: boolean;
  readonly bugs: MemberBugs;
}

const wal = (broken: Partial<typeof WAL_RULES>): MemberBugs => ({
  rules: { ...NODE_RULES, wal: { ...WAL_RULES, ...broken } },
});

const raft = (broken: Partial<typeof RULES>): MemberBugs => ({
  rules: { ...NODE_RULES, raft: { ...RULES, ...broken } },
});

export const PARTS_MUTATIONS: readonly PartsMutation[] = [
  { name: '9 sessions are left out of snapshots', bugs: { forgetsSessions: true } },
  { name: '10 keys expire by the local clock', bugs: { expiresByLocalClock: true } },
  { name: '15 a torn end of the log is taken for damage', isRare: true, bugs: wal({ isTorn: () => false }) },
  {
    name: '16 damage within the log is taken for a torn end',
    isRare: true,
    bugs: wal({ isTorn: () => true }),
  },
  {
    name: '19 a member that needs more than the log holds is not sent a snapshot once all of it is purged',
    isRare: true,
    bugs: raft({ needsSnapshot: (isInLog, isLogEmpty) => !isInLog && !isLogEmpty }),
  },
  {
    name: '20 a new segment goes on one entry too early',
    bugs: wal({ firstIndexAfter: (lastIndex) => Math.max(1, lastIndex) }),
  },
  {
    name: '22 an answer belongs to whoever proposed at its index',
    isRare: true,
    bugs: {
      rules: {
        ...NODE_RULES,
        answered: (proposals, _origin, _boot, _sequence, index) => proposals.stoodAt(index),
      },
    },
  },
  {
    name: '23 a write of a session that is over is executed again',
    isRare: true,
    bugs: { executesEvicted: true },
  },
  { name: '25 folders are not synced', bugs: { skipsFolderSync: true } },
  {
    name: 'a segment is removed that holds one entry too many',
    bugs: wal({ mayRemove: (indexMax, through) => indexMax <= through + 1 }),
    isRare: true,
  },
];

/** The first seed, from `firstSeed` on, whose run shows the bug; null if none of `seedCount` does. */
export function catchPartsMutation(
  mutation: PartsMutation,
  seedCount: number,
  eventCount: number,
  firstSeed: number = 1,
): PartsResult | null {
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const result = runPartsSwarm({ seed, eventCount, bugs: mutation.bugs });
    if (result.failure !== null) return result;
  }
  return null;
}
