// The pages for users name every option, and give the defaults that hold.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  BALANCERS,
  CircuitBreaker,
  ConcurrencyLimiter,
  createBalancer,
  fallback,
  HedgingPolicy,
  InstanceSelector,
  limitRate,
  OutlierDetector,
  RetryBudget,
  RetryPolicy,
  type RpcError,
} from '../../../rpc/index.js';

function page(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
}

/** All options there are: the error about one that does not exist lists them. */
function optionsOf(make: (options: object) => unknown): string[] {
  try {
    make({ noSuchOption: 1 });
  } catch (error) {
    return (error as RpcError).message.split('there are ')[1]!.split(', ');
  }
  throw new Error('an option that does not exist was taken');
}

function assertNamed(text: string, names: readonly string[], prefix = ''): void {
  for (const name of names) {
    assert(
      text.includes(`\`${prefix}${name}`) || text.includes(`.${name}`),
      `${prefix}${name} is not described`,
    );
  }
}

test('docs/rpc-balancing.md names every balancer and every option', () => {
  const text = page('rpc-balancing.md');
  assertNamed(text, BALANCERS);
  const anyBalancer = createBalancer('random', Math.random);
  assertNamed(
    text,
    optionsOf((options) => createBalancer('random', Math.random, options)),
  );
  assertNamed(
    text,
    optionsOf((options) => new OutlierDetector(options)),
  );
  assertNamed(
    text,
    optionsOf((options) => new CircuitBreaker(options)),
  );
  const selector = optionsOf((options) => new InstanceSelector('', anyBalancer, options));
  for (const name of selector) assert(text.includes(name), `${name} is not described`);
});

test('docs/rpc-retries.md names every option', () => {
  const text = page('rpc-retries.md');
  assertNamed(
    text,
    optionsOf((options) => new RetryPolicy(Math.random, options)),
  );
  assertNamed(
    text,
    optionsOf((options) => new RetryBudget(options)),
  );
  assertNamed(
    text,
    optionsOf((options) => new HedgingPolicy(options)),
  );
  assertNamed(
    text,
    optionsOf((options) => limitRate(options)),
  );
  for (const name of optionsOf((options) => fallback(() => 0, options))) assertNamed(text, [name]);
  assertNamed(
    text,
    optionsOf((options) => new ConcurrencyLimiter(options)).filter((name) => name !== 'auto'),
  );
  assertNamed(
    text,
    optionsOf((auto) => new ConcurrencyLimiter({ limit: 'auto', auto })),
    'auto.',
  );
});
