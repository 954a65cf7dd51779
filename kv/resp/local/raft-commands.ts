// Commands that only this server has: how the Raft group is, and who shall lead it.

import { ErrorReply, MapReply, OK, type Reply } from '../../machine/reply.js';
import type { LocalCommand } from '../command-set.js';
import type { RespClient } from '../resp-client.js';

const NOT_OFFERED = new ErrorReply('ERR this server does not offer it');
const HERE = { inTransaction: 'refuse' } as const;

export const raftCommands: readonly LocalCommand[] = [
  { name: 'raft.status', arity: 1, run: status, summary: 'Role, leader, term and indexes of this member' },
  { name: 'raft.members', arity: 1, run: members, summary: 'Members with their addresses' },
  { name: 'raft.transfer', arity: 2, run: transfer, ...HERE, summary: 'Makes another member the leader' },
  { name: 'raft.snapshot', arity: 1, run: snapshot, ...HERE, summary: 'Writes a snapshot and waits for it' },
];

function status({ shared }: RespClient): Reply {
  const fields = Object.entries(shared.backend.status());
  return new MapReply(
    fields.flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'string' || typeof value === 'number' ? [name, value] : [],
    ),
  );
}

function members({ shared }: RespClient): Reply {
  if (shared.admin === null) return NOT_OFFERED;
  return shared.admin
    .members()
    .map(
      ({ id, address, isLearner }) =>
        new MapReply(['id', id, 'address', address, 'learner', isLearner ? 1 : 0]),
    );
}

function transfer({ shared }: RespClient, args: readonly string[]): Reply | Promise<Reply> {
  if (shared.admin === null) return NOT_OFFERED;
  if (!/^\d{1,10}$/.test(args[1]!)) return new ErrorReply('ERR value is not an integer or out of range');
  return shared.admin.transfer(Number(args[1])).then(() => OK);
}

function snapshot({ shared }: RespClient): Reply | Promise<Reply> {
  if (shared.admin === null) return NOT_OFFERED;
  return shared.admin.snapshotNow().then(() => OK);
}
