// Consistent hashing: one key, one instance, and few keys move.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HashRing } from '../../../rpc/balance/hash-ring.js';
import { murmur3 } from '../../../rpc/balance/murmur.js';
import { type Balancer, type BalancerOptions, createBalancer } from '../../../rpc/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { candidatesOf, idOf, request, type TestCandidate } from './candidates.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);
const KEYS = Array.from({ length: 10_000 }, (_, at) => `user-${at}`);

function create(options: BalancerOptions = {}): Balancer {
  return createBalancer('consistent-hash', seededRandom(SEED), options);
}

function owners(balancer: Balancer, candidates: readonly TestCandidate[]): string[] {
  return KEYS.map((key) => idOf(balancer.pick(candidates, request(0, key))));
}

function movedShare(before: readonly string[], after: readonly string[]): number {
  return before.filter((owner, at) => owner !== after[at]).length / before.length;
}

test('the hash is MurmurHash3 of the UTF-8 bytes', () => {
  const known = [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['test', 0, 0xba6bd213],
    ['Hello, world!', 0, 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
    ['aaa', 0x9747b28c, 0x283e0130],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
  ] as const;
  for (const [text, seed, hash] of known) assert.equal(murmur3(text, seed), hash, text);
});

test('the same key goes to the same instance, from any client and in any order of the list', () => {
  const candidates = candidatesOf(1, 1, 1, 1, 1);
  const here = owners(create(), candidates);
  assert.deepEqual(owners(create(), candidates.toReversed()), here);
  assert.equal(new Set(here).size, 5);
});

test('when one of ten leaves, its keys move and no others', () => {
  const candidates = candidatesOf(...Array.from({ length: 10 }, () => 1));
  const balancer = create();
  const before = owners(balancer, candidates);
  const rest = candidates.slice(1);
  balancer.removed!(candidates[0]!);
  const after = owners(balancer, rest);
  for (const [at, owner] of before.entries()) if (owner !== 'a') assert.equal(after[at], owner);
  assert(movedShare(before, after) < 0.16, String(movedShare(before, after)));
});

test('when one comes to ten, it takes about an eleventh, from all, and nothing else moves', () => {
  const candidates = candidatesOf(...Array.from({ length: 11 }, () => 1));
  const balancer = create();
  const before = owners(balancer, candidates.slice(0, 10));
  const after = owners(balancer, candidates);
  for (const [at, owner] of after.entries()) if (owner !== 'k') assert.equal(before[at], owner);
  assert(movedShare(before, after) > 0.05 && movedShare(before, after) < 0.14);
});

test('one that is ejected for a while gets its keys back, and only they moved', () => {
  const candidates = candidatesOf(1, 1, 1, 1);
  const balancer = create();
  const before = owners(balancer, candidates);
  const without = owners(balancer, candidates.slice(1));
  assert(movedShare(before, without) < 0.35);
  assert(!without.includes('a'));
  assert.deepEqual(owners(balancer, [...candidates]), before);
});

test('a weight twice as high gets twice the keys, and a changed weight moves only the difference', () => {
  const candidates = candidatesOf(1, 2, 1);
  const balancer = create({ pointsPerWeight: 1000 });
  const before = owners(balancer, candidates);
  const share = (list: readonly string[], id: string): number =>
    list.filter((owner) => owner === id).length / list.length;
  assert(Math.abs(share(before, 'b') - 0.5) < 0.06, String(share(before, 'b')));
  candidates[0]!.instance = { ...candidates[0]!.instance, weight: 2 };
  const after = owners(balancer, [...candidates]);
  for (const [at, owner] of after.entries()) if (owner !== before[at]) assert.equal(owner, 'a');
  assert(movedShare(before, after) < 0.25);
});

test('huge weights do not make a huge ring, and shares stay', () => {
  const ring = new HashRing<{ id: string; weight: number }>(100, 65_536);
  ring.build(Array.from({ length: 1000 }, (_, at) => ({ id: `i${at}`, weight: 1000 })));
  assert(ring.pointCount <= 65_536 && ring.pointCount >= 32_768, String(ring.pointCount));
  ring.build(Array.from({ length: 100_000 }, (_, at) => ({ id: `i${at}`, weight: 1 })));
  assert.equal(ring.pointCount, 100_000); // one each at least
  ring.build([]);
  assert.equal(
    ring.find(5, () => true),
    null,
  );
});

test('keys below the first point and above the last belong to the first', () => {
  const ring = new HashRing<{ id: string; weight: number }>(1, 10);
  ring.build([{ id: 'only', weight: 1 }]);
  for (const hash of [0, murmur3('only#0'), 2 ** 32 - 1])
    assert.equal(ring.find(hash, () => true)!.id, 'only');
});

test('with a load factor nobody gets more than that times the fair share, and the rest goes to the next', () => {
  const candidates = candidatesOf(1, 1, 1, 1, 1);
  const balancer = create({ loadFactor: 1.25 });
  // One hot key: all its calls at once.
  for (let call = 1; call <= 1000; call += 1) {
    (balancer.pick(candidates, request(0, 'hot')) as TestCandidate).callsInFlight += 1;
    for (const { callsInFlight } of candidates) assert(callsInFlight <= Math.ceil((1.25 * call) / 5));
  }
  const loads = candidates.map(({ callsInFlight }) => callsInFlight);
  assert(Math.max(...loads) === 250 && Math.min(...loads) >= 0, loads.join(' '));
});

test('calls without a key go everywhere', () => {
  const candidates = candidatesOf(1, 1, 1);
  const balancer = create();
  const seen = new Set(Array.from({ length: 100 }, () => idOf(balancer.pick(candidates, request()))));
  assert.equal(seen.size, 3);
});
