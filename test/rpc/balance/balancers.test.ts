// What every balancer promises, and what the simple ones do.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import * as fc from 'fast-check';
import {
  type Balancer,
  BALANCERS,
  type BalancerName,
  type BalancerOptions,
  createBalancer,
  loadBalancer,
} from '../../../rpc/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { candidatesOf, failure, idOf, request, success, type TestCandidate } from './candidates.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);

function share(balancer: Balancer, candidates: readonly TestCandidate[], picks: number): number[] {
  const counts = new Map<string, number>(candidates.map((candidate) => [idOf(candidate), 0]));
  for (let pick = 0; pick < picks; pick += 1) {
    const id = idOf(balancer.pick(candidates, request(pick, `key ${pick}`)));
    counts.set(id, counts.get(id)! + 1);
  }
  return [...counts.values()].map((count) => count / picks);
}

function assertShares(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  for (const [at, wanted] of expected.entries()) {
    assert(
      Math.abs(actual[at]! - wanted) <= tolerance,
      `shares ${actual.join(' ')}, not ${expected.join(' ')}`,
    );
  }
}

for (const name of BALANCERS) {
  test(`${name} picks only from the array it is given, whatever array comes and however calls end (seed ${SEED})`, () => {
    const all = candidatesOf(1, 2.5, 1, 7, 0.1, 3, 1, 1);
    const step = fc.record({
      subset: fc.uniqueArray(fc.nat({ max: all.length - 1 }), { minLength: 1, maxLength: all.length }),
      repeat: fc.integer({ min: 1, max: 5 }),
      isFailure: fc.boolean(),
      latencyMs: fc.double({ min: 0, max: 1000, noNaN: true }),
      removes: fc.boolean(),
    });
    const property = fc.property(fc.array(step, { maxLength: 40 }), fc.nat(), (steps, seed) => {
      const balancer = createBalancer(name, seededRandom(seed), {
        loadFactor: seed % 2 === 0 ? 0 : 1.25,
        pointsPerWeight: 10,
      });
      for (const candidate of all) candidate.callsInFlight = 0;
      let nowMs = 0;
      for (const { subset, repeat, isFailure, latencyMs, removes } of steps) {
        const candidates = subset.map((at) => all[at]!);
        for (let count = 0; count < repeat; count += 1) {
          const picked = balancer.pick(candidates, request(nowMs, count === 0 ? undefined : `k${nowMs}`));
          const candidate = all.find((each) => each === picked)!;
          assert(candidates.includes(candidate));
          candidate.callsInFlight += 1;
          nowMs += 0.5;
          if (count % 2 === 1) continue; // it stays under way
          candidate.callsInFlight -= 1;
          balancer.finished?.(picked, { latencyMs, isFailure, nowMs });
        }
        if (removes) balancer.removed?.(candidates[0]!);
      }
    });
    fc.assert(property, { seed: SEED, numRuns: 200 });
  });

  test(`${name} asked about one candidate picks it`, () => {
    const [only] = candidatesOf(3);
    const balancer = createBalancer(name, () => 0.999_999);
    assert.equal(balancer.pick([only!], request()), only);
  });
}

test('random spreads by weight', () => {
  const balancer = createBalancer('random', seededRandom(SEED));
  assertShares(share(balancer, candidatesOf(1, 2, 5), 40_000), [1 / 8, 2 / 8, 5 / 8], 0.01);
  assertShares(share(balancer, candidatesOf(1, 1, 1, 1), 40_000), [0.25, 0.25, 0.25, 0.25], 0.01);
  assertShares(share(balancer, candidatesOf(0.001, 1), 40_000), [0.001, 0.999], 0.001);
});

test('round robin gives each its turn and begins where chance says', () => {
  const candidates = candidatesOf(1, 9, 1);
  const balancer = createBalancer('round-robin', () => 0.5);
  const picked = Array.from({ length: 7 }, () => idOf(balancer.pick(candidates, request())));
  assert.equal(picked.join(''), 'bcabcab');
});

test('round robin goes on when the array shrinks and grows', () => {
  const candidates = candidatesOf(1, 1, 1);
  const balancer = createBalancer('round-robin', () => 0);
  const picked = [candidates, candidates, candidates.slice(0, 2), candidates, candidates];
  assert.equal(picked.map((each) => idOf(balancer.pick(each, request()))).join(''), 'ababc');
});

test('latest used stays with the one that answered well last, and leaves it when it fails', () => {
  const candidates = candidatesOf(1, 1, 1);
  const [a, b, c] = candidates as [TestCandidate, TestCandidate, TestCandidate];
  const balancer = createBalancer('latest-used', () => 0.99);
  assert.equal(balancer.pick(candidates, request()), c); // nobody has answered: chance
  balancer.finished!(a, success());
  assert.equal(balancer.pick(candidates, request()), a);
  balancer.finished!(b, success());
  assert.equal(balancer.pick(candidates, request()), b);
  assert.equal(balancer.pick(candidates, request()), b);
  assert.equal(balancer.pick([a, c], request()), a); // b was tried already
  assert.equal(balancer.pick(candidates, request()), b);
  balancer.finished!(b, failure());
  assert.equal(balancer.pick(candidates, request()), a);
  balancer.removed!(a);
  assert.equal(balancer.pick([b, c], request()), c);
});

test('least requests takes the less busy of two, per unit of weight', () => {
  const balancer = createBalancer('least-requests', seededRandom(SEED));
  const candidates = candidatesOf(1, 1);
  candidates[0]!.callsInFlight = 5;
  assertShares(share(balancer, candidates, 1000), [0, 1], 0);
  const weighted = candidatesOf(1, 4);
  weighted[0]!.callsInFlight = 2;
  weighted[1]!.callsInFlight = 4; // 1 per unit of weight
  assertShares(share(balancer, weighted, 1000), [0, 1], 0);
});

test('least requests spreads by weight while all are idle', () => {
  const balancer = createBalancer('least-requests', seededRandom(SEED));
  assertShares(share(balancer, candidatesOf(1, 3), 20_000), [0.25, 0.75], 0.02);
});

test('more choices find the idle one more often', () => {
  const candidates = candidatesOf(1, 1, 1, 1, 1);
  for (const candidate of candidates.slice(1)) candidate.callsInFlight = 9;
  const shares = [2, 4, 10].map(
    (choiceCount) =>
      share(createBalancer('least-requests', seededRandom(SEED), { choiceCount }), candidates, 10_000)[0]!,
  );
  assert(shares[0]! >= 0.4 && shares[1]! > shares[0]! + 0.2 && shares[2]! > 0.9, shares.join(' '));
});

test('two choices keep the longest queue short where plain chance does not', () => {
  const longest = (name: BalancerName): number => {
    const candidates = candidatesOf(...Array.from({ length: 100 }, () => 1));
    const balancer = createBalancer(name, seededRandom(SEED));
    for (let call = 0; call < 1000; call += 1) {
      (balancer.pick(candidates, request()) as TestCandidate).callsInFlight += 1;
    }
    return Math.max(...candidates.map(({ callsInFlight }) => callsInFlight));
  };
  assert(longest('least-requests') <= 13, String(longest('least-requests')));
  assert(longest('random') >= 17, String(longest('random')));
});

test('impossible options and unknown names are refused with a code and the name', () => {
  const bad = [
    [{ choiceCount: 1 }, 'least-requests', /choiceCount/],
    [{ choiceCount: 2.5 }, 'least-requests', /choiceCount must be a whole number from 2 up to 10, not 2.5/],
    [{ tauMs: 0 }, 'peak-ewma', /tauMs/],
    [{ failurePenaltyMs: Number.NaN }, 'peak-ewma', /failurePenaltyMs/],
    [{ loadFactor: 0.9 }, 'consistent-hash', /loadFactor/],
    [{ pointsPerWeight: 0 }, 'consistent-hash', /pointsPerWeight/],
    [{ vnodes: 3 }, 'random', /vnodes does not exist/],
    [{}, 'fastest', /must be one of random, .*'fastest'/],
  ] as const;
  for (const [options, name, message] of bad) {
    assert.throws(() => createBalancer(name as BalancerName, Math.random, options as BalancerOptions), {
      code: 'RPC_OPTION_INVALID',
      message,
    });
  }
});

test('a balancer is loaded by name or from a module of the user by path or URL', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'last.mjs');
  writeFileSync(file, 'export default () => ({ pick: (candidates) => candidates.at(-1) });');
  const candidates = candidatesOf(1, 1, 1);
  for (const specifier of [file, pathToFileURL(file), pathToFileURL(file).href, path.relative('.', file)]) {
    const factory = await loadBalancer(specifier);
    assert.equal(factory(Math.random).pick(candidates, request()), candidates[2]);
  }
  const named = await loadBalancer('round-robin');
  assert.equal(named(() => 0).pick(candidates, request()), candidates[0]);
});

test('a module that is missing, has no function or makes no balancer is refused with its name', async (t) => {
  const folder = temporaryFolder(t);
  const file = (name: string, code: string): string => {
    writeFileSync(path.join(folder, name), code);
    return path.join(folder, name);
  };
  await assert.rejects(loadBalancer('round-robbin'), {
    code: 'RPC_OPTION_INVALID',
    message: /round-robbin is none of random, /,
  });
  await assert.rejects(loadBalancer(file('none.mjs', 'export const pick = 1;')), { message: /none\.mjs/ });
  const factory = await loadBalancer(file('empty.mjs', 'export default () => ({});'));
  assert.throws(() => factory(Math.random), { code: 'RPC_OPTION_INVALID', message: /empty\.mjs/ });
});
