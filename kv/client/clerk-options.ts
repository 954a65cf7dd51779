// The options of a Clerk with their defaults, checked once.

import type { EventLoop, TlsClientOptions, TransportName } from '../../reactor/index.js';
import { KvError } from '../errors.js';
import {
  SESSION_TTL_MS_DEFAULT,
  SESSION_TTL_MS_MAX,
  SESSION_TTL_MS_MIN,
} from '../machine/native/native-limits.js';

export interface ClerkOptions {
  /** RPC addresses of members, `host:port`; some are enough, others are learned. */
  readonly endpoints: readonly string[];
  /** Of the cluster, as its members say it. Default: what the first member that answers says of itself. */
  readonly clusterId?: number | string;
  /** Milliseconds for a request, all attempts together, unless it says otherwise. Default 10,000. */
  readonly timeoutMs?: number;
  /** Milliseconds after which a member that does not answer is given up for another one. Default 4,000. */
  readonly attemptTimeoutMs?: number;
  /** Of the session in which writes are made, in milliseconds, 1,000 to 86,400,000. Default 60,000. */
  readonly sessionTtlMs?: number;
  /** False: writes are made outside of sessions and never repeated once they may have been carried out. Default true. */
  readonly session?: boolean;
  /** Requests under way or waiting; one more fails with KV_QUEUE_FULL. Default 10,000. */
  readonly pendingMax?: number;
  /** Pause before the second attempt that waits, in milliseconds; doubles up to `backoffMaxMs`. Default 25. */
  readonly backoffFirstMs?: number;
  /** Default 1,000. */
  readonly backoffMaxMs?: number;
  /** Ask leaders that members name and `endpoints` does not. Off where clients reach members by other addresses. Default true. */
  readonly followsUnlisted?: boolean;
  /** Shown to members that ask for one. */
  readonly token?: string;
  readonly tls?: TlsClientOptions;
  /** Default 'net'. */
  readonly transport?: TransportName;
  /** Inside a handler module: its loop. */
  readonly loop?: EventLoop;
  /** 0 up to 1. Default Math.random. */
  readonly random?: () => number;
}

export type CompleteClerkOptions = Required<
  Omit<ClerkOptions, 'clusterId' | 'token' | 'tls' | 'loop' | 'transport'>
> &
  Pick<ClerkOptions, 'token' | 'tls' | 'loop' | 'transport'> & {
    /** '': to be learned. */
    readonly clusterId: string;
  };

const DEFAULTS = {
  timeoutMs: 10_000,
  attemptTimeoutMs: 4_000,
  sessionTtlMs: SESSION_TTL_MS_DEFAULT,
  session: true,
  pendingMax: 10_000,
  backoffFirstMs: 25,
  backoffMaxMs: 1_000,
  followsUnlisted: true,
  random: Math.random,
} as const;

/** @throws KvError KV_OPTION_INVALID naming the option */
export function completeClerkOptions(options: ClerkOptions): CompleteClerkOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const complete = { ...DEFAULTS, ...given } as CompleteClerkOptions; // each key is of its type, or left to its default
  const { endpoints, sessionTtlMs } = complete;
  const clusterId = String(options.clusterId ?? '');
  if (options.clusterId !== undefined && !CLUSTER_ID.test(clusterId))
    throw invalid('clusterId', 'a whole number above 0');
  if (endpoints.length === 0 || endpoints.some((endpoint) => !ENDPOINT.test(endpoint)))
    throw invalid('endpoints', "a list of 'host:port'");
  for (const name of [
    'timeoutMs',
    'attemptTimeoutMs',
    'pendingMax',
    'backoffFirstMs',
    'backoffMaxMs',
  ] as const) {
    if (!(complete[name] > 0)) throw invalid(name, 'above 0');
  }
  if (!(sessionTtlMs >= SESSION_TTL_MS_MIN && sessionTtlMs <= SESSION_TTL_MS_MAX))
    throw invalid('sessionTtlMs', `${SESSION_TTL_MS_MIN} to ${SESSION_TTL_MS_MAX}`);
  return { ...complete, clusterId, endpoints: [...new Set(endpoints)] };
}

const CLUSTER_ID = /^[1-9]\d{0,15}$/;
const ENDPOINT = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/;

function invalid(name: string, right: string): KvError {
  return new KvError('KV_OPTION_INVALID', `clerk option ${name} should be ${right}`);
}
