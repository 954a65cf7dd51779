// Options of a RESP server, their defaults and their checks: the one edge where they may be incomplete.

import type { TlsServerOptions, TransportName } from '../../reactor/index.js';
import { loadAddon } from '../../addon/index.js';
import { KvError } from '../errors.js';
import { AccessList } from './access-list.js';
import type { RaftAdmin } from './raft-admin.js';
import { CLIENTS_MAX } from './resp-config.js';

export interface RespServerOptions {
  /** Default all addresses. */
  host?: string;
  /** 0 picks a free one. Default 0. */
  port?: number;
  /** Speak TLS, on transport 'net'. */
  tls?: TlsServerOptions;
  /** Default 'epoll' where the addon is there and TLS is not asked for, else 'net'. */
  transport?: TransportName;
  /** Who may do what. Default: everybody everything. */
  access?: AccessList;
  /** What operators' commands reach. Default: they are not offered. */
  admin?: RaftAdmin;
  /** Clients at a time; CONFIG SET maxclients changes it. Default 10,000. */
  clientsMax?: number;
  /** A client that sends nothing for so many seconds is disconnected; 0: never. Default 0. */
  idleSeconds?: number;
  /** Bytes of one command. Default 1.5 MiB. */
  requestBytesMax?: number;
  /** Input of one client that waits behind its commands under way before it is not read. Default 1 MiB. */
  waitingBytesMax?: number;
  /** Memory for requests of all clients that wait or are not whole. Default 256 MiB. */
  inputBytesMax?: number;
  /** Output that waits for a client before it is cut. Default 256 MiB. */
  outputBytesMax?: number;
  /** The same for a subscriber. Default 32 MiB, or 8 MiB for 60 s. */
  subscriberBytesMax?: number;
  subscriberSoftBytes?: number;
  subscriberSoftMs?: number;
  /** From the first byte of a command to its last. Default 60 s. */
  requestTimeoutMs?: number;
  /** From connecting to AUTH, where that is asked for. Default 60 s. */
  authTimeoutMs?: number;
}

type Numbers = Required<Omit<RespServerOptions, 'host' | 'tls' | 'transport' | 'access' | 'admin'>>;

export interface RespSettings extends Numbers {
  readonly host: string | undefined;
  readonly tls: TlsServerOptions | undefined;
  readonly transport: TransportName;
  readonly access: AccessList;
  readonly admin: RaftAdmin | null;
}

const MIB = 2 ** 20;

const DEFAULTS: Numbers = {
  port: 0,
  clientsMax: 10_000,
  idleSeconds: 0,
  requestBytesMax: 1.5 * MIB,
  waitingBytesMax: MIB,
  inputBytesMax: 256 * MIB,
  outputBytesMax: 256 * MIB,
  subscriberBytesMax: 32 * MIB,
  subscriberSoftBytes: 8 * MIB,
  subscriberSoftMs: 60_000,
  requestTimeoutMs: 60_000,
  authTimeoutMs: 60_000,
};
const REQUEST_BYTES_MIN = 64 * 1024;
const REQUEST_BYTES_MAX = 512 * MIB;

/** @throws KvError KV_OPTION_INVALID naming the option */
export function resolveRespOptions(options: RespServerOptions): RespSettings {
  const numbers = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Numbers)[]) {
    const value = options[name] ?? DEFAULTS[name];
    if (!(Number.isSafeInteger(value) && value >= 0))
      throw invalid(`${name} must be a whole number from 0 up, not ${value}`);
    numbers[name] = value;
  }
  if (numbers.clientsMax < 1 || numbers.clientsMax > CLIENTS_MAX)
    throw invalid(`clientsMax must be 1 to ${CLIENTS_MAX}, not ${numbers.clientsMax}`);
  const { requestBytesMax, outputBytesMax, subscriberBytesMax, inputBytesMax } = numbers;
  if (requestBytesMax < REQUEST_BYTES_MIN || requestBytesMax > REQUEST_BYTES_MAX)
    throw invalid(
      `requestBytesMax must be ${REQUEST_BYTES_MIN} to ${REQUEST_BYTES_MAX}, not ${requestBytesMax}`,
    );
  if (inputBytesMax < 2 * requestBytesMax)
    throw invalid(`inputBytesMax must hold two largest requests (${requestBytesMax}), not ${inputBytesMax}`);
  if (subscriberBytesMax > outputBytesMax)
    throw invalid(
      `subscriberBytesMax (${subscriberBytesMax}) must not pass outputBytesMax (${outputBytesMax})`,
    );
  const { host, tls, access = AccessList.open(), admin = null } = options;
  const transport = options.transport ?? (tls === undefined && loadAddon() !== null ? 'epoll' : 'net');
  return { ...numbers, host, tls, transport, access, admin };
}

function invalid(message: string): KvError {
  return new KvError('KV_OPTION_INVALID', message);
}
