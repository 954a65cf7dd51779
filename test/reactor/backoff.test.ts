import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Backoff } from '../../reactor/backoff.js';

test('without jitter the delays double up to the cap and start small again after a success', () => {
  const backoff = new Backoff(() => 0.5, { firstMs: 100, capMs: 1000, jitter: 0 });
  const delays = Array.from({ length: 6 }, () => backoff.nextDelayMs());
  assert.deepEqual(delays, [100, 200, 400, 800, 1000, 1000]);
  assert.equal(backoff.attempts, 6);
  backoff.reset();
  assert.equal(backoff.attempts, 0);
  assert.equal(backoff.nextDelayMs(), 100);
});

test('every delay lies between its jittered floor and its cap, however many attempts fail', () => {
  const seed = 20_240_601;
  const property = fc.property(
    fc.integer({ min: 1, max: 1000 }),
    fc.integer({ min: 1000, max: 60_000 }),
    fc.double({ min: 1, max: 10, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 400 }),
    (firstMs, capMs, factor, jitter, randoms) => {
      let drawn = 0;
      const backoff = new Backoff(() => randoms[drawn++] ?? 0, { firstMs, capMs, factor, jitter });
      let plainMs = firstMs;
      for (let attempt = 0; attempt < randoms.length; attempt += 1) {
        const delayMs = backoff.nextDelayMs();
        assert(delayMs >= Math.floor(plainMs * (1 - jitter)) && delayMs <= Math.ceil(plainMs));
        plainMs = Math.min(plainMs * factor, capMs);
      }
    },
  );
  fc.assert(property, { seed, numRuns: 200 });
});

test('two clients with different random numbers do not retry in step', () => {
  const early = new Backoff(() => 0.9);
  const late = new Backoff(() => 0.1);
  assert.notEqual(early.nextDelayMs(), late.nextDelayMs());
});

test('an impossible option is refused with a code and its name', () => {
  const bad = [
    [{ firstMs: -1 }, /firstMs/],
    [{ firstMs: Number.NaN }, /firstMs/],
    [{ firstMs: 200, capMs: 100 }, /capMs/],
    [{ factor: 0.5 }, /factor/],
    [{ jitter: 1.5 }, /jitter/],
  ] as const;
  for (const [options, named] of bad) {
    assert.throws(() => new Backoff(Math.random, options), {
      code: 'REACTOR_OPTION_INVALID',
      message: named,
    });
  }
});
