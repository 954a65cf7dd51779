// What drivers may ask for, and what becomes of it on bad days.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Code, ErrCode, PixelFormat, type RenderReq } from '../../../render/proto/render.js';
import type { MessageInit } from '../../../rpc/index.js';
import { until } from '../../support/until.js';
import { received, TestFarm } from './support/test-farm.js';

test('what cannot be rendered is refused with what is wrong, and nothing is begun', async (t) => {
  const farm = await TestFarm.start(t, { imageBytesMax: 2 ** 20 });
  await farm.worker();
  const driver = await farm.driver();
  const wrong: [MessageInit<RenderReq>, RegExp][] = [
    [{ taskCount: 0, lights: [] }, /task_count/],
    [{ taskCount: 2, lights: [1, 2, 3] }, /2 light words, not 3/],
    [{ lightCount: 2 }, /2 light words, not 1/],
    [{ width: 0 }, /width 0/],
    [{ height: 16_385 }, /height 16385/],
    [{ width: 2048, height: 2048, format: PixelFormat.RGBA8 }, /an image of 16777216 bytes/],
    [{ format: 9 as PixelFormat }, /format 9/],
    [{ frames: [1, 2] }, /2 frames for 1 images/],
    [{ samples: 2 ** 24 }, /samples/],
    [{ scene: 'a\nb' }, /control characters/],
    [{ scene: 'cube.blend' }, /no SHA-256/],
    [{ scene: 'f'.repeat(64) }, /is not here/],
    [{ taskCount: 70_000, lightCount: 0, lights: [] }, /at most 65536/],
  ];
  for (const [request, why] of wrong) {
    const { status } = await driver.stream(request);
    const expected = why.source.includes('not here') ? Code.NOT_FOUND : Code.INVALID_ARGUMENT;
    assert.equal(status.code, expected, JSON.stringify(request).slice(0, 80));
    assert.match(status.message, why);
  }
  const { status } = await driver.render({
    taskCount: 5000,
    width: 64,
    height: 64,
    lightCount: 0,
    lights: [],
  });
  assert.equal(status?.code, Code.INVALID_ARGUMENT);
  assert.match(status?.message ?? '', /ask with RenderStream/);
  const files = await driver.render({ taskCount: 2, format: PixelFormat.PNG });
  assert.match(files.status?.message ?? '', /ask with RenderStream/);
  assert.equal(farm.main.farm.jobs().total, 0);
});

test('without a worker node a request is answered with OVERLOAD and when to ask again', async (t) => {
  const farm = await TestFarm.start(t);
  const driver = await farm.driver();
  const { status } = await driver.render();
  assert.equal(status?.code, Code.OVERLOAD);
  assert((status?.retryAfterMs ?? 0) > 0);
  const worker = await farm.worker({ tags: ['gpu'] });
  assert.equal((await driver.render({ tag: 'cpu' })).status?.code, Code.OVERLOAD);
  assert.equal((await driver.render({ tag: 'gpu' })).status?.code, Code.OK);
  worker.load = { draining: true };
  await until(() => farm.main.farm.workers()[0]?.isDraining === true);
  assert.equal((await driver.render()).status?.code, Code.OVERLOAD);
});

test('images that fail four times are missing, in zeros, and said to be', async (t) => {
  const farm = await TestFarm.start(t, { scheduler: { backoffBaseMs: 1, backoffCapMs: 5, blockAfter: 100 } });
  const script = {
    slots: 4,
    image: (index: number) =>
      index % 3 === 1 ? { index, code: ErrCode.EC_CRASHED, error: `bad ${index}` } : { index },
  };
  await Promise.all([farm.worker(script), farm.worker(script)]);
  const driver = await farm.driver();
  const response = await driver.render({ taskCount: 7, width: 8, height: 8 });
  assert.equal(response.status?.code, Code.PARTIAL);
  assert.equal(response.imgs.length, 7 * 64);
  for (const { index, code, attempts, error } of response.tasks) {
    const isMissing = index % 3 === 1;
    assert.equal(code, isMissing ? ErrCode.EC_CRASHED : ErrCode.EC_OK);
    const pixels = response.imgs.subarray(index * 64, (index + 1) * 64);
    assert.equal(
      pixels.every((byte) => byte === 0),
      isMissing,
    );
    if (isMissing) assert.deepEqual([attempts, error], [4, `bad ${index}`]);
  }
  const streamed = await driver.stream({ taskCount: 7, width: 8, height: 8 });
  assert.equal(streamed.status.code, Code.PARTIAL);
  assert.equal(streamed.images.size, 5);
  assert.equal(streamed.tasks.size, 7);
});

test('a worker node that fails every image is blocked for the job, and the others finish it', async (t) => {
  const farm = await TestFarm.start(t, { scheduler: { backoffBaseMs: 1, backoffCapMs: 5 } });
  const bad = await farm.worker({ name: 'bad', image: (index) => ({ index, code: ErrCode.EC_NO_OUTPUT }) });
  await farm.worker({ name: 'good' });
  const driver = await farm.driver();
  const { status, job } = await driver.stream({ taskCount: 40 });
  assert.equal(status.code, Code.OK);
  assert.deepEqual(farm.main.farm.job(Number(job)).blockedNodes, ['bad']);
  assert(bad.requests.length < 10);
});

test('the late answers of a frozen worker node change nothing', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 40 });
  const frozen = await farm.worker({ name: 'frozen', slots: 2 });
  frozen.freeze();
  const driver = await farm.driver();
  const result = driver.stream({ taskCount: 6 });
  await until(() => frozen.requests.length > 0);
  await farm.worker({ name: 'awake', slots: 2 });
  const { status, images } = await result;
  assert.equal(status.code, Code.OK);
  assert.equal(images.size, 6);
  const { rendered } = farm.main.figures();
  frozen.thaw();
  await until(() => farm.main.farm.workers().length === 2);
  assert.equal(farm.main.figures().rendered, rendered, 'one result for each image');
  assert.equal((await driver.stream({ taskCount: 4 })).images.size, 4);
});

test('one image beside a thousand is there within a few tasks', async (t) => {
  const farm = await TestFarm.start(t);
  let rendered = 0;
  await farm.worker({
    slots: 4,
    image: (index) => {
      rendered += 1;
      return { index, renderMs: 50 };
    },
  });
  const [large, small] = await Promise.all([farm.driver(), farm.driver()]);
  const thousand = large.stream({ taskCount: 1000 });
  await until(() => rendered > 8);
  const before = rendered;
  assert.equal((await small.render()).status?.code, Code.OK);
  assert(rendered - before < 100, `${rendered - before} images later`);
  assert.equal((await thousand).images.size, 1000);
});

test('the same request again, while it runs and afterwards, is rendered once', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker({ slots: 2 });
  worker.hold();
  const driver = await farm.driver();
  const first = driver.stream({ taskCount: 4, requestId: 7n });
  await until(() => worker.requests.length > 0);
  const second = driver.stream({ taskCount: 4, requestId: 7n });
  const unary = driver.render({ taskCount: 4, requestId: 7n });
  worker.release();
  const [a, b, c] = await Promise.all([first, second, unary]);
  assert.deepEqual(a.images, b.images);
  assert.equal(c.status?.code, Code.OK);
  const later = await driver.render({ taskCount: 4, requestId: 7n });
  assert.deepEqual(later.imgs, c.imgs);
  assert.equal(farm.main.figures().rendered, 4);
  const other = await driver.render({ taskCount: 3, requestId: 7n });
  assert.equal(other.status?.code, Code.INVALID_ARGUMENT, 'one id is for one request');
});

test('a request id for another position is refused; without one it is for where the object was at first', async (t) => {
  const farm = await TestFarm.start(t);
  await farm.worker();
  const driver = await farm.driver();
  const { serial: id } = driver;
  await driver.emulate.move({ id, position: { x: 1, y: 0, z: 0 } });
  const implicit = await driver.stream({ requestId: 1n });
  const explicit = await driver.stream({ requestId: 2n, position: { x: 2, y: 0, z: 0 } });
  await driver.emulate.move({ id, position: { x: 3, y: 0, z: 0 } });
  for (const [requestId, position] of [
    [1n, { x: 3, y: 0, z: 0 }],
    [2n, { x: 2, y: 0, z: 0.5 }],
  ] as const) {
    const streamed = await driver.stream({ requestId, position });
    assert.equal(streamed.status.code, Code.INVALID_ARGUMENT);
    assert.match(streamed.status.message, new RegExp(`request_id ${requestId} was another request before`));
    assert.equal((await driver.render({ requestId, position })).status?.code, Code.INVALID_ARGUMENT);
  }
  assert.equal((await driver.stream({ requestId: 1n })).job, implicit.job);
  assert.equal((await driver.stream({ requestId: 1n, position: { x: 1, y: 0, z: 0 } })).job, implicit.job);
  assert.equal((await driver.stream({ requestId: 2n })).job, explicit.job);
  assert.equal(farm.main.figures().rendered, 2);
});

test('a canceled request ends at once, whatever its images were doing', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker({ slots: 2 });
  worker.hold();
  const driver = await farm.driver();
  const result = driver.stream({ taskCount: 20, requestId: 3n });
  await until(() => worker.requests.length > 0);
  assert.equal((await driver.emulate.cancel({ id: driver.serial, requestId: 4n })).code, Code.NOT_FOUND);
  assert.equal((await driver.emulate.cancel({ id: driver.serial, requestId: 3n })).code, Code.OK);
  const { status, tasks } = await result;
  assert.equal(status.code, Code.CANCELED);
  assert(Array.from(tasks.values()).every(({ code }) => code === ErrCode.EC_CANCELED));
  await until(() => worker.canceled.length > 0 && worker.running.size === 0);
  worker.release();
  assert.equal((await driver.render()).status?.code, Code.OK, 'the node has room again');
});

test('a call without a request id that is given up takes its job with it', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker();
  worker.hold();
  const driver = await farm.driver();
  const gone = new AbortController();
  const result = driver.stream({ taskCount: 5 }, { signal: gone.signal });
  await until(() => worker.requests.length > 0);
  gone.abort();
  await assert.rejects(result);
  await until(() => farm.main.farm.jobs().jobs[0]?.state === 'canceled');
});

test('what a worker node is asked does not end with the beat, or the call, in which it came to be asked', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 1000 });
  const worker = await farm.worker({ beatMs: 20, beatTimeoutMs: 100 });
  const driver = await farm.driver();
  worker.hold();
  const images = driver.stream({ taskCount: 3 });
  await until(() => worker.requests.length === 2); // it has room for two
  worker.load = { slots: 2 };
  await until(() => worker.requests.length === 3);
  const beats = worker.beats;
  await until(() => worker.beats > beats + 10);
  assert.equal(worker.running.size, 3);
  worker.release();
  assert.equal((await images).images.size, 3);
  assert.equal(farm.main.figures().losses, 0);
});

test('an image above a chunk comes in pieces, and a slow driver holds nothing up but itself', async (t) => {
  const farm = await TestFarm.start(t, { resultMemoryBytes: 4 * 2 ** 20 });
  await farm.worker({ slots: 2 });
  const [slow, quick] = await Promise.all([farm.driver(), farm.driver()]);
  const size = { width: 1024, height: 1280, format: PixelFormat.RGBA8 }; // 5 MiB
  const stream = slow.emulate.renderStream(slow.request({ taskCount: 12, ...size }));
  const first = await stream[Symbol.asyncIterator]().next();
  assert.equal(first.done, false);
  await until(() => farm.main.farm.jobs().jobs[0]?.state === 'completed');
  await until(() => farm.main.figures().resultMemoryBytes <= 5 * 2 ** 20);
  assert.equal(farm.main.figures().resultBytes, 12 * 5 * 2 ** 20, 'all of it is kept, on disk');
  assert.equal((await quick.render()).status?.code, Code.OK);
  stream.cancel();
  const again = await received(quick.emulate.renderStream(quick.request({ taskCount: 2, ...size })));
  assert.equal(again.images.size, 2);
  assert.equal(again.images.get(1)?.length, 5 * 2 ** 20);
  assert(again.chunks >= 6);
});

test('files of different lengths come whole, each with its own', async (t) => {
  const farm = await TestFarm.start(t);
  await farm.worker({ slots: 3 });
  const driver = await farm.driver();
  const { images, status } = await driver.stream({ taskCount: 5, format: PixelFormat.PNG });
  assert.equal(status.code, Code.OK);
  assert.deepEqual(
    [...images].map(([index, bytes]) => [index, bytes.length]).toSorted((a, b) => a[0]! - b[0]!),
    [0, 1, 2, 3, 4].map((index) => [index, 100 + index]),
  );
});
