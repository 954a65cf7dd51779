// Counting connections in memory that all threads share, and refusing what passes a limit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OccupancyLimits, SharedOccupancy } from '../../reactor/shared-occupancy.js';

const FREE: OccupancyLimits = {
  connectionsMax: 1000,
  connectionsPerThreadMax: 1000,
  connectionsPerAddressMax: 1000,
};

test('connections count in all, per thread and per address, for every view of the memory', () => {
  const one = SharedOccupancy.create(3);
  const other = new SharedOccupancy(one.shared);
  one.admit(0, '10.0.0.1', FREE);
  other.admit(1, '10.0.0.1', FREE);
  other.admit(1, '10.0.0.2', FREE);
  one.admit(2, undefined, FREE);
  assert.deepEqual([one.open(), one.openOn(0), one.openOn(1), one.openOn(2)], [4, 1, 2, 1]);
  assert.deepEqual(
    [one.openFrom('10.0.0.1'), other.openFrom('10.0.0.2'), one.openFrom('10.0.0.3')],
    [2, 1, 0],
  );
  other.leave(0, '10.0.0.1');
  one.leave(2, undefined);
  assert.deepEqual([one.open(), one.openFrom('10.0.0.1')], [2, 1]);
});

const LIMITS: readonly (readonly [keyof OccupancyLimits, RegExp])[] = [
  ['connectionsMax', /in all/],
  ['connectionsPerThreadMax', /on one thread/],
  ['connectionsPerAddressMax', /from 10\.0\.0\.1/],
];
for (const [limit, message] of LIMITS) {
  test(`${limit} admits exactly as many, refuses the next with a code, and admits again when one has left`, () => {
    const occupancy = SharedOccupancy.create(1);
    const limits = { ...FREE, [limit]: 3 };
    for (let count = 0; count < 3; count += 1) assert.equal(occupancy.admit(0, '10.0.0.1', limits), null);
    const refusal = occupancy.admit(0, '10.0.0.1', limits);
    assert.equal(refusal?.code, 'REACTOR_CONNECTION_LIMIT');
    assert.match(refusal.message, message);
    assert.equal(occupancy.open(), 3, 'a refused connection is not counted');
    occupancy.leave(0, '10.0.0.1');
    assert.equal(occupancy.admit(0, '10.0.0.1', limits), null);
  });
}

test('the limit per address holds over threads, and leaves other addresses and Unix sockets alone', () => {
  const occupancy = SharedOccupancy.create(2);
  const limits = { ...FREE, connectionsPerAddressMax: 2 };
  occupancy.admit(0, '10.0.0.1', limits);
  occupancy.admit(1, '10.0.0.1', limits);
  assert.notEqual(occupancy.admit(0, '10.0.0.1', limits), null);
  assert.equal(occupancy.admit(0, '10.0.0.2', limits), null);
  for (let count = 0; count < 5; count += 1) assert.equal(occupancy.admit(0, undefined, limits), null);
});

test('a dead thread is forgotten with its addresses, the others stay', () => {
  const occupancy = SharedOccupancy.create(2);
  occupancy.admit(0, '10.0.0.1', FREE);
  occupancy.admit(1, '10.0.0.1', FREE);
  occupancy.forget(0);
  assert.deepEqual([occupancy.open(), occupancy.openFrom('10.0.0.1')], [1, 1]);
});

test('a connection that left one thread for another counts for the other', () => {
  const occupancy = SharedOccupancy.create(2);
  occupancy.admit(0, '::1', FREE);
  occupancy.leave(0, '::1');
  occupancy.admit(1, '::1', FREE);
  assert.deepEqual([occupancy.openOn(0), occupancy.openOn(1), occupancy.openFrom('::1')], [0, 1, 1]);
});

test('with a thousand addresses none is counted too low and hardly one too high', () => {
  const occupancy = SharedOccupancy.create(2);
  const addresses = Array.from({ length: 1000 }, (_, host) => `10.1.${host >> 8}.${host & 255}`);
  for (const [index, address] of addresses.entries()) {
    for (let count = 0; count <= index % 3; count += 1)
      occupancy.admit(index % 2, address, {
        ...FREE,
        connectionsMax: 10_000,
        connectionsPerThreadMax: 10_000,
      });
  }
  const tooHigh = addresses.filter((address, index) => {
    const counted = occupancy.openFrom(address);
    assert(counted >= (index % 3) + 1, address);
    return counted > (index % 3) + 1;
  });
  assert(tooHigh.length <= 10, `${tooHigh.length} of 1000 collide in every row`);
});
