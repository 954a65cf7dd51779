import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  mergeSamples,
  NOT_SAMPLED,
  type RequestSample,
  RequestSampler,
  type SampledRequest,
} from '../../reactor/request-sample.js';
import { seededRandom } from '../support/seeded-random.js';

const SEED = 20_240_611;

function request(name: string, thread = 0): SampledRequest {
  return { name, thread, startedMs: 0, durationUs: 1, bytesIn: 0, bytesOut: 0, outcome: 'ok' };
}

/** Serves `count` requests named 0, 1, 2, … */
function serve(sampler: RequestSampler, count: number): void {
  for (let position = 0; position < count; position += 1) {
    const ticket = sampler.begin();
    if (ticket !== NOT_SAMPLED) sampler.finish(ticket, request(String(position)));
  }
}

/** Pearson's chi-squared against equal shares. */
function chiSquared(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

test('every request of a window is equally likely to be in the sample', () => {
  const random = seededRandom(SEED);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let round = 0; round < 500; round += 1) {
    const sampler = new RequestSampler(random, { capacity: 16 });
    serve(sampler, 1000);
    const { seen, requests } = sampler.snapshot();
    assert.equal(seen, 1000);
    assert.equal(requests.length, 16);
    for (const { name } of requests) tenths[Math.floor(Number(name) / 100)]! += 1;
  }
  // 9 degrees of freedom: 27.9 is passed once in a thousand seeds.
  assert(chiSquared(tenths) < 27.9, `seed ${SEED}: ${tenths.join(' ')}`);
});

test('a merged sample draws from each thread in proportion to its traffic', () => {
  const random = seededRandom(SEED);
  let fromBusy = 0;
  const rounds = 2000;
  for (let round = 0; round < rounds; round += 1) {
    const busy: RequestSample = { seen: 9000, requests: Array.from({ length: 8 }, () => request('busy')) };
    const idle: RequestSample = { seen: 1000, requests: Array.from({ length: 8 }, () => request('idle')) };
    const merged = mergeSamples(random, [busy, idle], 8);
    assert.equal(merged.seen, 10_000);
    assert.equal(merged.requests.length, 8);
    fromBusy += merged.requests.filter(({ name }) => name === 'busy').length;
  }
  const share = fromBusy / (rounds * 8);
  assert(Math.abs(share - 0.9) < 0.01, `seed ${SEED}: ${share}`);
});

test('merging fewer requests than the capacity keeps every one of them', () => {
  const merged = mergeSamples(
    seededRandom(SEED),
    [
      { seen: 2, requests: [request('a'), request('b')] },
      { seen: 0, requests: [] },
      { seen: 1, requests: [request('c')] },
    ],
    64,
  );
  assert.deepEqual(merged.requests.map(({ name }) => name).toSorted(), ['a', 'b', 'c']);
});

test('memory stays at two windows however many requests pass', () => {
  const sampler = new RequestSampler(seededRandom(SEED), { capacity: 4, windowRequests: 1000 });
  serve(sampler, 51_000);
  const { seen, requests } = sampler.snapshot();
  assert.equal(seen, 2000);
  assert.equal(requests.length, 4);
  for (const { name } of requests) assert(Number(name) >= 49_000, name);
});

test('a request that finishes after its window has passed twice is left out', () => {
  const sampler = new RequestSampler(seededRandom(SEED), { capacity: 4, windowRequests: 10 });
  const slow = sampler.begin();
  assert.notEqual(slow, NOT_SAMPLED);
  serve(sampler, 20);
  sampler.finish(slow, request('slow'));
  assert(!sampler.snapshot().requests.some(({ name }) => name === 'slow'));
});

test('a request that finishes in the next window still counts for its own', () => {
  const sampler = new RequestSampler(seededRandom(SEED), { capacity: 4, windowRequests: 4 });
  const slow = sampler.begin();
  for (let others = 0; others < 4; others += 1) sampler.begin();
  sampler.finish(slow, request('slow'));
  const { seen, requests } = sampler.snapshot();
  assert.equal(seen, 1);
  assert.deepEqual(
    requests.map(({ name }) => name),
    ['slow'],
  );
});

test('a long name is cut, so that an entry has a bounded size', () => {
  const sampler = new RequestSampler(seededRandom(SEED), { capacity: 4 });
  sampler.finish(sampler.begin(), request(`GET /${'x'.repeat(5000)}`));
  assert.equal(sampler.snapshot().requests[0]?.name.length, 80);
});
