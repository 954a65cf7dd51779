// The flags that the tools for calls share: which server, how to reach it, where its contract comes from.
// rpc-tool-command.ts declares the commands with them; rpc-connection.ts and rpc-contract-source.ts act on them.

import { TRANSPORTS, type TransportName } from '../reactor/index.js';
import type { ArgsContext } from './command-spec.js';
import {
  type FlagTable,
  readBytes,
  readChoice,
  readList,
  readSeconds,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import { refuseUnreadable } from './readable-file.js';
import { CONTRACT_FLAGS } from './rpc-contract-command.js';
import { checkKeyPair } from './running-flags.js';

/** One header of `--header`: text, or bytes where the name ends in -bin. */
export type Header = readonly [name: string, value: string | Uint8Array];

export interface TargetFlags {
  target: string | null;
  registry: string | null;
  /** Speak gRPC over HTTP/2 instead of our own wire. */
  grpc: boolean;
  transport: TransportName;
  serializer: 'protobuf' | 'json';
  /** Empty: the server is asked. */
  proto: readonly string[];
  importPaths: readonly string[];
  headers: readonly Header[];
  /** Null: as the command sees fit, TIMEOUT_MS in general. */
  timeoutMs: number | null;
  messageBytesMax: number;
  tokenFile: string | null;
  tls: boolean;
  tlsCa: string | null;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsServerName: string | null;
  json: boolean;
}

const WHERE = 'The server:';
const CONTRACT = 'What it serves:';
const CALLS = 'Calls:';
const SECURITY = 'Who is who:';
const MESSAGE_BYTES_MAX = 4 * 1024 ** 2;
/** Of calls without streams, and of everything that is asked before. */
export const TIMEOUT_MS = 10_000;

export const TARGET_FLAGS: FlagTable<TargetFlags> = {
  target: {
    flag: 'target',
    value: 'T',
    group: WHERE,
    summary: 'host:port, several with commas, dns:NAME:PORT, unix:/PATH, file:PATH or registry:SERVICE',
    read: readText,
    fallback: null,
  },
  registry: {
    flag: 'registry',
    value: 'H:P,…',
    group: WHERE,
    summary: 'the registry that --target registry:SERVICE asks',
    read: readText,
    fallback: null,
  },
  grpc: {
    flag: 'grpc',
    group: WHERE,
    summary: 'it is an ordinary gRPC server',
    read: readSwitch,
    fallback: false,
  },
  transport: {
    flag: 'transport',
    value: 'NAME',
    group: WHERE,
    summary: `what moves the bytes: ${TRANSPORTS.join(', ')}`,
    choices: TRANSPORTS,
    read: readChoice(TRANSPORTS),
    fallback: 'net',
    fallbackText: 'net',
  },
  serializer: {
    flag: 'serializer',
    value: 'NAME',
    group: WHERE,
    summary: 'how messages cross: protobuf or json',
    choices: ['protobuf', 'json'],
    read: readChoice(['protobuf', 'json'] as const),
    fallback: 'protobuf',
    fallbackText: 'protobuf',
  },
  proto: {
    flag: 'proto',
    value: 'FILE,…',
    group: CONTRACT,
    summary: '.proto files; without, the server is asked by reflection',
    repeats: true,
    read: readList,
    fallback: [],
    fallbackText: 'reflection',
  },
  importPaths: { ...CONTRACT_FLAGS.importPaths, group: CONTRACT },
  headers: {
    flag: 'header',
    value: 'NAME: VALUE',
    group: CALLS,
    summary: 'metadata to send along, base64 where the name ends in -bin; may be repeated',
    repeats: true,
    read: (text) => text.split('\n').map(readHeader),
    fallback: [],
  },
  timeoutMs: {
    flag: 'timeout',
    value: 'TIME',
    group: CALLS,
    summary: 'deadline of each call, in seconds or such as 500ms',
    read: readSeconds,
    fallback: null,
    fallbackText: '10s',
  },
  messageBytesMax: {
    flag: 'max-message-bytes',
    value: 'BYTES',
    group: CALLS,
    summary: 'longest message received',
    read: readBytes(1, 2 ** 30),
    fallback: MESSAGE_BYTES_MAX,
    fallbackText: '4MiB',
  },
  tokenFile: {
    flag: 'token-file',
    value: 'FILE',
    group: SECURITY,
    summary: 'holds the token to show',
    read: readText,
    fallback: null,
  },
  tls: {
    flag: 'tls',
    group: SECURITY,
    summary: 'speak TLS, and trust the authorities that Node trusts; any of the following speaks TLS too',
    read: readSwitch,
    fallback: false,
  },
  tlsCa: {
    flag: 'tls-ca',
    value: 'FILE',
    group: SECURITY,
    summary: 'authorities to trust (PEM)',
    read: readText,
    fallback: null,
  },
  tlsCert: {
    flag: 'tls-cert',
    value: 'FILE',
    group: SECURITY,
    summary: 'our certificate chain (PEM)',
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
  tlsServerName: {
    flag: 'tls-server-name',
    value: 'NAME',
    group: SECURITY,
    summary: "name to find in the server's certificate",
    read: readText,
    fallback: null,
    fallbackText: 'the host of --target',
  },
  json: { ...CONTRACT_FLAGS.json, group: CALLS },
};

const HEADER = /^([0-9a-z_.-]{1,255})\s*:\s*([\x20-\x7e]*)$/i;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** `authorization: Bearer abc`, `trace-bin: AAEC`. */
function readHeader(text: string): Header {
  const [, name, value] = HEADER.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new UsageError(`"${text}" should be NAME: VALUE, such as 'tenant: blue', in printable ASCII`);
  }
  if (!name.toLowerCase().endsWith('-bin')) return [name, value];
  if (BASE64.test(value) && value.replace(/=+$/, '').length % 4 !== 1)
    return [name, Uint8Array.from(Buffer.from(value, 'base64'))];
  throw new UsageError(`"${text}" should have its value in base64, as its name ends in -bin`);
}

/** What must agree among them. @throws UsageError */
export function checkTarget(flags: TargetFlags, context: ArgsContext, needsServer: boolean): void {
  const { target, registry, grpc, transport, serializer } = flags;
  if (target === null && needsServer)
    throw new UsageError('--target: name the server, such as --target localhost:9090');
  const isRegistered = target?.toLowerCase().startsWith('registry:') === true;
  if (isRegistered && registry === null)
    throw new UsageError('--target: registry: needs --registry H:P as well');
  if (!isRegistered && registry !== null)
    throw new UsageError('--registry: is for --target registry:SERVICE');
  if (grpc && isRegistered) throw new UsageError('--grpc: takes no --target registry:; name host:port');
  if (grpc && transport !== 'net') throw new UsageError('--transport: --grpc has its own; leave it out');
  if (grpc && serializer !== 'protobuf') throw new UsageError('--serializer: --grpc speaks protobuf only');
  checkKeyPair(flags);
  if (transport === 'epoll' && isTls(flags))
    throw new UsageError('--transport: epoll speaks no TLS; leave it out');
  for (const key of ['tokenFile', 'tlsCa', 'tlsCert', 'tlsKey'] as const)
    refuseUnreadable(TARGET_FLAGS[key].flag, flags[key], context);
}

export function isTls({ tls, tlsCa, tlsCert, tlsServerName }: TargetFlags): boolean {
  return tls || tlsCa !== null || tlsCert !== null || tlsServerName !== null;
}
