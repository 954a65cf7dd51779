// What becomes of requests on a worker node: joined, canceled, refused, left alone, looked at.

import assert from 'node:assert/strict';
import test from 'node:test';

import { builtinRenderer, Code, ErrCode, type PixelFormat } from '../../../render/index.js';
import { RpcError } from '../../../rpc/index.js';
import { until } from '../../support/until.js';
import { WHITE } from '../support/renderers.js';
import { startNode } from './support/started-node.js';

/** So long that nothing of it ends by itself during a test. */
const ENDLESS = builtinRenderer({ sleepMs: 600_000 });

test('a request that is sent twice is rendered once, and both callers get all of it', async (t) => {
  const { main, node } = await startNode(t, { renderer: builtinRenderer({ sleepMs: 20 }) });
  const request = main.request({ taskCount: 6 });
  const { slave } = main.node();
  const first = main.render(request, slave);
  await until(() => node.figures().desk.rendered >= 2);
  const [one, other] = await Promise.all([first, main.render(request, slave)]);
  assert.deepEqual([one.code, other.code], [Code.OK, Code.OK]);
  assert.deepEqual(other.images, one.images);
  const late = await main.render(request, slave);
  assert.equal(late.images.size, 6);
  assert.equal(node.figures().desk.rendered, 6);
});

test('a request whose images are not kept any more is not rendered again', async (t) => {
  const { main, node } = await startNode(t, { desk: { keptMs: 1 } });
  const request = main.request();
  assert.equal((await main.render(request)).code, Code.OK);
  await until(() => node.figures().desk.requests === 0);
  assert.equal((await main.render(request)).code, Code.NOT_FOUND);
  assert.equal(node.figures().desk.rendered, 1);
});

test('Render answers whole, in the order of the images', async (t) => {
  const { main } = await startNode(t, { pool: { min: 2 } });
  const { slave } = main.node();
  const streamed = await main.render(main.request({ taskCount: 4 }), slave);
  const whole = await slave.render(main.request({ taskCount: 4, firstIndex: 7 }));
  assert.deepEqual(
    whole.tasks.map(({ index, code }) => [index, code]),
    [7, 8, 9, 10].map((index) => [index, ErrCode.EC_OK]),
  );
  assert.deepEqual(
    Buffer.from(whole.imgs),
    Buffer.concat([0, 1, 2, 3].map((index) => streamed.images.get(index)!)),
  );
  const large = await slave.render(main.request({ width: 2000, height: 2000 }));
  assert.equal(large.status?.code, Code.INVALID_ARGUMENT);
  assert.match(large.status?.message ?? '', /RenderStream/);
});

test('what is canceled ends at once, whether it waits, is rendered, or rests before another try', async (t) => {
  const { main, node } = await startNode(t, { renderer: ENDLESS });
  const { slave } = main.node();
  const running = main.request();
  const waiting = main.request({ taskCount: 3 });
  const answers = [main.render(running, slave), main.render(waiting, slave)];
  await until(() => node.figures().desk.running === 1 && node.figures().desk.queued === 3);
  for (const { requestId } of [waiting, running])
    assert.equal((await slave.cancel({ id: main.serial, requestId })).code, Code.OK);
  for (const { code, images } of await Promise.all(answers))
    assert.deepEqual([code, images.size], [Code.CANCELED, 0]);
  assert.equal((await slave.cancel({ id: main.serial, requestId: running.requestId })).code, Code.NOT_FOUND);
  // The built-in renderer breaks off when it is told to, and is free again.
  await until(() => node.figures().desk.staleReplies === 1);
  const next = main.request();
  const answer = main.render(next, slave);
  await until(() => node.figures().desk.running === 1);
  const { serial, epoch } = main.serial;
  const stranger = { id: { serial, epoch: epoch + 1n }, requestId: next.requestId };
  assert.equal(
    (await slave.cancel(stranger)).code,
    Code.UNAUTHORIZED,
    'another registration cancels nothing',
  );
  await slave.cancel({ id: main.serial, requestId: next.requestId });
  assert.equal((await answer).code, Code.CANCELED);
});

test('an image that rests before another try is canceled too', async (t) => {
  const renderer = builtinRenderer({ faults: [{ fault: 'error', at: 1 }] });
  const { main, node } = await startNode(t, {
    renderer,
    tasks: { backoffBaseMs: 600_000, backoffCapMs: 600_000 },
  });
  const { slave } = main.node();
  const request = main.request();
  const answer = main.render(request, slave);
  await until(() => node.figures().desk.resting === 1);
  await slave.cancel({ id: main.serial, requestId: request.requestId });
  const { code, statuses } = await answer;
  assert.deepEqual([code, statuses.get(0)?.code], [Code.CANCELED, ErrCode.EC_CANCELED]);
});

test('what can never be rendered is refused, and says why', async (t) => {
  const { main } = await startNode(t);
  const { slave } = main.node();
  const wrongs = [
    [{ taskCount: 0, lights: [] }, /0 images/],
    [{ taskCount: 2, lights: [WHITE] }, /light words/],
    [{ width: 0 }, /width/],
    [{ width: 20_000 }, /width/],
    [{ samples: 0 }, /samples/],
    [{ format: 9 as PixelFormat }, /format/],
    [{ frames: [1, 2] }, /frames/],
    [{ position: { x: Number.NaN } }, /position/],
    [{ scene: 'ABC' }, /SHA-256/],
    [{ width: 16_384, height: 16_384, format: 3 }, /do not fit|images of/],
  ] as const;
  for (const [fields, why] of wrongs) {
    const { code, message, images } = await main.render(main.request(fields), slave);
    assert.deepEqual([code, images.size], [Code.INVALID_ARGUMENT, 0], message);
    assert.match(message, why);
  }
});

test('more than there is room for is refused for now: images, and the memory that images take', async (t) => {
  const { main, node } = await startNode(t, {
    renderer: ENDLESS,
    tasks: { tasksMax: 4 },
    desk: { resultBytesMax: 10_000 },
  });
  const { slave } = main.node();
  const first = main.request({ taskCount: 3 });
  const answer = main.render(first, slave);
  await until(() => node.figures().desk.queued === 2);
  const refused = await main.render(main.request({ taskCount: 2 }), slave);
  assert.deepEqual([refused.code, refused.pieces[0]?.status?.retryAfterMs], [Code.OVERLOAD, 200]);
  const large = await main.render(main.request({ width: 100, height: 99 }), slave);
  assert.equal(large.code, Code.OVERLOAD);
  assert.match(large.message, /memory/);
  const never = await main.render(main.request({ width: 100, height: 101 }), slave);
  assert.equal(never.code, Code.INVALID_ARGUMENT);
  await slave.cancel({ requestId: first.requestId });
  assert.equal((await answer).code, Code.CANCELED);
  assert.equal(node.figures().desk.refused, 2);
});

test('a request that nobody listens to any more is canceled after a while', async (t) => {
  const { main, node } = await startNode(t, { renderer: ENDLESS, desk: { orphanMs: 50 } });
  const hangUp = new AbortController();
  const answer = main.render(main.request(), undefined, hangUp.signal);
  await until(() => node.figures().desk.running === 1);
  await main.beatThat(({ runningTasks }) => runningTasks.length === 1);
  hangUp.abort();
  await assert.rejects(answer);
  await main.beatThat(({ runningTasks }) => runningTasks.length === 0);
  assert.equal(node.figures().desk.queued, 0);
});

test('a request ends at its deadline, with what it has', async (t) => {
  const { main } = await startNode(t, { renderer: ENDLESS });
  const { code, statuses } = await main.render(main.request({ taskCount: 2, deadlineMs: 100 }));
  assert.equal(code, Code.TIMEOUT);
  assert.deepEqual(
    Array.from(statuses.values(), (status) => status.code),
    [ErrCode.EC_TIMEOUT, ErrCode.EC_TIMEOUT],
  );
});

test('what a renderer printed with an image is there for those who ask', async (t) => {
  const renderer = builtinRenderer({ chatterLines: 3, faults: [{ fault: 'error', at: 2 }] });
  const { main } = await startNode(t, { renderer, tasks: { retriesMax: 0 } });
  const { slave, worker } = main.node();
  const request = main.request({ taskCount: 2 });
  const { statuses, code } = await main.render(request, slave);
  assert.equal(code, Code.PARTIAL);
  const { text } = await worker.log({ requestId: request.requestId, index: 0 });
  assert.match(text, /line 1 of 3\n.*line 2 of 3\n.*line 3 of 3\n\[renderer \d+: rendered, \d+ ms\]\n$/);
  assert.match(statuses.get(1)!.error, /as it was told to; it printed last: [^]*line 3 of 3/);
  const failed = await worker.log({ requestId: request.requestId, index: 1 });
  assert.match(failed.text, /\[renderer \d+: error 4: as it was told to, \d+ ms\]/);
  await assert.rejects(worker.log({ requestId: 999n, index: 0 }), (error) => {
    assert(error instanceof RpcError);
    return error.status === 'NOT_FOUND';
  });
});

test('a black image where light shines is a failure only where that was asked for', async (t) => {
  const lights = [0x0100_0001]; // so dim that every pixel is 0
  const options = { renderer: builtinRenderer({ instant: true }), tasks: { retriesMax: 0 } };
  const plain = await startNode(t, options);
  const unlit = [0x00ff_ffff]; // white, with an intensity of nothing
  assert.equal((await plain.main.render(plain.main.request({ lights: unlit }))).code, Code.OK);
  const strict = await startNode(t, { ...options, renderer: builtinRenderer(), desk: { checkImages: true } });
  assert.equal((await strict.main.render(strict.main.request({ lights: unlit }))).code, Code.OK);
  const { statuses } = await strict.main.render(strict.main.request({ lights, width: 1, height: 1 }));
  assert.equal(statuses.get(0)?.code, ErrCode.EC_BAD_IMAGE);
  assert.match(statuses.get(0)!.error, /black, although lights are on/);
  const lenient = await plain.main.render(plain.main.request({ lights, width: 1, height: 1 }));
  assert.equal(lenient.code, Code.OK);
});
