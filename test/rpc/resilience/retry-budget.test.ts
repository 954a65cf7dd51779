// Retries must not multiply an overload: acceptance scenario 7.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CallHedges,
  CallRetries,
  createBalancer,
  HedgingPolicy,
  InstanceSelector,
  isInstanceFailure,
  RetryBudget,
  RetryPolicy,
  RpcError,
} from '../../../rpc/index.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { instance, request } from '../balance/candidates.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);

function spend(budget: RetryBudget, failures: number): void {
  for (let each = 0; each < failures; each += 1) budget.failed();
}

test('retries stop at half of the tokens, and ten good calls bring one back', () => {
  const budget = new RetryBudget();
  spend(budget, 4);
  assert.equal(budget.allowsRetry, true);
  spend(budget, 1);
  assert.equal(budget.allowsRetry, false); // exactly half
  for (let call = 0; call < 10; call += 1) budget.succeeded();
  assert.equal(budget.allowsRetry, true);
});

test('tokens stay between none and the maximum', () => {
  const budget = new RetryBudget({ tokensMax: 4, tokenRatio: 3 });
  budget.succeeded();
  assert.equal(budget.tokens, 4);
  spend(budget, 9);
  assert.equal(budget.tokens, 0);
  budget.succeeded();
  budget.succeeded();
  assert.equal(budget.tokens, 4);
});

test('impossible options are refused with their name', () => {
  for (const options of [{ tokensMax: 0 }, { tokensMax: 1001 }, { tokenRatio: 0 }]) {
    const name = Object.keys(options)[0]!;
    assert.throws(() => new RetryBudget(options), { code: 'RPC_OPTION_INVALID', message: new RegExp(name) });
  }
});

interface Outcome {
  readonly calls: number;
  attempts: number;
  failedCalls: number;
}

/** Calls one after the other against instances that fail with `failureShare`, with selector, retries and budget. */
function run(calls: number, failureShare: (nowMs: number) => number, budget: RetryBudget | null): Outcome {
  const random = new SeededRandom(SEED);
  const fraction = (): number => random.fraction();
  const selector = new InstanceSelector('demo.Greeter', createBalancer('peak-ewma', fraction), {
    outlier: { ejectedMaxPercent: 100 },
  });
  selector.update(['a', 'b', 'c', 'd', 'e'].map((id) => instance(id)));
  const policy = new RetryPolicy(fraction, { attemptsMax: 5 });
  const outcome: Outcome = { calls, attempts: 0, failedCalls: 0 };
  for (let call = 0; call < calls; call += 1) {
    let nowMs = call;
    const bucket = budget ?? new RetryBudget(); // without: a new one each time allows everything
    const state = new CallRetries(policy, bucket, { isIdempotent: true, previousAttempts: 0 });
    const tried = new Set<string>();
    for (;;) {
      const candidate = selector.pick(request(nowMs), tried);
      tried.add(candidate.instance.id);
      selector.started(candidate);
      outcome.attempts += 1;
      const fails = random.chance(failureShare(nowMs));
      const error = new RpcError('RPC_UNAVAILABLE', 'on purpose');
      selector.finished(candidate, { latencyMs: 1, isFailure: fails && isInstanceFailure(error), nowMs });
      if (!fails) {
        bucket.succeeded();
        break;
      }
      const decision = state.afterFailure({
        error,
        wasSent: true,
        isCommitted: false,
        isReplayable: true,
        isCounted: false,
        remainingMs: 10_000,
        untriedCount: selector.untriedCount(tried, nowMs),
      });
      if (decision.kind !== 'retry') {
        outcome.failedCalls += 1;
        break;
      }
      nowMs += decision.afterMs;
    }
  }
  return outcome;
}

test(`with everything failing at once there are at most 1.2 attempts per call (seed ${SEED})`, () => {
  const { calls, attempts } = run(2000, () => 1, new RetryBudget());
  assert(attempts <= 1.2 * calls, `${attempts} attempts for ${calls} calls`);
});

test('without a budget the same failure makes five attempts of every call: the test above can fail', () => {
  const { calls, attempts } = run(200, () => 1, null);
  assert.equal(attempts, 5 * calls);
});

test(`an outage in the middle of good times, too, and afterwards retries work again (seed ${SEED})`, () => {
  const outage = (nowMs: number): number => (nowMs >= 2000 && nowMs < 4000 ? 1 : 0.02);
  const { calls, attempts } = run(8000, outage, new RetryBudget());
  assert(attempts <= 1.2 * calls, `${attempts} attempts for ${calls} calls`);
});

test(`a few failures among many good calls are all made good (seed ${SEED})`, () => {
  const { failedCalls, attempts, calls } = run(5000, () => 0.02, new RetryBudget());
  assert.equal(failedCalls, 0);
  assert(attempts > calls);
});

test('half of the calls failing is past what a budget of a tenth makes good', () => {
  const { attempts, calls, failedCalls } = run(5000, () => 0.5, new RetryBudget());
  assert(attempts <= 1.2 * calls, `${attempts} attempts for ${calls} calls`);
  assert(failedCalls > 0.3 * calls);
});

test('hedges take from the same budget', () => {
  const budget = new RetryBudget();
  const policy = new HedgingPolicy({ ratioMax: 1 });
  const hedges = new CallHedges(policy, budget, { isIdempotent: true, previousAttempts: 0 });
  assert.equal(hedges.begin(0), 100);
  spend(budget, 5);
  assert.equal(hedges.takeNext(100, 1000), false);
});
