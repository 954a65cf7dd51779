// `reactor-net kv serve` and `kv local` as commands: their flags, and what must agree among them. kv-serve.ts and
// kv-local.ts carry them out.

import { type LogLevel } from '../reactor/index.js';
import { type ArgsContext, type CommandSpec, declareCommand } from './command-spec.js';
import {
  type Flag,
  type FlagTable,
  readBytes,
  readCount,
  readDuration,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import {
  type ListenAddress,
  type ListenActivated,
  type ListenDescriptor,
  readListen,
} from './listen-address.js';
import { refuseUnreadable } from './readable-file.js';
import { checkServerTls, drainTimeoutFlag, JSON_FLAG, LOG_LEVEL_FLAG, RUNNING } from './running-flags.js';

type Listen = ListenAddress | ListenDescriptor | ListenActivated | 'off';

/** What a member is told however it is started: alone, or by `kv local`. */
interface MemberFlags {
  clusterId: number | null;
  snapshotEvery: number | null;
  snapshotBytes: number | null;
  quotaBytes: number | null;
  valueBytesMax: number | null;
  protocolVersion: number | null;
  electionMs: number;
  heartbeatMs: number;
  leaseReads: boolean;
  tokenFile: string | null;
  users: string | null;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  tlsMemberName: string | null;
  drainTimeoutMs: number;
  logLevel: LogLevel;
  json: boolean;
}

interface ServeFlags extends MemberFlags {
  id: number;
  cluster: ReadonlyMap<number, string> | null;
  join: string | null;
  learner: boolean;
  listen: Listen;
  resp: Listen;
  advertiseResp: string | null;
  http: Listen;
  data: string | null;
  lifeline: boolean;
}

interface LocalFlags extends MemberFlags {
  nodes: number;
  basePort: number;
  data: string | null;
}

export interface KvServeOptions extends Omit<ServeFlags, 'cluster' | 'listen' | 'resp' | 'http' | 'data'> {
  readonly verb: 'serve';
  cluster: ReadonlyMap<number, string>;
  /** Null: where `cluster` says. */
  listen: ListenAddress | null;
  resp: ListenAddress | null;
  http: ListenAddress | null;
  data: string;
}

export interface KvLocalOptions extends LocalFlags {
  readonly verb: 'local';
}

/** As kv/ has it; the KV layer itself is loaded when the command runs. */
const KV_PORT = 7500;
const LOOPBACK = '127.0.0.1';
const EVERYWHERE = '0.0.0.0';
const NODES_MAX = 99;
const ID_MAX = 2 ** 32 - 1;
const TIB = 2 ** 40;
const CLUSTER = 'Who it is:';
const LISTEN = 'Listeners (H:P):';
const KEEPING = 'What it keeps:';
const SECURITY = 'Who may come in:';

const MEMBER_FLAGS: FlagTable<MemberFlags> = {
  clusterId: {
    flag: 'cluster-id',
    value: 'N',
    group: CLUSTER,
    summary: 'number that members show each other; kept in the folder of each',
    read: readCount(1, Number.MAX_SAFE_INTEGER),
    fallback: null,
    fallbackText: 'made of --cluster',
  },
  snapshotEvery: {
    flag: 'snapshot-every',
    value: 'N',
    group: KEEPING,
    summary: 'entries of the log after which a snapshot is taken; 0: never for that reason',
    read: readCount(0, Number.MAX_SAFE_INTEGER),
    fallback: null,
    fallbackText: '100000',
  },
  snapshotBytes: {
    flag: 'snapshot-bytes',
    value: 'BYTES',
    group: KEEPING,
    summary: 'bytes of the log after which a snapshot is taken; 0: never for that reason',
    read: readBytes(0, TIB),
    fallback: null,
    fallbackText: '64MiB',
  },
  quotaBytes: {
    flag: 'quota',
    value: 'BYTES',
    group: KEEPING,
    summary:
      'memory for keys and values above which growing writes are refused, in the whole cluster; 0: none',
    read: readBytes(0, TIB),
    fallback: null,
    fallbackText: 'as the cluster has it, none at first',
  },
  valueBytesMax: {
    flag: 'value-bytes-max',
    value: 'BYTES',
    group: KEEPING,
    summary: 'what a string value may grow to, in the whole cluster; 4 MiB to 512 MiB less 1 KiB',
    read: readBytes(4 * 2 ** 20, 2 ** 29 - 1024),
    fallback: null,
    fallbackText: 'as the cluster has it, 64MiB at first',
  },
  protocolVersion: {
    flag: 'protocol-version',
    value: 'N',
    group: KEEPING,
    summary: 'use nothing newer than this: an upgrade that is held back this way can be undone',
    read: readCount(1, 999),
    fallback: null,
    fallbackText: 'the newest that the program knows',
  },
  electionMs: {
    flag: 'election-ms',
    value: 'TIME',
    group: RUNNING,
    summary: 'a follower that hears no leader for one to two of these stands for election',
    read: readDuration,
    fallback: 1000,
    fallbackText: '1s',
  },
  heartbeatMs: {
    flag: 'heartbeat-ms',
    value: 'TIME',
    group: RUNNING,
    summary: 'time between two heartbeats of a leader',
    read: readDuration,
    fallback: 100,
    fallbackText: '100ms',
  },
  leaseReads: {
    flag: 'lease-reads',
    group: RUNNING,
    summary:
      'a leader answers reads without asking the others; needs clocks that run at nearly the same speed',
    read: readSwitch,
    fallback: false,
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'a secret that members and native clients show; every member has the same',
    read: readText,
    fallback: null,
  },
  users: {
    flag: 'users',
    value: 'FILE',
    group: SECURITY,
    summary: 'YAML that says who may use the Redis protocol, and how',
    read: readText,
    fallback: null,
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SECURITY,
    summary: 'certificate chain (PEM): members and clients speak TLS',
    read: readText,
    fallback: null,
  },
  tlsKey: {
    flag: 'tls-key',
    value: 'FILE',
    group: SECURITY,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: SECURITY,
    summary: 'authorities (PEM): members and clients must show a certificate of theirs',
    read: readText,
    fallback: null,
  },
  tlsMemberName: {
    flag: 'tls-member-name',
    value: 'NAME',
    group: SECURITY,
    summary:
      'name in the certificate of a member, {id} standing for its id; "any": every certificate of the authority will do',
    read: readText,
    fallback: null,
  },
  drainTimeoutMs: drainTimeoutFlag('to hand over and to finish what is under way'),
  logLevel: LOG_LEVEL_FLAG,
  json: JSON_FLAG,
};

const SERVE_FLAGS: FlagTable<ServeFlags> = {
  id: {
    flag: 'id',
    value: 'N',
    group: CLUSTER,
    summary: 'this member; an id is never used again once its member was removed or has lost its folder',
    read: readCount(1, ID_MAX),
    fallback: 0,
    fallbackText: 'must be given',
  },
  cluster: {
    flag: 'cluster',
    value: '1=H:P,2=H:P,…',
    group: CLUSTER,
    summary: 'RPC addresses of the members a new cluster begins with; with --join this one alone will do',
    read: readCluster,
    fallback: null,
    fallbackText: 'must be given',
  },
  join: {
    flag: 'join',
    value: 'H:P',
    group: CLUSTER,
    summary: 'RPC address of any member of a running cluster, which takes this one in',
    read: readHostPort,
    fallback: null,
  },
  learner: {
    flag: 'learner',
    group: CLUSTER,
    summary: 'with --join: be an observer, which has everything and does not vote',
    read: readSwitch,
    fallback: false,
  },
  listen: {
    flag: 'listen',
    value: 'H:P',
    group: LISTEN,
    summary: 'RPC, where that differs from the address in --cluster',
    read: readListen(EVERYWHERE),
    fallback: 'off',
    fallbackText: 'as in --cluster',
  },
  resp: {
    flag: 'resp',
    value: 'H:P',
    group: LISTEN,
    summary: 'Redis protocol',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  advertiseResp: {
    flag: 'advertise-resp',
    value: 'H:P',
    group: LISTEN,
    summary: 'where clients of the Redis protocol reach this member',
    read: readHostPort,
    fallback: null,
    fallbackText: 'as --resp',
  },
  http: {
    flag: 'http',
    value: 'H:P',
    group: LISTEN,
    summary: '/status, /metrics, /healthz and /readyz; for everybody who gets there',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  data: {
    flag: 'data',
    value: 'DIR',
    group: KEEPING,
    summary: 'folder for log and snapshots, of this member alone',
    read: readText,
    fallback: null,
    fallbackText: 'must be given',
  },
  lifeline: {
    flag: 'lifeline',
    group: RUNNING,
    summary: 'stop when standard input ends: whoever started this process is gone',
    hidden: true,
    read: readSwitch,
    fallback: false,
  },
  ...MEMBER_FLAGS,
};

const LOCAL_FLAGS: FlagTable<LocalFlags> = {
  nodes: {
    flag: 'nodes',
    value: 'N',
    group: CLUSTER,
    summary: 'members',
    read: readCount(1, NODES_MAX),
    fallback: 3,
    fallbackText: '3',
  },
  basePort: {
    flag: 'base-port',
    value: 'P',
    group: LISTEN,
    summary: 'member i has RPC at P+i, the Redis protocol at P+100+i, HTTP at P+200+i; 0: free ports',
    read: readCount(0, 65_535 - 300),
    fallback: KV_PORT,
    fallbackText: String(KV_PORT),
  },
  data: {
    flag: 'data',
    value: 'DIR',
    group: KEEPING,
    summary: 'folder with a folder for each member',
    read: readText,
    fallback: null,
    fallbackText: 'a temporary one, removed at the end',
  },
  ...MEMBER_FLAGS,
};

export const KV_SERVE_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['kv', 'serve'],
    summary: 'run a member of a key-value cluster',
    flags: SERVE_FLAGS,
    complete: (flags, _operands, context) => {
      checkMember(flags, context);
      const { id, cluster, data, join } = flags;
      if (id === 0) throw new UsageError('--id: a member needs one, such as --id 1');
      if (cluster === null) {
        throw new UsageError(
          '--cluster: name the members, such as --cluster 1=10.0.0.1:7501,2=10.0.0.2:7501',
        );
      }
      if (!cluster.has(id))
        throw new UsageError(`--cluster: has no address for member ${id}, which --id names`);
      if (data === null) throw new UsageError('--data: a member needs a folder to keep what it acknowledges');
      if (flags.learner && join === null) throw new UsageError('--learner: needs --join');
      const options: KvServeOptions = {
        ...flags,
        verb: 'serve',
        cluster,
        data,
        listen: addressOf('listen', flags.listen),
        resp: addressOf('resp', flags.resp),
        http: addressOf('http', flags.http),
      };
      return { kind: 'kv', options };
    },
  }),
  declareCommand({
    words: ['kv', 'local'],
    summary: 'run a whole cluster on this machine, to try things out',
    flags: LOCAL_FLAGS,
    complete: (flags, _operands, context) => {
      checkMember(flags, context);
      return { kind: 'kv', options: { ...flags, verb: 'local' } };
    },
  }),
];

/** The flags with which `kv local` starts a member, as it was given them itself. */
export function memberArgs(options: MemberFlags): string[] {
  const args: string[] = [];
  for (const [key, { flag }] of Object.entries<Flag<unknown>>(MEMBER_FLAGS)) {
    const given = options[key as keyof MemberFlags];
    if (given === null || key === 'json') continue;
    args.push(`--${flag}=${String(given)}`);
  }
  return args;
}

export function readCluster(text: string): ReadonlyMap<number, string> {
  const members = new Map<number, string>();
  for (const part of text.split(',')) {
    const [, id, address] = /^(\d{1,10})=(.+)$/.exec(part.trim()) ?? [];
    if (id === undefined || address === undefined || Number(id) < 1 || Number(id) > ID_MAX) {
      throw new UsageError(`"${part}" should be ID=HOST:PORT, such as 1=127.0.0.1:7501`);
    }
    if (members.has(Number(id))) throw new UsageError(`member ${id} is there twice`);
    members.set(Number(id), readHostPort(address));
  }
  if (new Set(members.values()).size !== members.size)
    throw new UsageError('two members have the same address');
  return members;
}

export function readHostPort(text: string): string {
  const [, port] = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text) ?? [];
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return text;
  throw new UsageError(`"${text}" should be HOST:PORT, such as 127.0.0.1:7501, with a port that is not 0`);
}

function addressOf(flag: string, listen: Listen): ListenAddress | null {
  if (listen === 'off') return null;
  if ('port' in listen) return listen;
  throw new UsageError(`--${flag}: should be HOST:PORT, not an inherited socket`);
}

function checkMember(flags: MemberFlags, context: ArgsContext): void {
  const { tlsCert, tlsKey, tlsCa, tlsMemberName, electionMs, heartbeatMs } = flags;
  checkServerTls(flags);
  if (tlsMemberName !== null && tlsCa === null) throw new UsageError('--tls-member-name: needs --tls-ca');
  if (tlsCa !== null && tlsMemberName === null) {
    throw new UsageError(
      '--tls-ca: needs --tls-member-name, such as kv-{id}; "any" lets every certificate of the authority be any member',
    );
  }
  if (heartbeatMs < 1) throw new UsageError('--heartbeat-ms: should be 1ms or more');
  if (electionMs < 3 * heartbeatMs) {
    throw new UsageError(
      `--election-ms: should be at least three times --heartbeat-ms, which is ${heartbeatMs}ms`,
    );
  }
  refuseUnreadable('tls-cert', tlsCert, context);
  refuseUnreadable('tls-key', tlsKey, context);
  refuseUnreadable('tls-ca', tlsCa, context);
  refuseUnreadable('token-file', flags.tokenFile, context);
  refuseUnreadable('users', flags.users, context);
}
