// `reactor-net registry serve` as a command: its flags, and what must agree among them. registry-serve.ts carries it out.

import { type LogLevel } from '../reactor/index.js';
import { type CommandSpec, declareCommand } from './command-spec.js';
import { type FlagTable, readChoice, readDuration, readText, UsageError } from './flags.js';
import { readEndpoints } from './kv-client-flags.js';
import { refuseUnreadable } from './readable-file.js';
import {
  type ListenAddress,
  type ListenActivated,
  type ListenDescriptor,
  readListen,
} from './listen-address.js';
import { checkServerTls, drainTimeoutFlag, JSON_FLAG, LOG_LEVEL_FLAG, RUNNING } from './running-flags.js';

type Listen = ListenAddress | ListenDescriptor | ListenActivated | 'off';

interface RegistryFlags {
  listen: Listen;
  http: Listen;
  data: string | null;
  kv: readonly string[] | null;
  kvTokenFile: string | null;
  kvTlsCa: string | null;
  kvTlsCert: string | null;
  kvTlsKey: string | null;
  tokenFile: string | null;
  leaseTtlMs: number;
  sessionTtlMs: number | null;
  probe: 'on' | 'off';
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  drainTimeoutMs: number;
  logLevel: LogLevel;
  json: boolean;
}

/** Complete: null means off. */
export interface RegistryServeOptions extends Omit<RegistryFlags, 'listen' | 'http'> {
  listen: ListenAddress;
  http: ListenAddress | null;
}

/** As rpc/ has it; the RPC layer itself is loaded when the command runs. */
const REGISTRY_PORT = 7400;
const EVERYWHERE = '0.0.0.0';
const LOOPBACK = '127.0.0.1';
const LISTEN = 'Listeners (H:P):';
const KEEPING = 'What it keeps:';
const TTL_MS_MIN = 1000;
const TTL_MS_MAX = 600_000;

const REGISTRY_FLAGS: FlagTable<RegistryFlags> = {
  listen: {
    flag: 'listen',
    value: 'H:P',
    group: LISTEN,
    summary: 'RPC, for servers and clients',
    read: readListen(EVERYWHERE),
    fallback: { host: EVERYWHERE, port: REGISTRY_PORT },
    fallbackText: `${EVERYWHERE}:${REGISTRY_PORT}`,
  },
  http: {
    flag: 'http',
    value: 'H:P',
    group: LISTEN,
    summary:
      'pages of what is registered, /api/services, /metrics, /healthz and /readyz; for everybody who gets there',
    read: readListen(LOOPBACK),
    fallback: 'off',
    fallbackText: 'off',
  },
  data: {
    flag: 'data',
    value: 'DIR',
    group: KEEPING,
    summary: 'folder that keeps what is registered over a restart',
    read: readText,
    fallback: null,
  },
  kv: {
    flag: 'kv',
    value: 'H:P,…',
    group: KEEPING,
    summary: 'members of a KV cluster that keeps everything; registries on the same one have one list',
    read: readEndpoints,
    fallback: null,
    fallbackText: "this process's memory",
  },
  kvTokenFile: {
    flag: 'kv-token-file',
    value: 'FILE',
    group: KEEPING,
    summary: 'holds the token to show to those members',
    read: readText,
    fallback: null,
  },
  kvTlsCa: {
    flag: 'kv-tls-ca',
    value: 'FILE',
    group: KEEPING,
    summary: 'authorities (PEM) to trust with them: TLS is spoken',
    read: readText,
    fallback: null,
  },
  kvTlsCert: {
    flag: 'kv-tls-cert',
    value: 'FILE',
    group: KEEPING,
    summary: 'certificate chain (PEM) to show to them',
    read: readText,
    fallback: null,
  },
  kvTlsKey: {
    flag: 'kv-tls-key',
    value: 'FILE',
    group: KEEPING,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: KEEPING,
    summary: 'YAML that says which token may register what; read again when it changes and on SIGHUP',
    read: readText,
    fallback: null,
  },
  leaseTtlMs: {
    flag: 'lease-ttl',
    value: 'TIME',
    group: KEEPING,
    summary: 'an instance that is silent for this long is gone; servers say something six times as often',
    read: readTtl,
    fallback: 30_000,
    fallbackText: '30s',
  },
  sessionTtlMs: {
    flag: 'lost-session-ttl',
    value: 'TIME',
    group: KEEPING,
    summary: 'what is left of a lease at most once its connection has ended',
    read: readDuration,
    fallback: null,
    fallbackText: 'all of it',
  },
  probe: {
    flag: 'probe',
    value: 'on|off',
    choices: ['on', 'off'],
    group: KEEPING,
    summary: 'when many fall silent at once, ask their machines whether anybody listens',
    read: readChoice(['on', 'off'] as const),
    fallback: 'on',
    fallbackText: 'on',
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: RUNNING,
    summary: 'certificate chain (PEM): RPC speaks TLS',
    read: readText,
    fallback: null,
  },
  tlsKey: {
    flag: 'tls-key',
    value: 'FILE',
    group: RUNNING,
    summary: 'its private key (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: RUNNING,
    summary: 'authorities (PEM): clients must show a certificate of theirs',
    read: readText,
    fallback: null,
  },
  drainTimeoutMs: drainTimeoutFlag('to finish what is under way'),
  logLevel: LOG_LEVEL_FLAG,
  json: JSON_FLAG,
};

export const REGISTRY_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['registry', 'serve'],
    summary: 'run a registry: servers say where they are, clients find them',
    flags: REGISTRY_FLAGS,
    complete: (flags, _operands, context) => {
      checkTogether(flags);
      for (const flag of FILE_FLAGS) refuseUnreadable(flag, flags[FILES[flag]], context);
      const listen = addressOf('listen', flags.listen);
      if (listen === null) throw new UsageError('--listen: a registry needs an address to be found at');
      return { kind: 'registry-serve', options: { ...flags, listen, http: addressOf('http', flags.http) } };
    },
  }),
];

function readTtl(text: string): number {
  const ttlMs = readDuration(text);
  if (ttlMs >= TTL_MS_MIN && ttlMs <= TTL_MS_MAX) return ttlMs;
  const hint = /^\d+$/.test(text) && ttlMs < TTL_MS_MIN ? `; "${text}s" is ${text} seconds` : '';
  throw new UsageError(`"${text}" should be from 1s to 10m${hint}`);
}

function addressOf(flag: string, listen: Listen): ListenAddress | null {
  if (listen === 'off') return null;
  if ('port' in listen) return listen;
  throw new UsageError(`--${flag}: should be HOST:PORT, not an inherited socket`);
}

function checkTogether(flags: RegistryFlags): void {
  const { sessionTtlMs, leaseTtlMs, kv, data, kvTlsCert, kvTlsKey } = flags;
  checkServerTls(flags);
  if (kv !== null && data !== null) throw new UsageError('--data: with --kv the cluster keeps everything');
  for (const flag of ['kv-token-file', 'kv-tls-ca', 'kv-tls-cert', 'kv-tls-key'] as const)
    if (kv === null && flags[FILES[flag]] !== null) throw new UsageError(`--${flag}: is for --kv`);
  if (kvTlsCert !== null && kvTlsKey === null)
    throw new UsageError('--kv-tls-cert: needs --kv-tls-key as well');
  if (kvTlsKey !== null && kvTlsCert === null)
    throw new UsageError('--kv-tls-key: needs --kv-tls-cert as well');
  if (sessionTtlMs !== null && sessionTtlMs > leaseTtlMs)
    throw new UsageError('--lost-session-ttl: should not be longer than --lease-ttl');
}

const FILES = {
  'tls-cert': 'tlsCert',
  'tls-key': 'tlsKey',
  'tls-ca': 'tlsCa',
  'token-file': 'tokenFile',
  'kv-token-file': 'kvTokenFile',
  'kv-tls-ca': 'kvTlsCa',
  'kv-tls-cert': 'kvTlsCert',
  'kv-tls-key': 'kvTlsKey',
} as const;
const FILE_FLAGS = Object.keys(FILES) as (keyof typeof FILES)[];
