// `reactor-net kv status`, `member`, `move` and the other commands of an operator: their flags and operands.
// kv-admin.ts, kv-member.ts and kv-backup.ts carry them out.

import { type ArgsContext, type Command, type CommandSpec, declareCommand } from './command-spec.js';
import { type FlagTable, readCount, readSwitch, readText, UsageError } from './flags.js';
import { checkKvTarget, KV_TARGET_FLAGS, type KvTargetFlags } from './kv-client-flags.js';
import { readCluster, readHostPort } from './kv-serve-command.js';

const MEMBERS = 'Members:';
const FILES = 'Files:';
const ID_MAX = 2 ** 32 - 1;

interface MemberFlags extends KvTargetFlags {
  resp: string;
  voter: boolean;
  stale: boolean;
}
interface MoveFlags extends KvTargetFlags {
  from: number;
  to: string | null;
  resp: string;
}
interface BackupFlags extends KvTargetFlags {
  member: string | null;
}
interface RestoreFlags {
  id: number;
  cluster: ReadonlyMap<number, string> | null;
  clusterId: number | null;
  data: string | null;
  json: boolean;
}

export type KvStatusOptions = KvTargetFlags & { readonly verb: 'status' };
export type KvMemberOptions = MemberFlags & { readonly verb: 'member' } & (
    | { readonly action: 'list' }
    | { readonly action: 'add'; readonly id: number; readonly address: string }
    | { readonly action: 'promote' | 'remove'; readonly id: number }
  );
export type KvMoveOptions = Omit<MoveFlags, 'to'> & {
  readonly verb: 'move';
  readonly to: { readonly id: number; readonly address: string };
};
export type KvTransferOptions = KvTargetFlags & { readonly verb: 'transfer'; readonly to: number };
export type KvSnapshotOptions = KvTargetFlags & { readonly verb: 'snapshot' };
export type KvCheckOptions = KvTargetFlags & { readonly verb: 'check' };
export type KvBackupOptions = BackupFlags & { readonly verb: 'backup'; readonly file: string };
export type KvRestoreOptions = Omit<RestoreFlags, 'cluster' | 'data'> & {
  readonly verb: 'restore';
  readonly file: string;
  readonly cluster: ReadonlyMap<number, string>;
  readonly data: string;
};
export type KvAdminOptions =
  | KvStatusOptions
  | KvMemberOptions
  | KvMoveOptions
  | KvTransferOptions
  | KvSnapshotOptions
  | KvCheckOptions
  | KvBackupOptions
  | KvRestoreOptions;

/** Members copy what there is before they vote. */
const LONG: typeof KV_TARGET_FLAGS = {
  ...KV_TARGET_FLAGS,
  timeoutMs: { ...KV_TARGET_FLAGS.timeoutMs, fallback: 60_000, fallbackText: '60s' },
};

const RESP = {
  flag: 'resp',
  value: 'H:P',
  group: MEMBERS,
  summary: 'where clients of the Redis protocol reach the new member',
  read: readHostPort,
  fallback: '',
};

const MEMBER_FLAGS: FlagTable<MemberFlags> = {
  resp: RESP,
  voter: {
    flag: 'voter',
    group: MEMBERS,
    summary: 'with add: it votes as soon as it may, without promote',
    read: readSwitch,
    fallback: false,
  },
  stale: {
    flag: 'stale',
    group: MEMBERS,
    summary: 'with list: as the asked member has it, also without a leader',
    read: readSwitch,
    fallback: false,
  },
  ...LONG,
};

const MOVE_FLAGS: FlagTable<MoveFlags> = {
  from: {
    flag: 'from',
    value: 'ID',
    group: MEMBERS,
    summary: 'the member that leaves',
    read: readCount(1, ID_MAX),
    fallback: 0,
    fallbackText: 'must be given',
  },
  to: {
    flag: 'to',
    value: 'ID=H:P',
    group: MEMBERS,
    summary: 'the member that takes its place: a new id, and its RPC address, where kv serve --join runs',
    read: readText,
    fallback: null,
    fallbackText: 'must be given',
  },
  resp: RESP,
  ...LONG,
};

const BACKUP_FLAGS: FlagTable<BackupFlags> = {
  member: {
    flag: 'member',
    value: 'H:P',
    group: MEMBERS,
    summary: 'the member whose state it is',
    read: readHostPort,
    fallback: null,
    fallbackText: 'any of the endpoints',
  },
  ...KV_TARGET_FLAGS,
};

const RESTORE_FLAGS: FlagTable<RestoreFlags> = {
  data: {
    flag: 'data',
    value: 'DIR',
    group: FILES,
    summary: 'an empty folder, or one to be made, for kv serve --data',
    read: readText,
    fallback: null,
    fallbackText: 'must be given',
  },
  id: {
    flag: 'id',
    value: 'N',
    group: MEMBERS,
    summary: 'the member whose folder it is',
    read: readCount(1, ID_MAX),
    fallback: 0,
    fallbackText: 'must be given',
  },
  cluster: {
    flag: 'cluster',
    value: '1=H:P,2=H:P,…',
    group: MEMBERS,
    summary: 'RPC addresses of the members of the new cluster, the same for each of them',
    read: readCluster,
    fallback: null,
    fallbackText: 'must be given',
  },
  clusterId: {
    flag: 'cluster-id',
    value: 'N',
    group: MEMBERS,
    summary: 'number that the members show each other',
    read: readCount(1, Number.MAX_SAFE_INTEGER),
    fallback: null,
    fallbackText: 'made of the backup and --cluster',
  },
  json: KV_TARGET_FLAGS.json,
};

export const KV_ADMIN_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['kv', 'status'],
    summary: 'what each endpoint says of itself; exit code 3 where none answers',
    flags: KV_TARGET_FLAGS,
    complete: (flags, _operands, context) => command({ ...flags, verb: 'status' }, context),
  }),
  declareCommand({
    words: ['kv', 'member'],
    summary: 'list the members, add, promote or remove one',
    flags: MEMBER_FLAGS,
    operands: { name: 'ACTION', summary: 'list, add ID=H:P, promote ID or remove ID' },
    complete: (flags, operands, context) => command(memberOptions(flags, operands), context),
  }),
  declareCommand({
    words: ['kv', 'move'],
    summary: 'replace a member: take the new one in, let it catch up and vote, take the old one out',
    flags: MOVE_FLAGS,
    complete: (flags, _operands, context) => {
      if (flags.from === 0) throw new UsageError('--from: name the member that leaves, such as --from 3');
      if (flags.to === null) throw new UsageError('--to: name the new member, such as --to 4=10.0.0.4:7501');
      const to = readMember('--to', flags.to);
      if (to.id === flags.from) throw new UsageError('--to: needs a new id; ids are never used again');
      return command({ ...flags, verb: 'move', to }, context);
    },
  }),
  declareCommand({
    words: ['kv', 'transfer'],
    summary: 'hand the leadership over',
    flags: KV_TARGET_FLAGS,
    operands: { count: 'optional', name: 'ID', summary: 'the member to lead; without, the leader chooses' },
    complete: (flags, [id], context) =>
      command({ ...flags, verb: 'transfer', to: id === undefined ? 0 : readId(id) }, context),
  }),
  declareCommand({
    words: ['kv', 'snapshot'],
    summary: 'have each endpoint write a snapshot now',
    flags: LONG,
    complete: (flags, _operands, context) => command({ ...flags, verb: 'snapshot' }, context),
  }),
  declareCommand({
    words: ['kv', 'check'],
    summary: 'compare the whole state of all members at one entry of the log; exit code 1 where they differ',
    flags: LONG,
    complete: (flags, _operands, context) => command({ ...flags, verb: 'check' }, context),
  }),
  declareCommand({
    words: ['kv', 'backup'],
    summary: 'write the state of a member into a file',
    flags: BACKUP_FLAGS,
    operands: { count: 'one', name: 'FILE', summary: 'to be written' },
    complete: (flags, [file = ''], context) => command({ ...flags, verb: 'backup', file }, context),
  }),
  declareCommand({
    words: ['kv', 'restore'],
    summary: 'make the data folder of a member of a new cluster from a backup',
    flags: RESTORE_FLAGS,
    operands: { count: 'one', name: 'FILE', summary: 'that kv backup wrote' },
    complete: (flags, [file = '']) => {
      const { id, cluster, data } = flags;
      if (data === null) throw new UsageError('--data: name the folder to be made');
      if (id === 0) throw new UsageError('--id: whose folder is it? Such as --id 1');
      if (cluster === null)
        throw new UsageError('--cluster: name the members, such as --cluster 1=10.0.0.1:7501');
      if (!cluster.has(id))
        throw new UsageError(`--cluster: has no address for member ${id}, which --id names`);
      return { kind: 'kv', options: { ...flags, verb: 'restore', file, cluster, data } };
    },
  }),
];

function command(options: Exclude<KvAdminOptions, KvRestoreOptions>, context: ArgsContext): Command {
  checkKvTarget(options, context);
  return { kind: 'kv', options };
}

function memberOptions(
  flags: MemberFlags,
  [action = '', operand, ...rest]: readonly string[],
): KvMemberOptions {
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is not expected here`);
  if (flags.voter && action !== 'add') throw new UsageError('--voter: is for add');
  if (flags.resp !== '' && action !== 'add') throw new UsageError('--resp: is for add');
  switch (action) {
    case 'list':
      if (operand !== undefined) throw new UsageError(`"${operand}" is not expected here`);
      return { ...flags, verb: 'member', action };
    case 'add':
      if (operand === undefined) throw new UsageError('add: name the member, such as add 4=10.0.0.4:7501');
      return { ...flags, verb: 'member', action, ...readMember('add', operand) };
    case 'promote':
    case 'remove':
      if (operand === undefined) throw new UsageError(`${action}: name the member, such as ${action} 4`);
      return { ...flags, verb: 'member', action, id: readId(operand) };
    default:
      throw new UsageError(`"${action}" should be list, add, promote or remove`);
  }
}

function readId(text: string): number {
  return readCount(1, ID_MAX)(text);
}

function readMember(where: string, text: string): { id: number; address: string } {
  try {
    const [[id, address] = [0, ''], ...others] = [...readCluster(text)];
    if (others.length === 0) return { id, address };
    throw new UsageError('one member at a time');
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${where}: ${error.message}`) : error;
  }
}
