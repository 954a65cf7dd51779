// Who is ejected, for how long, and how many at most.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { OutlierDetector, type OutlierMember, type OutlierOptions } from '../../../rpc/index.js';

const SEED = Number(process.env['BALANCE_SEED'] ?? 20_261_130);

function create(
  count: number,
  options: OutlierOptions = {},
): { detector: OutlierDetector; members: OutlierMember[] } {
  const detector = new OutlierDetector(options);
  const members = Array.from({ length: count }, () => detector.add());
  detector.sweep(0);
  return { detector, members };
}

function record(
  detector: OutlierDetector,
  member: OutlierMember,
  good: number,
  bad: number,
  nowMs = 0,
): void {
  // Mixed, so that failures do not come in a row.
  for (let call = 0; call < Math.max(good, bad); call += 1) {
    if (call < bad) detector.record(member, true, nowMs);
    if (call < good) detector.record(member, false, nowMs);
  }
}

function ejectedOf(members: readonly OutlierMember[]): number[] {
  return [...members.keys()].filter((at) => members[at]!.isEjected);
}

const RATES_ONLY: OutlierOptions = { consecutiveFailures: 0, ejectedMaxPercent: 100 };

test('five failures in a row eject at once, a success in between begins anew', () => {
  const { detector, members } = create(3);
  record(detector, members[0]!, 4, 4);
  for (let call = 0; call < 4; call += 1) assert.equal(detector.record(members[0]!, true, 0), false);
  assert.equal(detector.record(members[0]!, true, 0), true);
  assert.deepEqual(ejectedOf(members), [0]);
});

test('a tenth may be ejected, but always one, and never the last', () => {
  for (const [count, ejectable] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [19, 1],
    [20, 2],
    [39, 3],
  ] as const) {
    const { detector, members } = create(count);
    for (const member of members) record(detector, member, 0, 5);
    assert.equal(detector.ejectedCount, ejectable, `${count} instances`);
  }
});

test('the floor of healthy instances holds against every percentage', () => {
  const { detector, members } = create(6, { ejectedMaxPercent: 100, healthyMin: 4 });
  for (const member of members) record(detector, member, 0, 5);
  assert.equal(detector.ejectedCount, 2);
});

test('the time of ejection grows with every one in a row, up to the maximum, and shrinks with quiet intervals', () => {
  const { detector, members } = create(3, { ejectionMs: 1000, ejectionMaxMs: 3000, intervalMs: 10_000 });
  const member = members[0]!;
  let nowMs = 1;
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    record(detector, member, 0, 5, nowMs);
    times.push(member.ejectedUntilMs - nowMs);
    nowMs = member.ejectedUntilMs;
    assert.equal(detector.sweep(nowMs - 1), false);
    assert.equal(member.isEjected, true);
    assert.equal(detector.sweep(nowMs), true);
    assert.equal(member.isEjected, false);
  }
  assert.deepEqual(times, [1000, 2000, 3000, 3000, 3000]);
  const before = member.ejections;
  detector.sweep(nowMs + 10_000);
  detector.sweep(nowMs + 20_000);
  assert.equal(member.ejections, before - 2);
});

test('by success rate: one below mean − 1.9 standard deviations goes, with enough hosts and enough calls', () => {
  const table = [
    { hosts: 5, calls: 100, good: 50, ejects: true },
    { hosts: 5, calls: 98, good: 49, ejects: false }, // too few calls
    { hosts: 4, calls: 100, good: 50, ejects: false }, // too few hosts
    { hosts: 5, calls: 100, good: 100, ejects: false },
  ];
  for (const { hosts, calls, good, ejects } of table) {
    const { detector, members } = create(hosts, { ...RATES_ONLY, failurePercent: 0 });
    for (const [at, member] of members.entries()) {
      if (at === 0) record(detector, member, good, calls - good);
      else record(detector, member, calls, 0);
    }
    assert.equal(detector.sweep(10_000), ejects, JSON.stringify({ hosts, calls, good }));
    assert.deepEqual(ejectedOf(members), ejects ? [0] : []);
  }
});

test('by success rate nobody goes when all are equally bad', () => {
  const { detector, members } = create(6, { ...RATES_ONLY, failurePercent: 0 });
  for (const member of members) record(detector, member, 50, 50);
  detector.sweep(10_000);
  assert.deepEqual(ejectedOf(members), []);
});

test('by failure percentage: above 85 goes, 85 stays', () => {
  const { detector, members } = create(5, { ...RATES_ONLY, successRateStdevFactor: 0 });
  record(detector, members[0]!, 14, 86);
  record(detector, members[1]!, 15, 85);
  for (const member of members.slice(2)) record(detector, member, 50, 0);
  detector.sweep(10_000);
  assert.deepEqual(ejectedOf(members), [0]);
});

test('each interval is judged by its own calls', () => {
  const { detector, members } = create(5, { ...RATES_ONLY, successRateStdevFactor: 0 });
  for (const member of members) record(detector, member, 100, 0);
  record(detector, members[0]!, 0, 40);
  detector.sweep(10_000);
  for (const member of members.slice(1)) record(detector, member, 50, 0);
  record(detector, members[0]!, 0, 50);
  detector.sweep(20_000);
  assert.deepEqual(ejectedOf(members), [0]);
});

test('one that is removed while it is ejected leaves its place to another', () => {
  const { detector, members } = create(4);
  record(detector, members[0]!, 0, 5);
  record(detector, members[1]!, 0, 5);
  assert.deepEqual(ejectedOf(members), [0]);
  detector.remove(members[0]!);
  detector.remove(members[0]!);
  assert.equal(detector.ejectedCount, 0);
  record(detector, members[1]!, 0, 5);
  assert.equal(members[1]!.isEjected, true);
});

test(`the count, the share and the floor hold through any run, and everybody comes back (seed ${SEED})`, () => {
  const step = fc.record({
    member: fc.nat({ max: 11 }),
    calls: fc.integer({ min: 1, max: 60 }),
    failureShare: fc.constantFrom(0, 0, 0.5, 1),
    ms: fc.integer({ min: 0, max: 4000 }),
  });
  const property = fc.property(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 0, max: 100 }),
    fc.integer({ min: 0, max: 4 }),
    fc.array(step, { maxLength: 80 }),
    (count, ejectedMaxPercent, healthyMin, steps) => {
      const { detector, members } = create(count, { ejectedMaxPercent, healthyMin });
      let nowMs = 0;
      for (const { member, calls, failureShare, ms } of steps) {
        nowMs += ms;
        detector.sweep(nowMs);
        const bad = Math.round(calls * failureShare);
        record(detector, members[member % count]!, calls - bad, bad, nowMs);
        const ejected = ejectedOf(members).length;
        assert.equal(detector.ejectedCount, ejected);
        const share = ejectedMaxPercent === 0 ? 0 : Math.max(1, (count * ejectedMaxPercent) / 100);
        assert(ejected <= share);
        assert(ejected === 0 || count - ejected >= healthyMin);
      }
      detector.sweep(nowMs + 300_000);
      detector.sweep(nowMs + 600_000);
      assert.equal(detector.ejectedCount, 0);
    },
  );
  fc.assert(property, { seed: SEED, numRuns: 300 });
});

test('impossible options are refused with their name', () => {
  const bad = [
    { intervalMs: 0 },
    { ejectionMs: -1 },
    { ejectionMaxMs: 1 },
    { ejectedMaxPercent: 101 },
    { healthyMin: -1 },
    { consecutiveFailures: 1.5 },
    { failurePercent: Number.NaN },
    { successRateHostsMin: 0 },
  ];
  for (const options of bad) {
    const name = Object.keys(options)[0]!;
    assert.throws(() => new OutlierDetector(options), {
      code: 'RPC_OPTION_INVALID',
      message: new RegExp(name),
    });
  }
});
