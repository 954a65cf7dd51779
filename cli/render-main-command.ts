// `reactor-net render main` as a command: its flags, and what must agree among them. render-main.ts carries it out.

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
import { readEndpoints } from './kv-client-flags.js';
import {
  type ListenActivated,
  type ListenAddress,
  type ListenDescriptor,
  readListen,
} from './listen-address.js';
import { refuseUnreadable } from './readable-file.js';
import { checkServerTls, drainTimeoutFlag, JSON_FLAG, LOG_LEVEL_FLAG, RUNNING } from './running-flags.js';

type Listen = ListenAddress | ListenDescriptor | ListenActivated | 'off';

/** What a main node is told however it is started: alone, or by `render up`. */
export interface MainFlags {
  grpc: Listen;
  metrics: Listen;
  data: string | null;
  tokenFile: string | null;
  nodeTokenFile: string | null;
  drivers: number;
  nodes: number;
  nodeVersion: string | null;
  resultMemory: number;
  resultBytes: number;
  resultKeepMs: number;
  jobKeepMs: number;
  sceneBytes: number;
  retries: number;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  drainTimeoutMs: number;
  logLevel: LogLevel;
  json: boolean;
}

interface MainCommandFlags extends MainFlags {
  listen: Listen;
  http: Listen;
  registry: readonly string[] | null;
  advertise: string | null;
  kv: readonly string[] | null;
  kvName: string;
  kvTtlMs: number;
  kvTokenFile: string | null;
  kvTlsCa: string | null;
  kvTlsCert: string | null;
  kvTlsKey: string | null;
  lifeline: boolean;
}

/** Complete: null means off. */
export interface RenderMainOptions extends Omit<MainCommandFlags, 'listen' | 'http' | 'grpc' | 'metrics'> {
  readonly verb: 'main';
  listen: ListenAddress;
  http: ListenAddress | null;
  grpc: ListenAddress | null;
  metrics: ListenAddress | null;
}

/** As render/ has it; the render layer itself is loaded when the command runs. */
export const RENDER_MAIN_PORT = 7600;
const LOOPBACK = '127.0.0.1';
const EVERYWHERE = '0.0.0.0';
const TIB = 2 ** 40;
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const LISTEN = 'Listeners (H:P):';
const KEEPING = 'What it keeps:';
const FARM = 'The farm:';
const STANDBY = 'Standing by:';
const SECURITY = 'Who may come in:';

export const MAIN_FLAGS: FlagTable<MainFlags> = {
  grpc: {
    flag: 'grpc',
    value: 'H:P',
    group: LISTEN,
    summary: 'the same services for gRPC clients of any language',
    read: readListen(EVERYWHERE),
    fallback: 'off',
    fallbackText: 'off',
  },
  metrics: {
    flag: 'metrics',
    value: 'H:P',
    group: LISTEN,
    summary: '/metrics, /healthz and /readyz alone',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  data: {
    flag: 'data',
    value: 'DIR',
    group: KEEPING,
    summary: 'folder that keeps jobs, results and scenes over a restart',
    read: readText,
    fallback: null,
    fallbackText: 'none: what memory does not hold is in a temporary folder',
  },
  resultMemory: {
    flag: 'result-memory',
    value: 'BYTES',
    group: KEEPING,
    summary: 'images in memory; others are on disk',
    read: readBytes(MIB, TIB),
    fallback: 256 * MIB,
    fallbackText: '256MiB',
  },
  resultBytes: {
    flag: 'result-bytes',
    value: 'BYTES',
    group: KEEPING,
    summary: 'all images that are kept; those of the job that finished first are dropped first',
    read: readBytes(MIB, TIB),
    fallback: 8 * GIB,
    fallbackText: '8GiB',
  },
  resultKeepMs: {
    flag: 'result-ttl',
    value: 'TIME',
    group: KEEPING,
    summary: 'how long the images of a finished job are kept',
    read: readDuration,
    fallback: 3_600_000,
    fallbackText: '1h',
  },
  jobKeepMs: {
    flag: 'job-ttl',
    value: 'TIME',
    group: KEEPING,
    summary: 'how long a finished job is listed',
    read: readDuration,
    fallback: 86_400_000,
    fallbackText: '24h',
  },
  sceneBytes: {
    flag: 'scene-bytes',
    value: 'BYTES',
    group: KEEPING,
    summary: '.blend files that are kept; those used longest ago go first',
    read: readBytes(MIB, TIB),
    fallback: 2 * GIB,
    fallbackText: '2GiB',
  },
  drivers: {
    flag: 'drivers',
    value: 'N',
    group: FARM,
    summary: 'drivers that may be registered at once',
    read: readCount(1, 1_000_000),
    fallback: 1024,
    fallbackText: '1024',
  },
  nodes: {
    flag: 'nodes',
    value: 'N',
    group: FARM,
    summary: 'worker nodes that may be registered at once',
    read: readCount(1, 1_000_000),
    fallback: 1024,
    fallbackText: '1024',
  },
  nodeVersion: {
    flag: 'node-version',
    value: 'TEXT',
    group: FARM,
    summary: 'what worker nodes have to render with; others are refused',
    read: readText,
    fallback: null,
    fallbackText: 'all with the same, as the first of them has it',
  },
  retries: {
    flag: 'retries',
    value: 'N',
    group: FARM,
    summary: 'attempts after the first one that may fail, for each image',
    read: readCount(0, 16),
    fallback: 3,
    fallbackText: '3',
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'a secret that drivers and people show',
    read: readText,
    fallback: null,
    fallbackText: 'none: for everybody who gets there',
  },
  nodeTokenFile: {
    flag: 'node-token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'a secret that worker nodes show, and are shown',
    read: readText,
    fallback: null,
    fallbackText: 'as --token-file',
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SECURITY,
    summary: 'certificate chain (PEM): RPC, gRPC and HTTP speak TLS',
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
    summary: 'authorities (PEM): drivers and worker nodes must show a certificate of theirs',
    read: readText,
    fallback: null,
  },
  drainTimeoutMs: drainTimeoutFlag('for drivers to get what they wait for'),
  logLevel: LOG_LEVEL_FLAG,
  json: JSON_FLAG,
};

const MAIN_COMMAND_FLAGS: FlagTable<MainCommandFlags> = {
  listen: {
    flag: 'listen',
    value: 'H:P',
    group: LISTEN,
    summary: 'RPC, for drivers, worker nodes and people',
    read: readListen(EVERYWHERE),
    fallback: { host: EVERYWHERE, port: RENDER_MAIN_PORT },
    fallbackText: `${EVERYWHERE}:${RENDER_MAIN_PORT}`,
  },
  http: {
    flag: 'http',
    value: 'H:P',
    group: LISTEN,
    summary: 'the web page, its API, /metrics, /healthz and /readyz; such as 127.0.0.1:7680',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  registry: {
    flag: 'registry',
    value: 'H:P,…',
    group: FARM,
    summary: 'registries where worker nodes and drivers find this main node',
    read: readEndpoints,
    fallback: null,
  },
  advertise: {
    flag: 'advertise',
    value: 'HOST',
    group: FARM,
    summary: 'with --registry: the name or address by which others reach this machine',
    read: readText,
    fallback: null,
    fallbackText: 'the one from which it reaches the registry',
  },
  kv: {
    flag: 'kv',
    value: 'H:P,…',
    group: STANDBY,
    summary: 'members of a Raft KV that keeps the jobs; main nodes beside this one stand by',
    read: readEndpoints,
    fallback: null,
  },
  kvName: {
    flag: 'kv-name',
    value: 'NAME',
    group: STANDBY,
    summary: 'of this farm in the KV, the same for all its main nodes',
    read: readText,
    fallback: 'render',
    fallbackText: 'render',
  },
  kvTtlMs: {
    flag: 'kv-ttl',
    value: 'TIME',
    group: STANDBY,
    summary: 'how long a standby waits for a main node that says nothing any more',
    read: readDuration,
    fallback: 5000,
    fallbackText: '5s',
  },
  kvTokenFile: {
    flag: 'kv-token-file',
    value: 'FILE',
    group: STANDBY,
    summary: 'a secret to show to the KV',
    read: readText,
    fallback: null,
  },
  kvTlsCa: {
    flag: 'kv-tls-ca',
    value: 'FILE',
    group: STANDBY,
    summary: 'authorities (PEM) of the members: they are spoken to over TLS',
    read: readText,
    fallback: null,
  },
  kvTlsCert: {
    flag: 'kv-tls-cert',
    value: 'FILE',
    group: STANDBY,
    summary: 'certificate chain (PEM) to show to them',
    read: readText,
    fallback: null,
  },
  kvTlsKey: {
    flag: 'kv-tls-key',
    value: 'FILE',
    group: STANDBY,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  lifeline: {
    flag: 'lifeline',
    group: RUNNING,
    summary: 'stop when standard input ends: whoever started this process is gone',
    hidden: true,
    read: readSwitch,
    fallback: false,
  },
  ...MAIN_FLAGS,
};

export const RENDER_MAIN_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['render', 'main'],
    summary: 'run a main node: drivers ask it for images, worker nodes render them',
    flags: MAIN_COMMAND_FLAGS,
    complete: (flags, _operands, context) => {
      checkMain(flags, context);
      const listen = addressOf('listen', flags.listen);
      if (listen === null) throw new UsageError('--listen: a main node needs an address to be found at');
      if (flags.advertise !== null && flags.registry === null)
        throw new UsageError('--advertise: is for --registry');
      checkStandby(flags, context);
      const options: RenderMainOptions = {
        ...flags,
        verb: 'main',
        listen,
        http: addressOf('http', flags.http),
        grpc: addressOf('grpc', flags.grpc),
        metrics: addressOf('metrics', flags.metrics),
      };
      return { kind: 'render', options };
    },
  }),
];

/** The flags with which `render up` starts its main node, as it was given them itself. */
export function mainArgs(flags: MainFlags): string[] {
  const args: string[] = [];
  for (const [key, { flag }] of Object.entries<Flag<unknown>>(MAIN_FLAGS)) {
    const given = flags[key as keyof MainFlags];
    if (given === null || key === 'json') continue;
    args.push(`--${flag}=${typeof given === 'object' ? addressText(given) : String(given)}`);
  }
  return args;
}

/** @throws UsageError */
export function checkMain(flags: MainFlags, context: ArgsContext): void {
  const { tlsCert, tlsKey, tlsCa, resultMemory, resultBytes } = flags;
  checkServerTls(flags);
  if (resultMemory > resultBytes)
    throw new UsageError('--result-memory: should not be more than --result-bytes');
  for (const [flag, file] of [
    ['token-file', flags.tokenFile],
    ['node-token-file', flags.nodeTokenFile],
    ['tls-cert', tlsCert],
    ['tls-key', tlsKey],
    ['tls-ca', tlsCa],
  ] as const)
    refuseUnreadable(flag, file, context);
}

const KV_TTL_MS_MIN = 500;

/** @throws UsageError */
function checkStandby(flags: MainCommandFlags, context: ArgsContext): void {
  const { kv, kvName, kvTtlMs, kvTokenFile, kvTlsCa, kvTlsCert, kvTlsKey } = flags;
  if (kv === null) {
    if (kvTokenFile !== null || kvTlsCa !== null || kvTlsCert !== null || kvTlsKey !== null)
      throw new UsageError('--kv: name members of the KV, such as --kv 127.0.0.1:7501');
    return;
  }
  if (kvName === '' || kvName.includes('/'))
    throw new UsageError(`--kv-name: "${kvName}" should be a name without a slash`);
  if (kvTtlMs < KV_TTL_MS_MIN) throw new UsageError(`--kv-ttl: should be ${KV_TTL_MS_MIN}ms or more`);
  if ((kvTlsCert === null) !== (kvTlsKey === null))
    throw new UsageError('--kv-tls-cert: needs --kv-tls-key, and the other way round');
  for (const [flag, file] of [
    ['kv-token-file', kvTokenFile],
    ['kv-tls-ca', kvTlsCa],
    ['kv-tls-cert', kvTlsCert],
    ['kv-tls-key', kvTlsKey],
  ] as const)
    refuseUnreadable(flag, file, context);
}

export function addressOf(flag: string, listen: Listen): ListenAddress | null {
  if (listen === 'off') return null;
  if ('port' in listen) return listen;
  throw new UsageError(`--${flag}: should be HOST:PORT, not an inherited socket`);
}

function addressText(listen: object): string {
  if (!('host' in listen && 'port' in listen)) throw new UsageError('an address should be HOST:PORT');
  const host = String(listen.host);
  return `${host.includes(':') ? `[${host}]` : host}:${String(listen.port)}`;
}
