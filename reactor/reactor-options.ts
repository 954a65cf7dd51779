// The options of a reactor, their defaults and their checks: the one edge where they may be incomplete.
// reactor.ts resolves what the user gave before it makes anything that would have to be closed again.

import { availableParallelism } from 'node:os';

import { type Addon } from '../addon/index.js';
import { Backoff, type BackoffOptions, RESTART_BACKOFF } from './backoff.js';
import type { BufferPoolOptions } from './buffer-pool.js';
import { createDispatch, type DispatchFunction, type DispatchPolicy } from './dispatch.js';
import { ReactorError } from './errors.js';
import { poolBytesMaxDefault, SPIN_MICROS_MAX, THREADS_MAX } from './limits.js';
import { NODE_HAS_REUSE_PORT } from './listening-socket.js';
import type { Logger } from './logger.js';
import { checkOptionTypes } from './option-types.js';

/** How bytes travel. 'net' is node:net and runs everywhere; 'epoll' is native, Linux with the addon. */
export type TransportName = 'net' | 'epoll';
export const TRANSPORTS: readonly TransportName[] = ['net', 'epoll'];

/**
 * Who accepts. 'master': the main thread, which gives each connection to the thread that `dispatch` names.
 * 'reuseport': every sub-reactor on a socket of its own, the kernel spreads by a hash of the addresses.
 * 'shared': every sub-reactor on one common socket, whoever is first.
 */
export type AcceptMode = 'master' | 'reuseport' | 'shared';
export const ACCEPT_MODES: readonly AcceptMode[] = ['master', 'reuseport', 'shared'];

export interface ReactorOptions {
  /** Sub-reactors, one thread each; 0 runs everything on the calling thread. Default: one per processor. */
  threads?: number;
  /** Default 'master'. */
  accept?: AcceptMode;
  /** For 'master'. Default 'round-robin'. */
  dispatch?: DispatchPolicy;
  /** Default 'net'. */
  transport?: TransportName;
  /**
   * Microseconds for which a sub-reactor on transport 'epoll' looks for more input after each batch, at most three
   * times in a row, before it sleeps. A request that comes within that time is answered without a wake-up, and a
   * thread whose peers answer at once keeps a processor busy; tasks and timers wait meanwhile. Up to 1000.
   * Default 0: it sleeps.
   */
  spinMicros?: number;
  /** Ties sub-reactor i to processor i modulo their number. Default false. */
  pin?: boolean;
  /** Bytes the buffer pools of all threads may own. Default 5 GiB or a quarter of memory, the smaller. */
  poolBytesMax?: number;
  pool?: BufferPoolOptions;
  /** Waits before a sub-reactor that ended is started again. Default 100 ms doubling to 10 s, jittered. */
  restartBackoff?: BackoffOptions;
  /** Where troubles are told. Default: nowhere; every one is counted all the same. */
  logger?: Logger;
}

/** The options once they are complete. */
export interface ReactorSettings {
  readonly threads: number;
  readonly accept: AcceptMode;
  readonly dispatch: DispatchFunction;
  readonly transport: TransportName;
  readonly spinMicros: number;
  readonly pin: boolean;
  readonly poolBytesMax: number;
  readonly pool: BufferPoolOptions;
  readonly restartBackoff: BackoffOptions;
  readonly logger: Logger | null;
}

/** `addon` decides how many threads can be served at all. @throws ReactorError REACTOR_OPTION_INVALID */
export function resolveReactorOptions(options: ReactorOptions, addon: Addon | null): ReactorSettings {
  checkOptionTypes(options, {
    pin: 'boolean',
    poolBytesMax: 'number',
    pool: 'object',
    restartBackoff: 'object',
    logger: 'object',
  });
  const restartBackoff = { ...RESTART_BACKOFF, ...options.restartBackoff };
  const transport = resolveTransport(options.transport, addon);
  void new Backoff(Math.random, restartBackoff); // judged here; each thread makes its own
  return {
    threads: threadCount(options, addon),
    accept: choice('accept', options.accept ?? 'master', ACCEPT_MODES),
    dispatch: createDispatch(options.dispatch ?? 'round-robin'),
    transport,
    spinMicros: spinMicros(options.spinMicros ?? 0, transport),
    pin: options.pin ?? false,
    poolBytesMax: options.poolBytesMax ?? poolBytesMaxDefault(),
    pool: options.pool ?? {},
    restartBackoff,
    logger: options.logger ?? null,
  };
}

/** @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_ADDON_MISSING */
export function resolveTransport(asked: TransportName | undefined, addon: Addon | null): TransportName {
  const transport = choice('transport', asked ?? 'net', TRANSPORTS);
  if (transport === 'epoll' && addon === null) {
    throw new ReactorError(
      'REACTOR_ADDON_MISSING',
      "transport 'epoll' needs the native addon; 'net' does not",
    );
  }
  return transport;
}

function threadCount({ threads = availableParallelism() }: ReactorOptions, addon: Addon | null): number {
  if (!Number.isInteger(threads) || threads < 0 || threads > THREADS_MAX) {
    throw new ReactorError(
      'REACTOR_OPTION_INVALID',
      `threads must be an integer from 0 to ${THREADS_MAX}, not ${threads}`,
    );
  }
  if (threads === 0 || addon !== null) return threads;
  if (NODE_HAS_REUSE_PORT) return threads; // every thread accepts for itself, through Node
  return 0; // no descriptor can be handed over: one thread serves, fewer but whole; loadAddon() has said why
}

function spinMicros(asked: number, transport: TransportName): number {
  if (!Number.isInteger(asked) || asked < 0 || asked > SPIN_MICROS_MAX) {
    throw new ReactorError(
      'REACTOR_OPTION_INVALID',
      `spinMicros must be an integer from 0 to ${SPIN_MICROS_MAX}, not ${asked}`,
    );
  }
  if (asked > 0 && transport !== 'epoll') {
    throw new ReactorError('REACTOR_OPTION_INVALID', "spinMicros needs transport 'epoll'");
  }
  return asked;
}

function choice<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new ReactorError(
    'REACTOR_OPTION_INVALID',
    `${name} must be one of ${allowed.join(', ')}, not '${value}'`,
  );
}
