// Renderers that die, freeze or grow too large under a worker node: every image has one result all the same.

import assert from 'node:assert/strict';
import test from 'node:test';

import { builtinRenderer, Code, ErrCode, RendererProcess } from '../../../render/index.js';
import { until } from '../../support/until.js';
import { idle, imageRequest, PATIENT, START_TIMEOUT_MS } from '../support/renderers.js';
import type { ScriptedMain } from './support/scripted-main.js';
import { startNode } from './support/started-node.js';

async function pids(main: ScriptedMain, count: number): Promise<number[]> {
  const { processes } = await main.beatThat((beat) => beat.processes.length === count);
  return processes.map(({ pid }) => pid);
}

test('a renderer killed in mid-render costs a try: another one renders the image, and the request is complete', async (t) => {
  const { main, node } = await startNode(t, {
    renderer: builtinRenderer({ sleepMs: 200 }),
    pool: { min: 2 },
  });
  const [victim] = await pids(main, 2);
  const expected = await main.render(main.request({ taskCount: 4 }));
  const request = main.request({ taskCount: 4 });
  const answer = main.render(request);
  await until(() => node.figures().desk.running === 2);
  process.kill(victim!, 'SIGKILL');
  const { code, images, statuses } = await answer;
  assert.equal(code, Code.OK);
  assert.deepEqual(images, expected.images);
  const attempts = Array.from(statuses.values(), (status) => status.attempts).toSorted((a, b) => a - b);
  assert.deepEqual(attempts, [1, 1, 1, 2]);
  const retried = [...statuses.values()].find((status) => status.attempts === 2);
  const { text } = await main.node().worker.log({ requestId: request.requestId, index: retried!.index });
  assert.match(text, new RegExp(`\\[renderer ${victim}: error 3: .*ended by SIGKILL, \\d+ ms\\]`));
  assert.match(text, /: rendered, \d+ ms\]\n$/);
  await until(() => node.figures().slots === 2);
  assert(!(await pids(main, 2)).includes(victim!));
});

test('an image that kills every renderer fails, with how they ended', async (t) => {
  const renderer = builtinRenderer({ faults: [{ fault: 'crash', at: 1 }] });
  const { main } = await startNode(t, { renderer });
  const { code, statuses } = await main.render(main.request());
  assert.equal(code, Code.INTERNAL);
  const { code: why, error, attempts } = statuses.get(0)!;
  assert.deepEqual([why, attempts], [ErrCode.EC_PEER_DEAD, 2]);
  assert.match(error, /ended by SIGKILL/);
});

test('a frozen renderer is given up, its image rendered by another one, and it is killed after a grace', async (t) => {
  const { main, node } = await startNode(t, {
    pool: { min: 2 },
    renderer: builtinRenderer({ sleepMs: 50 }),
    tasks: { timeoutMinMs: 700, timeoutUnknownMs: 60_000, graceMs: 300 },
  });
  const [victim] = await pids(main, 2);
  assert.equal((await main.render(main.request({ taskCount: 2 }))).code, Code.OK);
  process.kill(victim!, 'SIGSTOP');
  const { code, images } = await main.render(main.request({ taskCount: 2 }));
  assert.deepEqual([code, images.size], [Code.OK, 2]);
  assert.equal(node.figures().desk.timeouts, 1);
  await main.beatThat(
    ({ processes, load }) => load?.slots === 2 && processes.every(({ pid }) => pid !== victim),
  );
  assert.equal((await main.render(main.request({ taskCount: 2 }))).code, Code.OK);
});

test('a renderer that thaws before its grace is over is used again, and its late reply is of nobody', async (t) => {
  const { main, node } = await startNode(t, {
    pool: { min: 2 },
    tasks: { timeoutMinMs: 700, timeoutUnknownMs: 60_000, graceMs: 60_000 },
  });
  const [victim] = await pids(main, 2);
  assert.equal((await main.render(main.request({ taskCount: 2 }))).code, Code.OK);
  process.kill(victim!, 'SIGSTOP');
  const { code, images } = await main.render(main.request({ taskCount: 2 }));
  assert.deepEqual([code, images.size], [Code.OK, 2]);
  assert.equal(node.figures().desk.staleReplies, 0);
  process.kill(victim!, 'SIGCONT');
  await until(() => node.figures().desk.staleReplies === 1);
  assert.equal((await main.render(main.request({ taskCount: 4 }))).code, Code.OK);
  assert((await pids(main, 2)).includes(victim!));
  assert.equal(node.figures().restarts, 0);
});

test('a renderer beyond its memory is ended in the middle of an image, which tells so', async (t) => {
  const { main } = await startNode(t, {
    renderer: builtinRenderer({ sleepMs: 600_000 }),
    tasks: { retriesMax: 0 },
    rssBytesKill: 1_000_000,
  });
  const { statuses } = await main.render(main.request());
  const { code, error } = statuses.get(0)!;
  assert.equal(code, ErrCode.EC_OOM);
  assert.match(error, /it has \d+ bytes, and may have 1000000/);
});

test('a renderer that was killed while the system ended processes for want of memory is out of memory', async (t) => {
  let kills = 3;
  const renderer = new RendererProcess(
    builtinRenderer({ sleepMs: 600_000 }),
    { startTimeoutMs: START_TIMEOUT_MS, restartFirstMs: 1, restartCapMs: 10 },
    undefined,
    0,
    Math.random,
    () => kills,
  );
  t.after(() => renderer.stop());
  await renderer.start();
  const first = renderer.render(imageRequest(), PATIENT);
  process.kill(renderer.pid!, 'SIGKILL');
  assert.equal((await first).err, ErrCode.EC_PEER_DEAD, 'somebody killed it, not the system');
  await idle(renderer);
  const second = renderer.render(imageRequest(), PATIENT);
  kills += 1;
  process.kill(renderer.pid!, 'SIGKILL');
  const { err, text } = await second;
  assert.equal(err, ErrCode.EC_OOM);
  assert.match(text, /want of memory/);
});

test('a node whose renderers keep dying drains, and says why', async (t) => {
  const renderer = builtinRenderer({ faults: [{ fault: 'crash', at: 1 }] });
  const { main, node } = await startNode(t, { renderer, pool: { restartsPerMinute: 1 } });
  const answers = [main.render(main.request()), main.render(main.request())];
  const end = await node.ended;
  assert.equal(end.kind, 'unfit');
  assert(end.kind === 'unfit' && /more than 1 times in a minute/.test(end.error.message));
  await node.close(1000);
  for (const { images } of await Promise.all(answers)) assert.equal(images.size, 0);
});
