// The balancers by name, and a user's own by module.
// client/ calls it with the name or module of its options; 'peak-ewma' is what it should default to.

import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { RpcError } from '../errors.js';
import { checkChoice, withDefaults } from '../option-checks.js';
import type { Balancer, BalancerFactory } from './balancer.js';
import { ConsistentHashBalancer } from './consistent-hash.js';
import { LatestUsedBalancer } from './latest-used.js';
import { LeastRequestsBalancer } from './least-requests.js';
import { PeakEwmaBalancer } from './peak-ewma.js';
import { RoundRobinBalancer } from './round-robin.js';
import { SmoothWeightedBalancer } from './smooth-wrr.js';
import { WeightedRandomBalancer } from './weighted-random.js';

/** The balancers that have a name. */
export const BALANCERS = [
  'random',
  'round-robin',
  'latest-used',
  'smooth-weighted-round-robin',
  'least-requests',
  'peak-ewma',
  'consistent-hash',
] as const;
export type BalancerName = (typeof BALANCERS)[number];

export interface BalancerOptions {
  /** 'least-requests': how many are compared, 2 to 10. Default 2 (gRPC A48). */
  choiceCount?: number;
  /** 'peak-ewma': after this time a latency counts for 37 %. Default 10 s (brpc). */
  tauMs?: number;
  /** 'peak-ewma': a failed call counts as an answer that took at least this long. Default 1 s. */
  failurePenaltyMs?: number;
  /** 'consistent-hash': points on the ring of an instance of weight 1. Default 100 (brpc). */
  pointsPerWeight?: number;
  /** 'consistent-hash': no more than this times the fair share of calls under way; above 1. Default 0, no bound. */
  loadFactor?: number;
}

const DEFAULTS: Required<BalancerOptions> = {
  choiceCount: 2,
  tauMs: 10_000,
  failurePenaltyMs: 1_000,
  pointsPerWeight: 100,
  loadFactor: 0,
};

/**
 * @param random uniform in [0, 1)
 * @throws RpcError RPC_OPTION_INVALID
 */
export function createBalancer(
  name: BalancerName,
  random: () => number,
  options: BalancerOptions = {},
): Balancer {
  checkChoice('client', 'balancer', name, BALANCERS);
  const complete = withDefaults('balancer', DEFAULTS, options);
  switch (name) {
    case 'random':
      return new WeightedRandomBalancer(random);
    case 'round-robin':
      return new RoundRobinBalancer(random);
    case 'latest-used':
      return new LatestUsedBalancer(random);
    case 'smooth-weighted-round-robin':
      return new SmoothWeightedBalancer(random);
    case 'least-requests':
      return new LeastRequestsBalancer(random, complete.choiceCount);
    case 'peak-ewma':
      return new PeakEwmaBalancer(random, complete);
    case 'consistent-hash':
      return new ConsistentHashBalancer(random, complete);
    default:
      return name satisfies never;
  }
}

/**
 * The factory that a configuration means: the name of a balancer, or a module whose default export is a
 * `BalancerFactory`, by URL or by path (relative to the working directory).
 * @throws RpcError RPC_OPTION_INVALID: no such module, or it has no such default export
 */
export async function loadBalancer(
  specifier: string | URL,
  options: BalancerOptions = {},
): Promise<BalancerFactory> {
  const name = BALANCERS.find((each) => each === specifier);
  if (name !== undefined) return (random) => createBalancer(name, random, options);
  const href = hrefOf(specifier);
  const shown = String(specifier);
  let module: { readonly default?: unknown };
  try {
    module = (await import(href)) as { readonly default?: unknown };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const names = BALANCERS.join(', ');
    throw invalid(`${shown} is none of ${names}, and as a module it cannot be loaded: ${reason}`, cause);
  }
  const factory = module.default;
  if (typeof factory !== 'function') {
    throw invalid(`${shown} has no default export that is a function (random) => Balancer`);
  }
  return (random) => {
    const balancer = (factory as BalancerFactory)(random); // what it returns is checked next
    if (typeof (balancer as Partial<Balancer> | undefined)?.pick === 'function') return balancer;
    throw invalid(`what ${shown} made has no method pick`);
  };
}

function hrefOf(specifier: string | URL): string {
  if (specifier instanceof URL) return specifier.href;
  return /^[a-z][a-z0-9+.-]+:/i.test(specifier) ? specifier : pathToFileURL(path.resolve(specifier)).href;
}

function invalid(message: string, cause?: unknown): RpcError {
  return new RpcError('RPC_OPTION_INVALID', `client option balancer: ${message}`, { executed: 'no', cause });
}
