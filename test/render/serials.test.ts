import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SerialAllocator } from '../../render/index.js';
import type { Serial } from '../../render/proto/render.js';

function allocator(driver: number) {
  let epoch = 100n;
  return new SerialAllocator(() => (epoch += 1n), { driver, node: 20 });
}

test('the eleventh of ten drivers is refused, and gets the id that comes back first', () => {
  const serials = allocator(10);
  const drivers = Array.from({ length: 10 }, () => serials.generate('driver'));
  assert.deepEqual(
    drivers.map(({ serial }) => serial),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
  assert.throws(() => serials.generate('driver'), { code: 'RENDER_IDS_EXHAUSTED' });
  assert.equal(serials.generate('node').serial, 1, 'another kind has ids of its own');
  for (const at of [6, 2, 8]) assert.equal(serials.release('driver', drivers[at]!), true);
  assert.deepEqual(
    [1, 2, 3].map(() => serials.generate('driver').serial),
    [7, 3, 9],
  );
  assert.throws(() => serials.generate('driver'), { code: 'RENDER_IDS_EXHAUSTED' });
});

test('the late messages of an old owner do not reach the new owner of its id', () => {
  const serials = allocator(1);
  const old = serials.generate('driver');
  serials.release('driver', old);
  const fresh = serials.generate('driver');
  assert.equal(fresh.serial, old.serial);
  assert.equal(serials.holds('driver', old), false);
  assert.equal(serials.release('driver', old), false);
  assert.equal(serials.holds('driver', fresh), true);
});

test('an id is returned once, and its second return changes nothing', () => {
  const serials = allocator(10);
  const one = serials.generate('driver');
  assert.deepEqual([serials.release('driver', one), serials.release('driver', one)], [true, false]);
  assert.equal(serials.generate('driver').serial, 1);
  assert.equal(serials.generate('driver').serial, 2);
});

test('a client without an epoch is known until its id has had a second owner', () => {
  const serials = allocator(10);
  const one = serials.generate('driver');
  const bare: Serial = { serial: one.serial, epoch: 0n };
  assert.equal(serials.holds('driver', bare), true);
  serials.release('driver', bare);
  assert.equal(serials.holds('driver', bare), false);
  serials.generate('driver');
  assert.equal(serials.holds('driver', bare), false);
  assert.equal(serials.release('driver', bare), false);
});

test('an unknown kind throws, and an epoch is never 0', () => {
  const serials = new SerialAllocator<string>(() => 0n, { driver: 1 });
  assert.throws(() => serials.generate('cook'), { code: 'RENDER_OPTION_INVALID' });
  assert.notEqual(serials.generate('driver').epoch, 0n);
  assert.throws(() => new SerialAllocator(() => 1n, { driver: 0 }), { code: 'RENDER_OPTION_INVALID' });
});

test('whatever is taken and returned, no id is out twice and returned ids come back oldest first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.integer({ min: -1, max: 7 })), (max, steps) => {
      const serials = allocator(max);
      const out: Serial[] = [];
      const returned: number[] = [];
      let given = 0;
      for (const step of steps) {
        if (step >= 0) {
          const [serial] = out.splice(step, 1);
          if (serial === undefined) continue;
          assert(serials.release('driver', serial));
          returned.push(serial.serial);
        } else if (out.length === max) {
          assert.throws(() => serials.generate('driver'), { code: 'RENDER_IDS_EXHAUSTED' });
        } else {
          const serial = serials.generate('driver');
          assert.equal(serial.serial, returned.shift() ?? (given += 1));
          assert(out.every((other) => other.serial !== serial.serial));
          out.push(serial);
        }
        assert.equal(serials.inUse('driver'), out.length);
        assert(out.every((serial) => serials.holds('driver', serial)));
      }
    }),
  );
});
