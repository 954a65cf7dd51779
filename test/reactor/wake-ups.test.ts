// What rousing costs: a busy thread is not woken again and again, an idle one not at all. Counted, not timed.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ReactorError } from '../../reactor/errors.js';
import type { EventLoopStats } from '../../reactor/event-loop.js';
import { ThreadMesh } from '../../reactor/thread-mesh.js';
import { LoopThreads, wakeKinds } from '../support/loop-threads.js';
import { until } from '../support/until.js';

const POSTS = 1_000_000;
const IDLE_MS = 500;

for (const wake of wakeKinds()) {
  test(`a million posts to a busy thread wake it a few times, and none is lost (${wake})`, {
    timeout: 60_000,
  }, async (context) => {
    const { loop } = await new LoopThreads(context, {
      threads: 1,
      wake,
      normalLaneBytes: 512 * 1024,
    }).ready();
    const before = (await loop.call(0, 'stats')) as EventLoopStats;
    const wakesBefore = loop.stats.wakesSent;
    let refusals = 0;
    for (let posted = 0; posted < POSTS; ) {
      try {
        loop.post(0, 'echo');
        posted += 1;
      } catch (error) {
        if (!(error instanceof ReactorError) || error.code !== 'REACTOR_QUEUE_FULL') throw error;
        refusals += 1;
        await nextTurn();
      }
    }
    await until(() => loop.depth(0) === 0);
    const after = (await loop.call(0, 'stats')) as EventLoopStats;
    const wakes = loop.stats.wakesSent - wakesBefore;
    context.diagnostic(`${wakes} wakes, ${after.turns - before.turns} turns, ${refusals} refusals`);
    assert.equal(after.executed - before.executed, POSTS + 1);
    assert.ok(wakes < POSTS / 100, `${wakes} wakes`);
    assert.ok(after.wakesReceived - before.wakesReceived <= wakes);
  });

  test(`idle threads are not woken and run no turns (${wake})`, { timeout: 60_000 }, async (context) => {
    const { loop } = await new LoopThreads(context, { threads: 2, wake }).ready();
    const before = (await loop.call(0, 'stats')) as EventLoopStats;
    const mainBefore = loop.stats;
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS)); // the window itself, not a wait for something
    const mainAfter = loop.stats;
    const after = (await loop.call(0, 'stats')) as EventLoopStats;
    assert.equal(mainAfter.turns - mainBefore.turns, 0);
    // The answer to the first call was sent after it looked; the second call is the one wake.
    assert.ok(after.wakesReceived - before.wakesReceived <= 1);
    assert.ok(after.turns - before.turns <= 2, `${after.turns - before.turns} turns`);
  });
}

test('a closed mesh leaves no descriptor behind', { skip: !existsSync('/proc/self/fd') }, () => {
  ThreadMesh.create({ threads: 1 }).close(); // loads what is loaded once
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 20; round += 1) ThreadMesh.create({ threads: 8 }).close();
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
