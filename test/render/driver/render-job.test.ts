// One request for images, through everything that may happen to it: each image has one result, in whatever order.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  Code,
  ErrCode,
  type ImageResult,
  packLight,
  PixelFormat,
  RenderDriver,
  type RenderDriverOptions,
  RenderError,
  type RenderProgress,
  type RenderRequest,
} from '../../../render/index.js';
import { deferred } from '../../rpc/support/deferred.js';
import { until } from '../../support/until.js';
import { startCutProxy } from '../support/cut-proxy.js';
import { type Script, ScriptedMain, shadeOf } from '../support/scripted-main.js';

const SMALL: RenderRequest = { images: 10, width: 4, height: 3 };

async function start(
  t: TestContext,
  script: Script = {},
  options: Partial<RenderDriverOptions> = {},
): Promise<{ main: ScriptedMain; driver: RenderDriver }> {
  const main = await ScriptedMain.start(t, script);
  const driver = await RenderDriver.connect({ main: main.target, ...options });
  t.after(() => driver.close());
  return { main, driver };
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}

function indexes(results: readonly ImageResult[]): number[] {
  return results.map(({ index }) => index);
}

const TEN: number[] = Array.from({ length: 10 }, (_, index) => index);

test('ten images come with their own lights, size and pixels', async (t) => {
  const { driver, main } = await start(t);
  await driver.move({ x: 2, y: 0, z: 0 });
  const lights = TEN.map((index) => [{ intensity: index, r: 1, g: 2, b: index }]);
  const { code, results, rendered, missing, job } = await driver.render({ ...SMALL, lights }).outcome();
  assert.deepEqual([code, rendered, missing, job], [Code.OK, 10, 0, 1n]);
  for (const [index, result] of results.entries()) {
    assert(result.kind === 'rendered');
    const word = packLight(lights[index]![0]!);
    const shade = shadeOf(index, [word], { x: 2, y: 0, z: 0 });
    assert.deepEqual([result.index, result.width, result.height, result.attempts], [index, 4, 3, 1]);
    assert.deepEqual(result.pixels, new Uint8Array(12).fill(shade));
  }
  assert.equal(main.requests.length, 1);
});

test('one set of lights is for all images', async (t) => {
  const { driver, main } = await start(t);
  await driver.render({ ...SMALL, lights: [[7, 8]] }).outcome();
  assert.deepEqual(main.requests[0]!.lights, Array.from({ length: 10 }, () => [7, 8]).flat());
});

test('everything that was asked for is sent', async (t) => {
  const { driver, main } = await start(t);
  const scene = 'a'.repeat(64);
  await driver
    .render({
      width: 5,
      height: 6,
      samples: 7,
      format: PixelFormat.RGB8,
      frames: [3, 1],
      scene,
      tag: 'gpu',
      seed: 9,
      priority: -4,
      deadlineMs: 60_000,
      position: { x: 1, y: 2, z: 3 },
      detached: true,
    })
    .outcome();
  const { width, height, samples, format, frames, tag, seed, priority, detached, ...others } =
    main.requests[0]!;
  assert.deepEqual([width, height, samples, format], [5, 6, 7, PixelFormat.RGB8]);
  assert.deepEqual([frames, tag, seed, priority, detached], [[3, 1], 'gpu', 9, -4, true]);
  assert.deepEqual([others.scene, others.position, others.taskCount], [scene, { x: 1, y: 2, z: 3 }, 2]);
  assert(others.deadlineMs > 50_000 && others.deadlineMs <= 60_000);
});

test('what cannot be is refused before anything is sent', async (t) => {
  const { driver, main } = await start(t);
  const refused = (request: Partial<RenderRequest>, code: string): void =>
    assert.throws(() => driver.render({ ...SMALL, ...request }), failsWith(code));
  refused({ width: 0 }, 'RENDER_REQUEST_INVALID');
  refused({ images: 0 }, 'RENDER_REQUEST_INVALID');
  refused({ samples: 1.5 }, 'RENDER_REQUEST_INVALID');
  refused({ frames: [1, 2] }, 'RENDER_REQUEST_INVALID');
  refused({ scene: 'cube.blend' }, 'RENDER_REQUEST_INVALID');
  refused({ format: 9 as PixelFormat }, 'RENDER_REQUEST_INVALID');
  refused({ lights: [[1], [2]] }, 'RENDER_LIGHTS_MALFORMED');
  refused({ images: 2, lights: [[1], [2, 3]] }, 'RENDER_LIGHTS_MALFORMED');
  refused({ lights: [[2 ** 32]] }, 'RENDER_LIGHTS_MALFORMED');
  refused({ lights: [[{ intensity: 256, r: 0, g: 0, b: 0 }]] }, 'RENDER_LIGHTS_MALFORMED');
  assert.equal(main.requests.length, 0);
});

test('an image over several chunks is put together', async (t) => {
  const { driver } = await start(t, { chunkBytes: 1000 });
  const { results } = await driver
    .render({ images: 2, width: 50, height: 50, format: PixelFormat.RGB8 })
    .outcome();
  for (const [index, result] of results.entries()) {
    assert(result.kind === 'rendered');
    assert.deepEqual(result.pixels, new Uint8Array(7500).fill(shadeOf(index, [], { x: 0, y: 0, z: 0 })));
  }
});

test('images that cannot be had are results, too, and the job is PARTIAL', async (t) => {
  const { driver } = await start(t, { missing: { 3: ErrCode.EC_CRASHED, 5: ErrCode.EC_TIMEOUT } });
  const { code, results, rendered, missing } = await driver.render(SMALL).outcome();
  assert.deepEqual([code, rendered, missing], [Code.PARTIAL, 8, 2]);
  assert.deepEqual(indexes(results), TEN);
  const reasons = results.flatMap((result) =>
    result.kind === 'missing' ? [[result.index, result.code]] : [],
  );
  assert.deepEqual(reasons, [
    [3, ErrCode.EC_CRASHED],
    [5, ErrCode.EC_TIMEOUT],
  ]);
});

test('a connection that breaks in mid-stream costs nothing: each image has one result, under one request id', async (t) => {
  const main = await ScriptedMain.start(t, {
    before: (index, _request, stream) => {
      if (index === stream * 3) proxy.cut();
    },
  });
  const proxy = await startCutProxy(t, main.target);
  const driver = await RenderDriver.connect({ main: proxy.target });
  t.after(() => driver.close());
  const states = new Set<string>();
  const job = driver.render(SMALL, { onProgress: ({ state }) => states.add(state) });
  const results: ImageResult[] = [];
  for await (const result of job) results.push(result);
  assert.deepEqual(
    indexes(results).toSorted((a, b) => a - b),
    TEN,
  );
  assert(main.requests.length > 1, 'it was cut');
  assert.equal(new Set(main.requests.map(({ requestId }) => requestId)).size, 1);
  assert.equal(main.jobs.size, 1);
  assert(states.has('reconnecting'));
  assert.equal((await job.summary).code, Code.OK);
});

test('a main node that forgot the driver is asked for what is missing, where the object was', async (t) => {
  const moved = deferred<void>();
  const main = await ScriptedMain.start(t, {
    heartbeatMs: 60_000,
    before: async (index, _request, stream) => {
      if (stream !== 1 || index !== 4) return;
      main.forgetDrivers();
      await moved.promise;
      proxy.cut();
    },
  });
  const proxy = await startCutProxy(t, main.target);
  const driver = await RenderDriver.connect({ main: proxy.target });
  t.after(() => driver.close());
  await driver.move({ x: 1, y: 0, z: 0 });
  const lights = TEN.map((index) => [index * 10]);
  const job = driver.render({ ...SMALL, lights });
  await until(() => job.progress.rendered === 4);
  await driver.move({ x: 2, y: 0, z: 0 });
  moved.resolve();
  const { results, code } = await job.outcome();
  assert.deepEqual([code, indexes(results)], [Code.OK, TEN]);
  const [first, again] = [main.requests[0]!, main.requests.at(-1)!];
  assert.deepEqual([first.taskCount, again.taskCount], [10, 6]);
  assert.deepEqual(again.lights, [40, 50, 60, 70, 80, 90]);
  assert.deepEqual(again.position, { x: 1, y: 0, z: 0 });
  assert.deepEqual(await driver.getPosition(), { x: 2, y: 0, z: 0 });
});

test('nobody to take it now is waited for; without patience it is told with the time to wait', async (t) => {
  const { driver, main } = await start(t, { refusals: [Code.OVERLOAD, Code.OVERLOAD] });
  const told: RenderProgress[] = [];
  const { code } = await driver.render(SMALL, { onProgress: (progress) => told.push(progress) }).outcome();
  assert.equal(code, Code.OK);
  assert.equal(told.filter(({ state }) => state === 'waiting').length, 2);
  main.script.refusals = [Code.OVERLOAD];
  const impatient = driver.render(SMALL, { overloadWaitMs: 0 }).outcome();
  await assert.rejects(impatient, (error: unknown) => {
    assert(error instanceof RenderError);
    assert.deepEqual([error.code, error.retryAfterMs], ['RENDER_OVERLOAD', 20]);
    return true;
  });
});

test('a refusal that waiting does not change is told at once', async (t) => {
  const { driver } = await start(t, { refusals: [Code.INVALID_ARGUMENT] });
  await assert.rejects(driver.render(SMALL).outcome(), failsWith('RENDER_REQUEST_INVALID'));
});

test('an aborted signal cancels the job at the main node', async (t) => {
  const never = deferred<void>();
  const { driver, main } = await start(t, { before: (index) => (index === 5 ? never.promise : undefined) });
  t.after(() => never.resolve());
  const abort = new AbortController();
  const job = driver.render(SMALL, { signal: abort.signal });
  await until(() => job.progress.rendered === 5);
  abort.abort();
  await assert.rejects(job.summary, failsWith('RENDER_CANCELED'));
  assert.equal(main.canceled.length, 1);
  const results: ImageResult[] = [];
  await assert.rejects(async () => {
    for await (const result of job) results.push(result);
  }, failsWith('RENDER_CANCELED'));
  assert.deepEqual(indexes(results), [0, 1, 2, 3, 4]);
});

test('leaving the loop early cancels the job', async (t) => {
  const never = deferred<void>();
  const { driver, main } = await start(t, { before: (index) => (index === 5 ? never.promise : undefined) });
  t.after(() => never.resolve());
  for await (const { index } of driver.render(SMALL)) if (index === 2) break;
  assert.equal(main.canceled.length, 1);
});

test('closing a driver cancels its jobs, and leaves those that are detached', async (t) => {
  const never = deferred<void>();
  const { driver, main } = await start(t, { before: (index) => (index === 1 ? never.promise : undefined) });
  t.after(() => never.resolve());
  const bound = driver.render(SMALL);
  const detached = driver.render({ ...SMALL, detached: true });
  await until(() => bound.progress.rendered === 1 && detached.progress.rendered === 1);
  await driver.close();
  await assert.rejects(bound.summary, failsWith('RENDER_CANCELED'));
  await assert.rejects(detached.summary, failsWith('RENDER_CLOSED'));
  assert.deepEqual(main.canceled, [main.requests.find((request) => !request.detached)!.requestId]);
});

test('a slow reader holds the stream back, whatever there is to send', async (t) => {
  const { driver, main } = await start(t);
  const images = 64;
  const job = driver.render({ images, width: 512, height: 512 }, { bufferBytesMax: 2 ** 19 });
  await until(() => job.progress.rendered >= 3);
  // Windows and buffers of both sides hold some images; the rest is not even made.
  const sent = main.chunksSent;
  assert(sent < images / 2, `${sent} of ${images} images were sent to nobody`);
  let taken = 0;
  for await (const _ of job) taken += 1;
  assert.equal(taken, images);
});

test('a job whose images nobody takes is canceled all the same, and so its driver closes', async (t) => {
  const { driver, main } = await start(t);
  const job = driver.render({ images: 64, width: 512, height: 512 }, { bufferBytesMax: 2 ** 19 });
  await until(() => job.progress.rendered >= 3);
  await driver.close();
  await assert.rejects(job.summary, failsWith('RENDER_CANCELED'));
  assert.equal(main.canceled.length, 1);
});

test('a deadline also ends a job whose images nobody takes', async (t) => {
  const { driver } = await start(t);
  const request = { images: 64, width: 512, height: 512, deadlineMs: 100 };
  await assert.rejects(driver.render(request, { bufferBytesMax: 1 }).summary, failsWith('RENDER_TIMEOUT'));
});

test('a deadline ends what no main node answers', async (t) => {
  const main = await ScriptedMain.start(t, {
    refusals: Array.from({ length: 1000 }, () => Code.UNAVAILABLE),
  });
  const driver = await RenderDriver.connect({ main: main.target });
  t.after(() => driver.close());
  await assert.rejects(driver.render({ ...SMALL, deadlineMs: 200 }).outcome(), failsWith('RENDER_TIMEOUT'));
});
