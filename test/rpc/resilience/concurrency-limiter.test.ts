// How many calls run at once, who waits, and who is dropped.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  ConcurrencyLimiter,
  type ConcurrencyLimitOptions,
  type RpcError,
  type Waiter,
} from '../../../rpc/index.js';
import { seededRandom } from '../../support/seeded-random.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);

interface Told extends Waiter {
  /** waiting, running, or the code of the error it was dropped with. */
  state: string;
}

function waiter(): Told {
  const told: Told = {
    state: 'waiting',
    admitted: () => {
      assert.equal(told.state, 'waiting');
      told.state = 'running';
    },
    dropped: ({ code, executed }: RpcError) => {
      assert.equal(told.state, 'waiting');
      assert.equal(executed, 'no');
      told.state = code;
    },
  };
  return told;
}

function full(options: ConcurrencyLimitOptions = {}): ConcurrencyLimiter {
  const limiter = new ConcurrencyLimiter({ limit: 2, queueMax: 3, ...options });
  while (limiter.tryAcquire());
  return limiter;
}

function enqueue(limiter: ConcurrencyLimiter, count: number, remainingMs = 1000): Told[] {
  return Array.from({ length: count }, () => {
    const each = waiter();
    limiter.enqueue(each, remainingMs, 0);
    return each;
  });
}

const states = (waiters: readonly Told[]): string => waiters.map(({ state }) => state).join(' ');

test('as many as the limit run, the next wait and run in the order they came', () => {
  const limiter = full();
  assert.equal(limiter.running, 2);
  const waiters = enqueue(limiter, 3);
  limiter.release(1, false, 10);
  assert.equal(states(waiters), 'running waiting waiting');
  assert.equal(limiter.tryAcquire(), false); // nobody passes those who wait
  limiter.release(1, false, 11);
  limiter.release(1, false, 12);
  assert.equal(states(waiters), 'running running running');
  assert.deepEqual(limiter.stats(), { limit: 2, running: 2, waiting: 0, refused: 0, dropped: 0 });
});

test('a full queue refuses, surely not executed', () => {
  const limiter = full();
  enqueue(limiter, 3);
  assert.throws(() => enqueue(limiter, 1), { code: 'RPC_QUEUE_FULL', executed: 'no' });
  assert.throws(() => enqueue(full({ queueMax: 0 }), 1), { code: 'RPC_QUEUE_FULL' });
  assert.equal(limiter.stats().refused, 1);
});

test('one whose deadline has passed is dropped when its turn comes, and the next runs', () => {
  const limiter = full();
  const [hurried, patient] = [enqueue(limiter, 1, 5)[0]!, enqueue(limiter, 1, 1000)[0]!];
  limiter.release(1, false, 6);
  assert.equal(states([hurried, patient]), 'RPC_DEADLINE_EXCEEDED running');
});

test('one that has too little left even for a quick answer is dropped too', () => {
  const limiter = full();
  const [tight, patient] = [enqueue(limiter, 1, 100)[0]!, enqueue(limiter, 1, 1000)[0]!];
  limiter.release(40, false, 70); // 30 ms are left of 100, answers take 40
  assert.equal(states([tight, patient]), 'RPC_DEADLINE_EXCEEDED running');
});

test('one that would not make it behind those who wait is not let in', () => {
  const limiter = full({ queueMax: 100 });
  limiter.release(100, false, 0);
  assert.equal(limiter.tryAcquire(), true);
  enqueue(limiter, 4); // two turns of two
  assert.throws(() => enqueue(limiter, 1, 299), { code: 'RPC_DEADLINE_EXCEEDED', executed: 'no' });
  assert.equal(enqueue(limiter, 1, 301).length, 1);
  assert.throws(() => enqueue(full(), 1, 0), { code: 'RPC_DEADLINE_EXCEEDED' });
});

test('one that leaves, or whose time is over, makes room and is told nothing more', () => {
  const limiter = full();
  const waiters = enqueue(limiter, 3);
  limiter.leave(waiters[1]!);
  limiter.drop(waiters[0]!);
  limiter.leave(waiters[0]!);
  limiter.drop(waiters[1]!);
  assert.equal(limiter.waiting, 1);
  limiter.release(1, false, 1);
  assert.equal(states(waiters), 'RPC_DEADLINE_EXCEEDED waiting running');
});

test('the wait asked for is the shorter of deadline and limit', () => {
  const limiter = full({ waitMaxMs: 500 });
  assert.equal(limiter.enqueue(waiter(), 100, 0), 100);
  assert.equal(limiter.enqueue(waiter(), Infinity, 0), 500);
});

test(`nobody is lost, nobody passes another, and the bounds hold (seed ${SEED})`, () => {
  const step = fc.record({
    action: fc.constantFrom('call', 'call', 'release', 'leave', 'drop'),
    at: fc.nat({ max: 20 }),
    remainingMs: fc.integer({ min: 0, max: 200 }),
  });
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const limiter = new ConcurrencyLimiter({ limit: 3, queueMax: 5 });
    const all: Told[] = [];
    const gone = new Set<Told>();
    let running = 0;
    for (const [nowMs, { action, at, remainingMs }] of steps.entries()) {
      const waiting = all.filter((each) => each.state === 'waiting' && !gone.has(each));
      if (action === 'call') {
        if (limiter.tryAcquire()) {
          assert.equal(waiting.length, 0);
          running += 1;
          continue;
        }
        const each = waiter();
        try {
          limiter.enqueue(each, remainingMs, nowMs);
          all.push(each);
        } catch (error) {
          assert.match((error as RpcError).code, /^RPC_(QUEUE_FULL|DEADLINE_EXCEEDED)$/);
        }
      } else if (action === 'release') {
        if (running === 0) continue;
        limiter.release(5, false, nowMs);
        running -= 1;
        const admitted = waiting.filter(({ state }) => state === 'running');
        running += admitted.length;
        const before = waiting.slice(0, waiting.indexOf(admitted.at(-1)!) + 1);
        for (const each of before) assert.notEqual(each.state, 'waiting');
      } else {
        const each = waiting[at % Math.max(1, waiting.length)];
        if (each === undefined) continue;
        if (action === 'drop') limiter.drop(each);
        else {
          limiter.leave(each);
          gone.add(each);
        }
      }
      assert.equal(limiter.running, running);
      assert(limiter.running <= 3 && limiter.waiting <= 5);
      assert.equal(limiter.waiting, all.filter((each) => each.state === 'waiting' && !gone.has(each)).length);
      assert(running === 3 || limiter.waiting === 0, 'one waits although there is room');
    }
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

/**
 * A server that works on `workers` calls at once for 10 ms each, under as many callers as the limiter lets in.
 * @returns the limit once it has settled, and the mean latency then
 */
function settle(
  limiter: ConcurrencyLimiter,
  workers: number,
  fromMs: number,
  seconds: number,
): { limit: number; latencyMs: number } {
  const random = seededRandom(SEED);
  const freeAtMs = Array.from({ length: workers }, () => fromMs);
  const running: { startMs: number; endMs: number }[] = [];
  const latencies: number[] = [];
  const begin = (nowMs: number): void => {
    while (limiter.tryAcquire()) {
      const worker = freeAtMs.indexOf(Math.min(...freeAtMs));
      const endMs = Math.max(nowMs, freeAtMs[worker]!) + 9 + 2 * random();
      freeAtMs[worker] = endMs;
      running.push({ startMs: nowMs, endMs });
    }
    running.sort((a, b) => a.endMs - b.endMs);
  };
  let nowMs = fromMs;
  while (nowMs < fromMs + seconds * 1000) {
    begin(nowMs);
    const { startMs, endMs } = running.shift()!;
    nowMs = endMs;
    limiter.release(endMs - startMs, false, nowMs);
    if (nowMs > fromMs + seconds * 500) latencies.push(endMs - startMs);
  }
  for (const { startMs, endMs } of running) limiter.release(endMs - startMs, false, endMs);
  return {
    limit: limiter.limit,
    latencyMs: latencies.reduce((sum, each) => sum + each, 0) / latencies.length,
  };
}

test('the automatic limit settles near what the server works on at once, from above and from below', () => {
  for (const initial of [10, 300]) {
    const limiter = new ConcurrencyLimiter({ limit: 'auto', auto: { initial } });
    const { limit, latencyMs } = settle(limiter, 40, 0, 8);
    assert(limit >= 40 && limit <= 80, `limit ${limit} from ${initial}`);
    assert(latencyMs < 20, `latency ${latencyMs}`);
  }
});

test('the automatic limit falls when failures are all that comes, and not below its minimum', () => {
  const limiter = new ConcurrencyLimiter({ limit: 'auto' });
  let nowMs = 0;
  for (let call = 0; call < 2000; call += 1) {
    assert.equal(limiter.tryAcquire(), true);
    nowMs += 5;
    limiter.release(5, true, nowMs);
  }
  assert.equal(limiter.limit, 4);
});

test('the automatic limit stays while it is far from reached', () => {
  const limiter = new ConcurrencyLimiter({ limit: 'auto', auto: { initial: 100 } });
  let nowMs = 0;
  for (let call = 0; call < 2000; call += 1) {
    limiter.tryAcquire();
    nowMs += 5;
    limiter.release(5, false, nowMs);
  }
  assert.equal(limiter.limit, 100);
});

test('impossible options are refused with their name', () => {
  const bad: readonly [ConcurrencyLimitOptions, RegExp][] = [
    [{ limit: 0 }, /limit must be/],
    [{ limit: 'most' as 'auto' }, /limit must be a number or 'auto', not 'most'/],
    [{ queueMax: -1 }, /queueMax/],
    [{ waitMaxMs: 0 }, /waitMaxMs/],
    [{ limit: 'auto', auto: { initial: 2 } }, /initial/],
    [{ limit: 'auto', auto: { alpha: 0 } }, /alpha/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => new ConcurrencyLimiter(options), { code: 'RPC_OPTION_INVALID', message });
  }
});
