// `reactor-net kv get`, `put` and the other commands on keys: their flags and operands. kv-client.ts carries them out.

import { type ArgsContext, type Command, type CommandSpec, declareCommand } from './command-spec.js';
import {
  type FlagTable,
  readChoice,
  readCount,
  readDuration,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import { checkKvTarget, KV_TARGET_FLAGS, type KvTargetFlags } from './kv-client-flags.js';

const KEYS = 'Keys and values:';
const SAFE_MAX = Number.MAX_SAFE_INTEGER;

interface TextFlags extends KvTargetFlags {
  hex: boolean;
}
interface ReadFlags extends TextFlags {
  level: 'linearizable' | 'lease' | 'stale';
}
interface ValueFlags extends TextFlags {
  file: string | null;
}
interface GetFlags extends ReadFlags {
  file: string | null;
}
interface PutFlags extends ValueFlags {
  ttlMs: number;
  lease: number;
  only: 'absent' | 'present' | null;
}
interface DelFlags extends TextFlags {
  prefix: boolean;
}
interface CasFlags extends ValueFlags {
  expect: string | null;
  expectVersion: number | null;
  expectRevision: number | null;
  expectAbsent: boolean;
  delete: boolean;
}
interface ScanFlags extends ReadFlags {
  start: string | null;
  end: string | null;
  limit: number;
  reverse: boolean;
  keysOnly: boolean;
  count: boolean;
}
interface WatchFlags extends TextFlags {
  prefix: boolean;
  children: boolean;
  from: number;
  keysOnly: boolean;
}

export type KvGetOptions = GetFlags & { readonly verb: 'get'; readonly key: string };
export type KvPutOptions = PutFlags & {
  readonly verb: 'put';
  readonly key: string;
  readonly value: string | null;
};
export type KvAppendOptions = ValueFlags & {
  readonly verb: 'append';
  readonly key: string;
  readonly value: string | null;
};
export type KvDelOptions = DelFlags & { readonly verb: 'del'; readonly keys: readonly string[] };
export type KvCasOptions = CasFlags & {
  readonly verb: 'cas';
  readonly key: string;
  readonly value: string | null;
};
export type KvScanOptions = ScanFlags & { readonly verb: 'scan'; readonly prefix: string };
export type KvWatchOptions = WatchFlags & { readonly verb: 'watch'; readonly key: string };
export type KvKeyOptions =
  | KvGetOptions
  | KvPutOptions
  | KvAppendOptions
  | KvDelOptions
  | KvCasOptions
  | KvScanOptions
  | KvWatchOptions;

const TEXT_FLAGS: FlagTable<TextFlags> = {
  hex: {
    flag: 'hex',
    group: KEYS,
    summary: 'keys and values are hexadecimal digits, as given and as shown',
    read: readSwitch,
    fallback: false,
  },
  ...KV_TARGET_FLAGS,
};

const LEVEL = {
  flag: 'level',
  value: 'LEVEL',
  group: KEYS,
  summary: 'linearizable sees every write that was answered; lease trusts clocks; stale is what a member has',
  choices: ['linearizable', 'lease', 'stale'],
  read: readChoice(['linearizable', 'lease', 'stale'] as const),
  fallback: 'linearizable' as const,
  fallbackText: 'linearizable',
};

const READ_FLAGS: FlagTable<ReadFlags> = { level: LEVEL, ...TEXT_FLAGS };

const VALUE_FLAGS: FlagTable<ValueFlags> = {
  file: {
    flag: 'file',
    value: 'FILE',
    group: KEYS,
    summary: 'holds the value, which is then not on the command line; - is standard input',
    read: readText,
    fallback: null,
  },
  ...TEXT_FLAGS,
};

const GET_FLAGS: FlagTable<GetFlags> = {
  file: {
    flag: 'file',
    value: 'FILE',
    group: KEYS,
    summary: 'write the value, byte by byte, to this file',
    read: readText,
    fallback: null,
  },
  ...READ_FLAGS,
};

const PUT_FLAGS: FlagTable<PutFlags> = {
  ttlMs: {
    flag: 'ttl',
    value: 'TIME',
    group: KEYS,
    summary: 'the key goes after this long, such as 500ms or 10s',
    read: readDuration,
    fallback: 0,
    fallbackText: 'it stays',
  },
  lease: {
    flag: 'lease',
    value: 'ID',
    group: KEYS,
    summary: 'the key goes with this lease',
    read: readCount(1, SAFE_MAX),
    fallback: 0,
    fallbackText: 'none',
  },
  only: {
    flag: 'only',
    value: 'absent|present',
    group: KEYS,
    summary: 'fail where there is such a key already, or where there is none',
    choices: ['absent', 'present'],
    read: readChoice(['absent', 'present'] as const),
    fallback: null,
  },
  ...VALUE_FLAGS,
};

const DEL_FLAGS: FlagTable<DelFlags> = {
  prefix: {
    flag: 'prefix',
    group: KEYS,
    summary: 'all keys that begin so',
    read: readSwitch,
    fallback: false,
  },
  ...TEXT_FLAGS,
};

const CAS_FLAGS: FlagTable<CasFlags> = {
  expect: {
    flag: 'expect',
    value: 'VALUE',
    group: KEYS,
    summary: 'the value that must be there',
    read: (text) => text,
    fallback: null,
  },
  expectVersion: {
    flag: 'expect-version',
    value: 'N',
    group: KEYS,
    summary: 'writes that the key must have had',
    read: readCount(0, SAFE_MAX),
    fallback: null,
  },
  expectRevision: {
    flag: 'expect-revision',
    value: 'N',
    group: KEYS,
    summary: 'revision of its last change',
    read: readCount(0, SAFE_MAX),
    fallback: null,
  },
  expectAbsent: {
    flag: 'expect-absent',
    group: KEYS,
    summary: 'there must be no such key',
    read: readSwitch,
    fallback: false,
  },
  delete: {
    flag: 'delete',
    group: KEYS,
    summary: 'delete the key instead of giving it a value',
    read: readSwitch,
    fallback: false,
  },
  ...VALUE_FLAGS,
};

const SCAN_FLAGS: FlagTable<ScanFlags> = {
  start: {
    flag: 'start',
    value: 'KEY',
    group: KEYS,
    summary: 'the first key that may be shown',
    read: readText,
    fallback: null,
  },
  end: {
    flag: 'end',
    value: 'KEY',
    group: KEYS,
    summary: 'keys from here on are not shown',
    read: readText,
    fallback: null,
  },
  limit: {
    flag: 'limit',
    value: 'N',
    group: KEYS,
    summary: 'show no more than this',
    read: readCount(1, SAFE_MAX),
    fallback: SAFE_MAX,
    fallbackText: 'all',
  },
  reverse: { flag: 'reverse', group: KEYS, summary: 'the last key first', read: readSwitch, fallback: false },
  keysOnly: { flag: 'keys-only', group: KEYS, summary: 'without values', read: readSwitch, fallback: false },
  count: { flag: 'count', group: KEYS, summary: 'how many there are', read: readSwitch, fallback: false },
  ...READ_FLAGS,
};

const WATCH_FLAGS: FlagTable<WatchFlags> = {
  prefix: DEL_FLAGS.prefix,
  children: {
    flag: 'children',
    group: KEYS,
    summary: 'KEY is a path of the tree, whose children are watched',
    read: readSwitch,
    fallback: false,
  },
  from: {
    flag: 'from',
    value: 'REVISION',
    group: KEYS,
    summary: 'the first revision wanted',
    read: readCount(1, SAFE_MAX),
    fallback: 0,
    fallbackText: 'the next one',
  },
  keysOnly: SCAN_FLAGS.keysOnly,
  ...TEXT_FLAGS,
};

export const KV_CLIENT_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['kv', 'get'],
    summary: 'the value of a key; exit code 1 where there is none',
    flags: GET_FLAGS,
    operands: { count: 'one', name: 'KEY', summary: 'such as users/7' },
    complete: (flags, [key = ''], context) => command({ ...flags, verb: 'get', key }, context),
  }),
  declareCommand({
    words: ['kv', 'put'],
    summary: 'give a key a value',
    flags: PUT_FLAGS,
    operands: {
      name: 'KEY',
      summary: 'and the value behind it, such as users/7 ada; without VALUE, --file names it',
    },
    complete: (flags, operands, context) =>
      command({ ...flags, verb: 'put', ...keyAndValue(operands, flags.file) }, context),
  }),
  declareCommand({
    words: ['kv', 'append'],
    summary: 'put a value behind the one that is there',
    flags: VALUE_FLAGS,
    operands: { name: 'KEY', summary: 'and the value behind it, such as log/today " and then"' },
    complete: (flags, operands, context) =>
      command({ ...flags, verb: 'append', ...keyAndValue(operands, flags.file) }, context),
  }),
  declareCommand({
    words: ['kv', 'del'],
    summary: 'delete keys',
    flags: DEL_FLAGS,
    operands: { name: 'KEY', summary: 'such as users/7' },
    complete: (flags, keys, context) => command({ ...flags, verb: 'del', keys }, context),
  }),
  declareCommand({
    words: ['kv', 'cas'],
    summary: 'give a key a value if it is as expected; exit code 1 where it is not',
    flags: CAS_FLAGS,
    operands: { name: 'KEY', summary: 'and the value behind it, such as users/7 grace --expect ada' },
    complete: (flags, operands, context) => {
      const { expect, expectVersion, expectRevision, expectAbsent } = flags;
      const given = [expect, expectVersion, expectRevision].filter((expected) => expected !== null).length;
      if (given + (expectAbsent ? 1 : 0) !== 1)
        throw new UsageError(
          '--expect: say what must be there, by one of --expect, --expect-version, --expect-revision, --expect-absent',
        );
      if (!flags.delete)
        return command({ ...flags, verb: 'cas', ...keyAndValue(operands, flags.file) }, context);
      const [key = '', ...rest] = operands;
      if (rest.length > 0 || flags.file !== null) throw new UsageError('--delete: takes no value');
      return command({ ...flags, verb: 'cas', key, value: null }, context);
    },
  }),
  declareCommand({
    words: ['kv', 'scan'],
    summary: 'keys and values in the order of keys',
    flags: SCAN_FLAGS,
    operands: { count: 'optional', name: 'PREFIX', summary: 'only keys that begin so' },
    complete: (flags, [prefix = ''], context) => {
      if (prefix !== '' && (flags.start !== null || flags.end !== null))
        throw new UsageError('--start: takes no PREFIX; name either a prefix or --start and --end');
      return command({ ...flags, verb: 'scan', prefix }, context);
    },
  }),
  declareCommand({
    words: ['kv', 'watch'],
    summary: 'changes as they happen, until Ctrl-C',
    flags: WATCH_FLAGS,
    operands: {
      count: 'optional',
      name: 'KEY',
      summary: 'a key, a prefix with --prefix, a path with --children',
    },
    complete: (flags, [key = ''], context) => {
      if (key === '' && !flags.prefix) throw new UsageError('name a KEY, or --prefix for all of them');
      if (flags.prefix && flags.children) throw new UsageError('--children: takes no --prefix');
      return command({ ...flags, verb: 'watch', key }, context);
    },
  }),
];

function command(options: KvKeyOptions, context: ArgsContext): Command {
  checkKvTarget(options, context);
  return { kind: 'kv', options };
}

function keyAndValue(
  [key = '', value, ...rest]: readonly string[],
  file: string | null,
): { key: string; value: string | null } {
  if (rest.length > 0) throw new UsageError('name one KEY and one VALUE; quote what has spaces');
  if (value === undefined && file === null) throw new UsageError('name a VALUE after the KEY, or --file');
  if (value !== undefined && file !== null)
    throw new UsageError('--file: takes no VALUE on the command line');
  return { key, value: value ?? null };
}
