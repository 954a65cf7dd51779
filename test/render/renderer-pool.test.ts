// Several renderers at once: all start or none, they become more and fewer within their bounds, nothing is left of them.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';

import { builtinRenderer, ErrCode, RendererPool, type RendererPoolOptions } from '../../render/index.js';
import { imageRequest, leftovers, NOTHING_LEFT, PATIENT, START_TIMEOUT_MS } from './support/renderers.js';

function makePool(t: TestContext, options: RendererPoolOptions, renderer = builtinRenderer()): RendererPool {
  const pool = new RendererPool(renderer, { startTimeoutMs: START_TIMEOUT_MS, ...options });
  t.after(async () => {
    await pool.stop();
    assert.deepEqual(leftovers(), NOTHING_LEFT);
  });
  return pool;
}

test('a pool starts its first renderers, lends the one that was idle longest, and grows and shrinks within bounds', async (t) => {
  const pool = makePool(t, { min: 1, max: 2 });
  await pool.start();
  await assert.rejects(pool.shrink(), { code: 'RENDER_STATE' });
  const [first] = pool.processes;
  const second = await pool.grow();
  await assert.rejects(pool.grow(), { code: 'RENDER_STATE' });
  assert.deepEqual([pool.idle(), pool.get(second.id)], [first, second]);
  const image = imageRequest();
  const rendering = pool.idle()!.render(image, PATIENT);
  assert.equal(pool.idle(), second);
  assert.equal(pool.idleMs(first!), 0);
  const meanwhile = pool.idle()!.render(image, PATIENT);
  assert.equal(pool.idle(), undefined);
  const [one, other] = await Promise.all([rendering, meanwhile]);
  assert.deepEqual([one.err, other.err], [ErrCode.EC_OK, ErrCode.EC_OK]);
  assert.deepEqual(one.reply.body, other.reply.body);
  await pool.shrink(second);
  assert.deepEqual(pool.processes, [first]);
  await assert.rejects(pool.remove(second), { code: 'RENDER_STATE' });
  await pool.stop();
  await assert.rejects(pool.grow(), { code: 'RENDER_CLOSED' });
});

test('when one of the first renderers does not start, none is left', async (t) => {
  const missing = { name: 'missing', command: '/nowhere/at/all', args: [], environment: {} };
  const pool = makePool(t, { min: 2 }, missing);
  await assert.rejects(pool.start(), { code: 'RENDER_START_FAILED' });
  assert.deepEqual(pool.processes, []);
});
