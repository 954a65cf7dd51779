// The rules of every part of a member in one place, for tests that break one of them; the product never passes others.

import { type Rules, RULES } from '../raft/index.js';
import { WAL_RULES, type WalRules } from '../wal/wal-rules.js';
import type { Proposals } from './proposals.js';

export interface NodeRules {
  readonly raft: Rules;
  readonly wal: WalRules;
  /** The sequence of the batch of ours that an applied entry answers; null: none. */
  answered(
    proposals: Proposals,
    origin: number,
    boot: number,
    sequence: number,
    index: number,
  ): number | null;
}

export const NODE_RULES: NodeRules = {
  raft: RULES,
  wal: WAL_RULES,
  answered: (proposals, origin, boot, sequence) =>
    proposals.wants(origin, boot, sequence) ? sequence : null,
};
