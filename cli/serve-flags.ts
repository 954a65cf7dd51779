// The flags of `reactor-net serve`: one table that says how each is read, its default and its line of help.
// args.ts shows it to yargs and reads with it; serve-options.ts says what follows from the flags together.

import { availableParallelism } from 'node:os';
import {
  ACCEPT_MODES,
  type AcceptMode,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  DISPATCH_POLICIES,
  type DispatchName,
  FRAME_BYTES_MAX,
  type LogLevel,
  OUTPUT_HARD_CAP_BYTES,
  TRANSPORTS,
  type TransportName,
} from '../reactor/index.js';
import {
  type FlagTable,
  readBytes,
  readChoice,
  readCount,
  readDuration,
  readSwitch,
  readText,
} from './flags.js';
import {
  type ListenAddress,
  type ListenActivated,
  type ListenDescriptor,
  type ListenPath,
  readListen,
  readListenPath,
} from './listen-address.js';
import { drainTimeoutFlag, JSON_FLAG, LOG_LEVEL_FLAG, RUNNING } from './running-flags.js';

type Listen = ListenAddress | ListenDescriptor | ListenActivated | 'off';

/** As given: null where a flag was not. */
export interface ServeFlags {
  tcp: Listen | null;
  http: Listen | null;
  udp: Listen | null;
  unix: ListenPath | ListenDescriptor | ListenActivated | 'off' | null;
  rpc: Listen | null;
  metrics: Listen | null;
  threads: number;
  processes: number;
  user: string | null;
  accept: AcceptMode;
  dispatch: DispatchName;
  transport: TransportName;
  pin: boolean;
  handlers: string | null;
  httpHandlers: string | null;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  connectionsMax: number;
  connectionsPerAddressMax: number;
  frameBytesMax: number;
  idleTimeoutMs: number;
  drainTimeoutMs: number;
  statsIntervalMs: number;
  logLevel: LogLevel;
  json: boolean;
  processIndex: number | null;
}

export const EVERYWHERE = '0.0.0.0';
export const LOOPBACK = '127.0.0.1';
const LISTEN = 'Listeners (H:P; off disables one; naming any leaves the others off):';
const SPREAD = 'Threads and processes:';
const SERVICE = 'Service:';
const LIMITS = 'Limits:';

export const SERVE_FLAGS: FlagTable<ServeFlags> = {
  tcp: {
    flag: 'tcp',
    value: 'H:P',
    group: LISTEN,
    summary: 'TLV over TCP',
    read: readListen(EVERYWHERE),
    fallback: null,
    fallbackText: `${EVERYWHERE}:9000`,
  },
  http: {
    flag: 'http',
    value: 'H:P',
    group: LISTEN,
    summary: 'HTTP',
    read: readListen(EVERYWHERE),
    fallback: null,
    fallbackText: `${EVERYWHERE}:8080`,
  },
  udp: {
    flag: 'udp',
    value: 'H:P',
    group: LISTEN,
    summary: 'TLV datagrams',
    read: readListen(EVERYWHERE),
    fallback: null,
    fallbackText: 'off',
  },
  unix: {
    flag: 'unix',
    value: 'PATH',
    group: LISTEN,
    summary: 'TLV over a Unix socket',
    read: readListenPath,
    fallback: null,
    fallbackText: 'off',
  },
  rpc: {
    flag: 'rpc',
    value: 'H:P',
    group: LISTEN,
    summary: 'the RPC service demo.Echo, with reflection and health, such as :9090',
    read: readListen(EVERYWHERE),
    fallback: null,
    fallbackText: 'off',
  },
  metrics: {
    flag: 'metrics',
    value: 'H:P',
    group: LISTEN,
    summary: '/metrics, /healthz, /readyz and /requests',
    read: readListen(LOOPBACK),
    fallback: null,
    fallbackText: `${LOOPBACK}:9100`,
  },
  threads: {
    flag: 'threads',
    value: 'N',
    group: SPREAD,
    summary: 'sub-reactor threads; 0 serves in the main thread',
    read: readCount(0, 256),
    fallback: availableParallelism(),
    fallbackText: 'one per core',
  },
  processes: {
    flag: 'processes',
    value: 'N',
    group: SPREAD,
    summary: 'supervised processes with the given threads each; 0 serves in this process',
    read: readCount(0, 256),
    fallback: 0,
    fallbackText: '0',
  },
  user: {
    flag: 'user',
    value: 'U',
    group: SPREAD,
    summary: 'run as this user once the listeners are bound',
    read: readText,
    fallback: null,
  },
  accept: {
    flag: 'accept',
    value: 'MODE',
    group: SPREAD,
    summary: `who accepts: ${ACCEPT_MODES.join(', ')}`,
    choices: ACCEPT_MODES,
    read: readChoice(ACCEPT_MODES),
    fallback: 'master',
    fallbackText: 'master',
  },
  dispatch: {
    flag: 'dispatch',
    value: 'RULE',
    group: SPREAD,
    summary: `which thread gets a connection: ${DISPATCH_POLICIES.join(', ')}`,
    choices: DISPATCH_POLICIES,
    read: readChoice(DISPATCH_POLICIES),
    fallback: 'round-robin',
    fallbackText: 'round-robin',
  },
  transport: {
    flag: 'transport',
    value: 'NAME',
    group: SPREAD,
    summary: `what moves the bytes: ${TRANSPORTS.join(', ')}`,
    choices: TRANSPORTS,
    read: readChoice(TRANSPORTS),
    fallback: 'net',
    fallbackText: 'net',
  },
  pin: {
    flag: 'pin',
    group: SPREAD,
    summary: 'keep each thread on one core',
    read: readSwitch,
    fallback: false,
  },
  handlers: {
    flag: 'handlers',
    value: 'MODULE',
    group: SERVICE,
    summary: 'handler module for TCP and Unix sockets instead of the example',
    read: readText,
    fallback: null,
  },
  httpHandlers: {
    flag: 'http-handlers',
    value: 'MODULE',
    group: SERVICE,
    summary: 'handler module for HTTP instead of the example',
    read: readText,
    fallback: null,
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SERVICE,
    summary: 'certificate chain (PEM): TCP, HTTP and RPC speak TLS',
    read: readText,
    fallback: null,
  },
  tlsKey: {
    flag: 'tls-key',
    value: 'FILE',
    group: SERVICE,
    summary: 'private key of --tls-cert (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: SERVICE,
    summary: 'clients must show a certificate signed by one of these (PEM)',
    read: readText,
    fallback: null,
  },
  connectionsMax: {
    flag: 'max-connections',
    value: 'N',
    group: LIMITS,
    summary: 'connections of each listener',
    read: readCount(1, 10_000_000),
    fallback: CONNECTIONS_MAX,
    fallbackText: String(CONNECTIONS_MAX),
  },
  connectionsPerAddressMax: {
    flag: 'max-connections-per-address',
    value: 'N',
    group: LIMITS,
    summary: 'connections of one remote address',
    read: readCount(1, 10_000_000),
    fallback: CONNECTIONS_PER_ADDRESS_MAX,
    fallbackText: String(CONNECTIONS_PER_ADDRESS_MAX),
  },
  frameBytesMax: {
    flag: 'max-frame-bytes',
    value: 'BYTES',
    group: LIMITS,
    summary: 'body of one frame',
    read: readBytes(1, OUTPUT_HARD_CAP_BYTES - 1),
    fallback: FRAME_BYTES_MAX,
    fallbackText: '1MiB',
  },
  idleTimeoutMs: {
    flag: 'idle-timeout',
    value: 'TIME',
    group: LIMITS,
    summary: 'close a TLV connection without traffic; 0 never',
    read: readDuration,
    fallback: 0,
    fallbackText: '0',
  },
  drainTimeoutMs: drainTimeoutFlag('to finish what is under way'),
  statsIntervalMs: {
    flag: 'stats-interval',
    value: 'TIME',
    group: RUNNING,
    summary: 'how often live figures are shown; 0 never',
    read: readDuration,
    fallback: 1000,
    fallbackText: '1s',
  },
  logLevel: LOG_LEVEL_FLAG,
  json: JSON_FLAG,
  processIndex: {
    flag: 'process-index',
    value: 'N',
    group: SPREAD,
    summary: 'set by the process master',
    hidden: true,
    read: readCount(0, 255),
    fallback: null,
  },
};
