// The options of a pool with their defaults, checked once. Pure.

import { RpcError } from '../errors.js';
import { invalidOption } from '../option-checks.js';

export interface PoolOptions {
  /**
   * 'multiplexed': calls share connections, each call goes to the one with the fewest. 'exclusive': a connection is
   * lent to one borrower until it is released. Default 'multiplexed'.
   */
  mode?: 'multiplexed' | 'exclusive';
  /** Connections kept open to a host while it is in use. Default 2. */
  connectionsMin?: number;
  /** Connections to a host that may exist at once, dialling and draining ones included. Default 10. */
  connectionsMax?: number;
  /** The same for all hosts together. Default Infinity. */
  connectionsTotalMax?: number;
  /** Calls on every connection of a host above which one more is dialled; 'multiplexed' only. Default Infinity. */
  callsPerConnectionSoftMax?: number;
  /** From the start of a dial until HELLO is done, in ms. Default 10,000. */
  connectTimeoutMs?: number;
  /** How long an acquire may wait, in ms. Default 5,000. */
  acquireTimeoutMs?: number;
  /** Acquires that may wait for one host; one more fails with RPC_QUEUE_FULL. Default 10,000. */
  waitersMax?: number;
  /** A connection without a call for this long is closed, in ms. Default 300,000. */
  idleTimeoutMs?: number;
  /** Age at which a connection is replaced, in ms, give or take a tenth; 0: never. Default 1,800,000 (30 min). */
  lifetimeMs?: number;
  /** A connection that was silent for this long is pinged before it is used again, in ms. Default 10,000. */
  verifyAfterMs?: number;
  /** How long the answer to that ping may take, in ms. Default 2,000. */
  verifyTimeoutMs?: number;
  /** Milliseconds between two rounds of the cleaner. Default 30,000. */
  cleanEveryMs?: number;
  /** Delay after the first failed connect, in ms. Default 1,000. */
  backoffFirstMs?: number;
  /** Growth of that delay with each further failure. Default 1.6. */
  backoffFactor?: number;
  /** The longest such delay, in ms. Default 120,000. */
  backoffMaxMs?: number;
  /** Share of such a delay that is left to chance, 0 to 1. Default 0.2. */
  backoffJitter?: number;
  /** Dials to one host at once and then per second, whatever the reason. Default `connectionsMax`, at least 10. */
  dialsPerSecondMax?: number;
  /** Failed connects and lost connections within `quarantineWindowMs` that begin a quarantine. Default 5. */
  quarantineFailures?: number;
  /** In ms. Default 1,000. */
  quarantineWindowMs?: number;
  /** A quarantine lasts a random share of this at least, and waiting in one longer by such a share; ms. Default 50. */
  quarantineJitterMs?: number;
  /** Told of what an operator may want to know. Default: nobody. */
  onEvent?: (event: PoolEvent) => void;
}

export type CompletePoolOptions = Required<PoolOptions>;

export type PoolEvent =
  | { readonly kind: 'connect-failed'; readonly instanceId: string; readonly error: RpcError }
  | { readonly kind: 'connection-lost'; readonly instanceId: string; readonly error: RpcError }
  | { readonly kind: 'quarantine-began'; readonly instanceId: string; readonly error: RpcError }
  | { readonly kind: 'quarantine-ended'; readonly instanceId: string };

export const POOL_DEFAULTS: Omit<CompletePoolOptions, 'dialsPerSecondMax'> = {
  mode: 'multiplexed',
  connectionsMin: 2,
  connectionsMax: 10,
  connectionsTotalMax: Infinity,
  callsPerConnectionSoftMax: Infinity,
  connectTimeoutMs: 10_000,
  acquireTimeoutMs: 5_000,
  waitersMax: 10_000,
  idleTimeoutMs: 300_000,
  lifetimeMs: 1_800_000,
  verifyAfterMs: 10_000,
  verifyTimeoutMs: 2_000,
  cleanEveryMs: 30_000,
  backoffFirstMs: 1_000,
  backoffFactor: 1.6,
  backoffMaxMs: 120_000,
  backoffJitter: 0.2,
  quarantineFailures: 5,
  quarantineWindowMs: 1_000,
  quarantineJitterMs: 50,
  onEvent: () => {},
};

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function completePoolOptions(options: PoolOptions): CompletePoolOptions {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(POOL_DEFAULTS, name) && name !== 'dialsPerSecondMax') {
      const known = [...Object.keys(POOL_DEFAULTS), 'dialsPerSecondMax'].join(', ');
      throw invalidOption('pool', name, `does not exist; there are ${known}`);
    }
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const merged = { ...POOL_DEFAULTS, ...(given as PoolOptions) };
  const complete = {
    ...merged,
    dialsPerSecondMax: merged.dialsPerSecondMax ?? Math.max(10, merged.connectionsMax),
  };
  if (complete.mode !== 'multiplexed' && complete.mode !== 'exclusive')
    throw invalid('mode', "'multiplexed' or 'exclusive'", complete.mode);
  for (const [name, value] of Object.entries(complete)) {
    const kind = name === 'mode' ? 'string' : name === 'onEvent' ? 'function' : 'number';
    if (typeof value !== kind) throw invalid(name, `of type ${kind}`, value);
  }
  for (const name of WHOLE_FROM_0)
    check(complete, name, isWhole(complete[name], 0), 'a whole number, 0 or more');
  for (const name of WHOLE_FROM_1)
    check(complete, name, isWhole(complete[name], 1), 'a whole number, 1 or more');
  for (const name of ABOVE_0) check(complete, name, complete[name] > 0, 'a number above 0');
  for (const name of FINITE_FROM_0)
    check(
      complete,
      name,
      complete[name] >= 0 && complete[name] < Infinity,
      'a finite number of ms, 0 or more',
    );
  for (const name of FINITE_ABOVE_0)
    check(complete, name, complete[name] > 0 && complete[name] < Infinity, 'a finite number of ms above 0');
  check(
    complete,
    'backoffFactor',
    complete.backoffFactor >= 1 && complete.backoffFactor < Infinity,
    'at least 1',
  );
  check(complete, 'backoffJitter', complete.backoffJitter >= 0 && complete.backoffJitter <= 1, 'from 0 to 1');
  check(
    complete,
    'backoffMaxMs',
    complete.backoffMaxMs >= complete.backoffFirstMs,
    `at least backoffFirstMs (${complete.backoffFirstMs})`,
  );
  check(
    complete,
    'connectionsMin',
    complete.connectionsMin <= complete.connectionsMax,
    `at most connectionsMax (${complete.connectionsMax})`,
  );
  return complete;
}

const WHOLE_FROM_0 = ['connectionsMin', 'waitersMax'] as const;
const WHOLE_FROM_1 = ['connectionsMax', 'connectionsTotalMax', 'quarantineFailures'] as const;
const ABOVE_0 = ['callsPerConnectionSoftMax', 'verifyAfterMs', 'idleTimeoutMs', 'dialsPerSecondMax'] as const;
const FINITE_FROM_0 = ['lifetimeMs', 'quarantineJitterMs', 'backoffFirstMs', 'backoffMaxMs'] as const;
const FINITE_ABOVE_0 = [
  'connectTimeoutMs',
  'acquireTimeoutMs',
  'verifyTimeoutMs',
  'cleanEveryMs',
  'quarantineWindowMs',
] as const;

/** Infinity counts as whole: it means no limit. */
function isWhole(value: number, least: number): boolean {
  return value >= least && (Number.isInteger(value) || value === Infinity);
}

function check(options: CompletePoolOptions, name: keyof PoolOptions, isRight: boolean, right: string): void {
  if (!isRight) throw invalid(name, right, options[name]);
}

function invalid(name: string, right: string, value: unknown): RpcError {
  return new RpcError('RPC_OPTION_INVALID', `pool option ${name} must be ${right}, not ${String(value)}`, {
    executed: 'no',
  });
}
