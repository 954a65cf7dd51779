// After which failure there is another attempt, and when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  CallRetries,
  type FailedAttempt,
  type RetriedCall,
  RetryBudget,
  type RetryDecision,
  RetryPolicy,
  type RetryOptions,
  RpcError,
  type RpcErrorCode,
  type RpcErrorOptions,
} from '../../../rpc/index.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);
const IDEMPOTENT: RetriedCall = { isIdempotent: true, previousAttempts: 0 };
const NOT_IDEMPOTENT: RetriedCall = { isIdempotent: false, previousAttempts: 0 };
const CHAINED: RetriedCall = { isIdempotent: true, previousAttempts: 1 };

interface Case extends Partial<Omit<FailedAttempt, 'error'>>, RpcErrorOptions {
  readonly code?: RpcErrorCode;
}

/** By default a sent attempt, UNAVAILABLE with an unknown outcome, a second left and no other instance. */
function failed({ code = 'RPC_UNAVAILABLE', ...more }: Case = {}): FailedAttempt {
  return {
    error: new RpcError(code, 'on purpose', more),
    wasSent: more.wasSent ?? true,
    isCommitted: more.isCommitted ?? false,
    isReplayable: more.isReplayable ?? true,
    isCounted: more.isCounted ?? false,
    remainingMs: more.remainingMs ?? 10_000,
    untriedCount: more.untriedCount ?? 0,
  };
}

function retries(
  call: RetriedCall = IDEMPOTENT,
  options: RetryOptions = {},
  budget = new RetryBudget(),
): CallRetries {
  return new CallRetries(new RetryPolicy(() => 0.5, { jitter: 0, ...options }), budget, call);
}

/** `transparent`, the delay, or the reason to stop. */
function told(decision: RetryDecision): string | number {
  switch (decision.kind) {
    case 'transparent':
      return 'transparent';
    case 'retry':
      return decision.afterMs;
    case 'stop':
      return decision.reason;
    default:
      return decision satisfies never;
  }
}

test('the first failure of a call is decided by this table', () => {
  const table: readonly [title: string, call: RetriedCall, failure: Case, decision: string | number][] = [
    ['idempotent and unavailable', IDEMPOTENT, {}, 100],
    ['may have been carried out', NOT_IDEMPOTENT, {}, 'not-idempotent'],
    ['surely not carried out', NOT_IDEMPOTENT, { executed: 'no' }, 100],
    ['an answer, not a failure', IDEMPOTENT, { code: 'RPC_NOT_FOUND' }, 'not-retryable'],
    [
      'an answer, surely not carried out',
      IDEMPOTENT,
      { code: 'RPC_INVALID_ARGUMENT', executed: 'no' },
      'not-retryable',
    ],
    [
      'overload is not retried by default',
      IDEMPOTENT,
      { code: 'RPC_QUEUE_FULL', executed: 'no' },
      'not-retryable',
    ],
    ['a timeout is never retried', IDEMPOTENT, { code: 'RPC_DEADLINE_EXCEEDED', executed: 'no' }, 'deadline'],
    ['cancelled', IDEMPOTENT, { code: 'RPC_CANCELLED' }, 'not-retryable'],
    ['headers were received', IDEMPOTENT, { isCommitted: true }, 'committed'],
    [
      'headers were received, refused',
      IDEMPOTENT,
      { isCommitted: true, executed: 'no', wasSent: false },
      'committed',
    ],
    ['the replay buffer overflowed', IDEMPOTENT, { isReplayable: false }, 'not-replayable'],
    ['part of a call that is retried above', CHAINED, {}, 'chained'],
    ['the backoff does not fit before the deadline', IDEMPOTENT, { remainingMs: 100 }, 'deadline'],
    ['it just fits', IDEMPOTENT, { remainingMs: 100.1 }, 100],
    ['no time is left', IDEMPOTENT, { remainingMs: 0 }, 'deadline'],
    ['the server says when', IDEMPOTENT, { retryPushbackMs: 250 }, 250],
    ['the server says at once', IDEMPOTENT, { retryPushbackMs: 0 }, 0],
    ['the server says never', IDEMPOTENT, { retryPushbackMs: -1 }, 'pushback'],
    ['the server says something unreadable', IDEMPOTENT, { retryPushbackMs: Number.NaN }, 'pushback'],
    ['the server says too late', IDEMPOTENT, { retryPushbackMs: 10_000 }, 'deadline'],
    ['pushback does not make it idempotent', NOT_IDEMPOTENT, { retryPushbackMs: 5 }, 'not-idempotent'],
    ['never sent, others are left', NOT_IDEMPOTENT, { wasSent: false, untriedCount: 1 }, 'transparent'],
    ['never sent, no other is left', NOT_IDEMPOTENT, { wasSent: false }, 100],
    [
      'no room here, others are left',
      NOT_IDEMPOTENT,
      { code: 'RPC_QUEUE_FULL', wasSent: false, untriedCount: 1 },
      'transparent',
    ],
    [
      'no room here, no other is left',
      NOT_IDEMPOTENT,
      { code: 'RPC_QUEUE_FULL', wasSent: false },
      'not-retryable',
    ],
    [
      'no room there',
      IDEMPOTENT,
      { code: 'RPC_QUEUE_FULL', executed: 'no', untriedCount: 1 },
      'not-retryable',
    ],
    [
      'cannot be encoded',
      IDEMPOTENT,
      { code: 'RPC_MESSAGE_INVALID', wasSent: false, untriedCount: 1 },
      'not-retryable',
    ],
    ['never sent, chained', CHAINED, { wasSent: false, untriedCount: 1 }, 'transparent'],
    [
      'draining, others are left',
      NOT_IDEMPOTENT,
      { code: 'RPC_SHUTTING_DOWN', executed: 'no', untriedCount: 2 },
      'transparent',
    ],
    ['draining, no other is left', NOT_IDEMPOTENT, { code: 'RPC_SHUTTING_DOWN', executed: 'no' }, 100],
    [
      'above the last id of a GOAWAY',
      NOT_IDEMPOTENT,
      { code: 'RPC_CONNECTION_LOST', executed: 'no', untriedCount: 1 },
      'transparent',
    ],
    ['connection lost in the middle', IDEMPOTENT, { code: 'RPC_CONNECTION_LOST', untriedCount: 1 }, 100],
    [
      'a handler that says unavailable, not carried out',
      NOT_IDEMPOTENT,
      { executed: 'no', untriedCount: 1 },
      100,
    ],
    ['no instance known', NOT_IDEMPOTENT, { code: 'RPC_NO_INSTANCE', executed: 'no', wasSent: false }, 100],
  ];
  for (const [title, call, failure, decision] of table) {
    assert.equal(told(retries(call).afterFailure(failed(failure))), decision, title);
  }
});

test('waits double up to the maximum, and attempts are limited', () => {
  const call = retries(IDEMPOTENT, { attemptsMax: 5, backoffMs: 100, backoffMaxMs: 350 });
  const decisions = Array.from({ length: 5 }, () => told(call.afterFailure(failed())));
  assert.deepEqual(decisions, [100, 200, 350, 350, 'attempts']);
  assert.equal(call.previousAttempts, 5);
});

test('after a pushback the backoff starts small again', () => {
  const call = retries(IDEMPOTENT, { attemptsMax: 5 });
  const decisions = [{}, {}, { retryPushbackMs: 700 }, {}].map((each) =>
    told(call.afterFailure(failed(each))),
  );
  assert.deepEqual(decisions, [100, 200, 700, 100]);
});

test('jitter is 20 % to both sides', () => {
  const delay = (random: number): string | number => {
    const policy = new RetryPolicy(() => random);
    return told(new CallRetries(policy, new RetryBudget(), IDEMPOTENT).afterFailure(failed()));
  };
  assert.deepEqual([0, 0.5].map(delay), [80, 100]);
  assert(Math.abs((delay(0.999_999) as number) - 120) < 0.01);
});

test('what was proved not to have begun is repeated at once the first time, then like the others', () => {
  const call = retries(NOT_IDEMPOTENT);
  const refused: Case = { code: 'RPC_SHUTTING_DOWN', executed: 'no', untriedCount: 5 };
  const decisions = Array.from({ length: 4 }, () => told(call.afterFailure(failed(refused))));
  assert.deepEqual(decisions, ['transparent', 100, 200, 'attempts']);
});

test('what never left the client is repeated as long as an instance is left, and counts as no attempt', () => {
  const call = retries(NOT_IDEMPOTENT);
  for (let untriedCount = 20; untriedCount > 0; untriedCount -= 1) {
    assert.equal(told(call.afterFailure(failed({ wasSent: false, untriedCount }))), 'transparent');
  }
  assert.equal(call.previousAttempts, 0);
  assert.equal(told(call.afterFailure(failed({ wasSent: false }))), 100);
});

test('one attempt is no retry, and codes can be named finer than statuses', () => {
  assert.equal(told(retries(IDEMPOTENT, { attemptsMax: 1 }).afterFailure(failed())), 'attempts');
  const call = retries(NOT_IDEMPOTENT, { retryable: ['RPC_QUEUE_FULL'] });
  assert.equal(told(call.afterFailure(failed({ code: 'RPC_QUEUE_FULL', executed: 'no' }))), 100);
  assert.equal(told(call.afterFailure(failed({ code: 'RPC_UNAVAILABLE', executed: 'no' }))), 'not-retryable');
});

test('more than five attempts are cut to five, with a warning', () => {
  const policy = new RetryPolicy(Math.random, { attemptsMax: 9 });
  assert.equal(policy.attemptsMax, 5);
  assert.match(policy.warning!, /attemptsMax is 9; no more than 5/);
  assert.equal(new RetryPolicy(Math.random, { attemptsMax: 5 }).warning, null);
});

test('previous attempts add up along a chain, so that the next service sees that it is in one', () => {
  const call = retries({ isIdempotent: true, previousAttempts: 2 });
  assert.equal(call.previousAttempts, 2);
  call.afterFailure(failed());
  assert.equal(call.previousAttempts, 3);
});

test(`a call makes no more attempts than it may and waits for none past its deadline (seed ${SEED})`, () => {
  const failure = fc.record({
    code: fc.constantFrom<RpcErrorCode>(
      'RPC_UNAVAILABLE',
      'RPC_SHUTTING_DOWN',
      'RPC_CONNECTION_LOST',
      'RPC_CONNECT_FAILED',
    ),
    executed: fc.constantFrom('no' as const, 'unknown' as const),
    wasSent: fc.boolean(),
    retryPushbackMs: fc.option(fc.integer({ min: -5, max: 300 }), { nil: undefined }),
  });
  const property = fc.property(
    fc.array(failure, { minLength: 30, maxLength: 30 }),
    fc.integer({ min: 1, max: 8 }),
    fc.integer({ min: 1, max: 2000 }),
    fc.nat({ max: 6 }),
    fc.boolean(),
    (failures, attemptsMax, deadlineMs, instances, isIdempotent) => {
      const policy = new RetryPolicy(() => 0.7, { attemptsMax });
      const call = new CallRetries(policy, new RetryBudget(), { isIdempotent, previousAttempts: 0 });
      let nowMs = 0;
      let untriedCount = instances;
      let counted = 0;
      let mayHaveRun = false;
      for (const { retryPushbackMs, ...each } of failures) {
        assert(isIdempotent || !mayHaveRun, 'repeated although it may have been carried out');
        untriedCount = Math.max(0, untriedCount - 1);
        if (each.wasSent && each.executed === 'unknown') mayHaveRun = true;
        const more = retryPushbackMs === undefined ? {} : { retryPushbackMs };
        const decision = call.afterFailure(
          failed({ ...each, ...more, untriedCount, remainingMs: deadlineMs - nowMs }),
        );
        if (decision.kind === 'stop') return;
        if (decision.kind === 'transparent') continue;
        counted += 1;
        assert(counted < Math.min(attemptsMax, 5));
        nowMs += decision.afterMs;
        assert(nowMs < deadlineMs);
      }
      assert.fail('it never stops');
    },
  );
  fc.assert(property, { seed: SEED, numRuns: 1000 });
});

test('impossible options are refused with their name', () => {
  const bad: readonly RetryOptions[] = [
    { attemptsMax: 0 },
    { attemptsMax: 2.5 },
    { backoffMs: -1 },
    { backoffMaxMs: 50 },
    { backoffFactor: 0.5 },
    { jitter: 2 },
    { retryable: ['DEADLINE_EXCEEDED'] },
    { retryable: ['NO_SUCH'] as unknown as 'UNKNOWN'[] },
    { retryable: 'UNAVAILABLE' as unknown as 'UNKNOWN'[] },
  ];
  for (const options of bad) {
    const name = Object.keys(options)[0]!;
    assert.throws(() => new RetryPolicy(Math.random, options), {
      code: 'RPC_OPTION_INVALID',
      message: new RegExp(`retry option ${name}`),
    });
  }
});

test('what one event did to many calls counts once against the budget, and all of them are tried again', () => {
  const budget = new RetryBudget();
  const decisions = Array.from({ length: 50 }, (_, index) =>
    retries(IDEMPOTENT, {}, budget).afterFailure(
      failed({ code: 'RPC_CONNECTION_LOST', isCounted: index > 0, untriedCount: 1 }),
    ),
  );
  assert(decisions.every(({ kind }) => kind === 'retry'));
});
