import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool, type BufferPoolOptions } from '../../reactor/buffer-pool.js';
import { SLAB_BYTES } from '../../reactor/limits.js';
import { SharedBudget } from '../../reactor/shared-budget.js';

const KIB = 1024;
const MIB = 1024 * KIB;

function poolOf(
  bytesMax: number,
  options: BufferPoolOptions = {},
): { pool: BufferPool; budget: SharedBudget } {
  const budget = SharedBudget.create(bytesMax, 2);
  return { pool: new BufferPool(options, 0, budget), budget };
}

test('a buffer comes from the smallest class that holds it', () => {
  const { pool } = poolOf(64 * MIB);
  let smaller = -1;
  for (const slabBytes of SLAB_BYTES) {
    for (const bytes of [smaller + 1, slabBytes]) {
      const buffer = pool.acquire(bytes);
      assert.equal(buffer.slabBytes, slabBytes);
      assert.equal(buffer.bytes.length, slabBytes);
      buffer.release();
    }
    smaller = slabBytes;
  }
  pool.close();
});

test('slabs do not share memory with each other or with anything else', () => {
  const { pool } = poolOf(MIB);
  const first = pool.acquire(1);
  const second = pool.acquire(1);
  assert.notEqual(first.bytes.buffer, second.bytes.buffer);
  assert.equal(first.bytes.buffer.byteLength, first.slabBytes);
  first.release();
  second.release();
  pool.close();
});

test('a returned slab is lent again, handle and all', () => {
  const { pool, budget } = poolOf(MIB);
  const first = pool.acquire(100);
  first.release();
  assert.equal(pool.acquire(4000), first);
  assert.equal(budget.usedBytes(), 4 * KIB);
  assert.equal(pool.stats().acquisitions, 2);
  first.release();
  pool.close();
});

test('above the largest class a buffer is exact, counts in the budget, and is not kept', () => {
  const { pool, budget } = poolOf(64 * MIB);
  const buffer = pool.acquire(9 * MIB + 1);
  assert.equal(buffer.bytes.length, 9 * MIB + 1);
  assert.equal(budget.usedBytes(), 9 * MIB + 4 * KIB);
  const { ownedBytes, lentBytes, unpooledLent } = pool.stats();
  assert.deepEqual(
    { ownedBytes, lentBytes, unpooledLent },
    { ownedBytes: 9 * MIB + 1, lentBytes: 9 * MIB + 1, unpooledLent: 1 },
  );
  buffer.release();
  assert.equal(pool.stats().ownedBytes, 0);
  assert.equal(budget.usedBytes(), 0);
  pool.close();
});

test('at the cap acquire fails with a code, and works again after a release', () => {
  const { pool } = poolOf(8 * KIB);
  const first = pool.acquire(1);
  const second = pool.acquire(1);
  assert.throws(() => pool.acquire(1), { code: 'REACTOR_POOL_EXHAUSTED' });
  assert.equal(pool.stats().exhausted, 1);
  first.release();
  pool.acquire(1).release();
  second.release();
  pool.close();
});

test('what another thread has reserved counts towards the cap', () => {
  const { pool, budget } = poolOf(8 * KIB);
  assert.ok(budget.reserve(1, 8 * KIB));
  assert.throws(() => pool.acquire(1), { code: 'REACTOR_POOL_EXHAUSTED' });
  budget.forget(1);
  pool.acquire(1).release();
  pool.close();
});

test('at the cap a pool drops its own idle slabs before it gives up', () => {
  const { pool } = poolOf(64 * KIB);
  const small = Array.from({ length: 16 }, () => pool.acquire(1));
  for (const buffer of small) buffer.release();
  const large = pool.acquire(48 * KIB);
  assert.equal(pool.stats().ownedBytes, 64 * KIB);
  large.release();
  pool.acquire(1).release();
  assert.equal(pool.stats().ownedBytes, 4 * KIB);
  pool.close();
});

test('trim keeps what the last window needed at its peak, and the next one less', () => {
  const { pool, budget } = poolOf(MIB);
  const lend = (count: number): void => {
    const buffers = Array.from({ length: count }, () => pool.acquire(1));
    for (const buffer of buffers) buffer.release();
  };
  lend(10);
  assert.equal(pool.trim(), 0, 'the peak of this window was ten');
  lend(3);
  assert.equal(pool.trim(), 7 * 4 * KIB);
  assert.equal(budget.usedBytes(), 3 * 4 * KIB);
  assert.equal(pool.trim(), 3 * 4 * KIB, 'nothing was lent in this window');
  assert.equal(budget.usedBytes(), 0);
  pool.close();
});

test('trim leaves lent slabs alone and counts them towards the peak', () => {
  const { pool } = poolOf(MIB);
  const held = [pool.acquire(1), pool.acquire(1)];
  pool.acquire(1).release();
  pool.trim();
  assert.equal(pool.trim(), 4 * KIB);
  assert.deepEqual(pool.stats().classes[0], { slabBytes: 4 * KIB, owned: 2, lent: 2, idle: 0 });
  for (const buffer of held) buffer.release();
  pool.close();
});

test('preallocated slabs are there at once and survive trimming', () => {
  const { pool, budget } = poolOf(MIB, { preallocate: { 4096: 3, 65536: 1 } });
  assert.equal(budget.usedBytes(), 76 * KIB);
  pool.trim();
  pool.trim();
  assert.equal(pool.stats().idleBytes, 76 * KIB);
  pool.close();
  assert.equal(budget.usedBytes(), 0);
});

test('preallocating beyond the cap fails with a code and reserves nothing', () => {
  const budget = SharedBudget.create(64 * KIB, 1);
  assert.throws(() => new BufferPool({ preallocate: { 4096: 17 } }, 0, budget), {
    code: 'REACTOR_POOL_EXHAUSTED',
  });
  assert.equal(budget.usedBytes(), 0);
});

test('releasing twice asserts, and the slab is lent to one borrower only', () => {
  const { pool } = poolOf(MIB);
  const buffer = pool.acquire(1);
  buffer.release();
  assert.throws(() => buffer.release(), { code: 'ERR_ASSERTION' });
  assert.equal(pool.stats().classes[0]?.idle, 1);
  pool.close();
});

test("paranoid: a handle kept after release cannot return the next borrower's slab", () => {
  const { pool } = poolOf(MIB, { leakDetection: 'paranoid' });
  const stale = pool.acquire(1);
  stale.release();
  const current = pool.acquire(1);
  assert.equal(current.bytes, stale.bytes, 'the memory is the same, the handle is not');
  assert.throws(() => stale.release(), { code: 'ERR_ASSERTION' });
  current.release();
  pool.close();
});

test('a buffer returns to the pool it came from, whoever releases it', () => {
  const budget = SharedBudget.create(MIB, 2);
  const first = new BufferPool({}, 0, budget);
  const second = new BufferPool({}, 1, budget);
  const foreign = second.acquire(1);
  first.acquire(1).release();
  foreign.release();
  assert.equal(first.stats().idleBytes, 4 * KIB);
  assert.equal(second.stats().idleBytes, 4 * KIB);
  first.close();
  second.close();
});

test('close asserts that nothing is lent, says how much is, and takes it back later', () => {
  const { pool, budget } = poolOf(64 * MIB);
  const buffers = [pool.acquire(1), pool.acquire(9 * MIB)];
  pool.acquire(MIB).release();
  assert.throws(() => pool.close(), {
    code: 'ERR_ASSERTION',
    message: 'buffers still lent when the pool closed: 2',
  });
  assert.throws(() => pool.acquire(1), { code: 'REACTOR_CLOSED' });
  for (const buffer of buffers) buffer.release();
  assert.equal(budget.usedBytes(), 0);
  pool.close();
});

test('owned bytes are what the budget counts, through any order of loans', () => {
  const { pool, budget } = poolOf(4 * MIB);
  const lent = [];
  for (let step = 0; step < 2000; step += 1) {
    if (step % 3 === 2) lent.splice((step * 7) % lent.length, 1)[0]?.release();
    else if (lent.length < 40) lent.push(pool.acquire((step * 7919) % (64 * KIB)));
    if (step % 97 === 0) pool.trim();
    const { ownedBytes, lentBytes, idleBytes } = pool.stats();
    assert.equal(ownedBytes, lentBytes + idleBytes);
    assert.equal(ownedBytes, budget.usedBytes());
  }
  for (const buffer of lent) buffer.release();
  pool.close();
  assert.equal(budget.usedBytes(), 0);
});

const INVALID: readonly object[] = [
  { preallocate: { 5000: 1 } },
  { preallocate: { 4096: -1 } },
  { leakDetection: 'always' },
  { leakSampleEvery: 0 },
];
for (const options of INVALID) {
  test(`the option ${JSON.stringify(options)} is refused`, () => {
    assert.throws(() => poolOf(MIB, options), { code: 'REACTOR_OPTION_INVALID' });
  });
}
