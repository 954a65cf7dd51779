// Drivers and people with a real farm: a main node, a worker node and its renderers, all of them processes.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decode, decodeApng } from 'fast-png';
import { addonMissingReason } from '../../../addon/index.js';
import {
  Code,
  type ImageResult,
  JobStates,
  PixelFormat,
  RenderDriver,
  RenderError,
} from '../../../render/index.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { startCutProxy } from '../support/cut-proxy.js';
import { freePort } from '../../support/free-port.js';
import { eventually, jobState, startFarm, startWorker } from '../support/farm-processes.js';
import { LIGHTS, SIZE, traced } from '../support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const TEN = Array.from({ length: 10 }, (_, index) => index);

test('images are those of the built-in renderer for these lights, in the order of their indexes', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t);

  await t.test('for a driver', async () => {
    await using driver = await RenderDriver.connect({ main: target, name: 'lights' });
    await driver.move({ x: 0.5, y: -0.25, z: 0 });
    const request = { ...SIZE, images: 10, lights: LIGHTS, format: PixelFormat.RGB8, seed: 3 };
    const { code, results, job } = await driver.render(request).outcome();
    assert.equal(code, Code.OK);
    for (const [index, result] of results.entries()) {
      assert(result.kind === 'rendered');
      const expected = {
        lights: LIGHTS[index]!,
        position: [0.5, -0.25, 0],
        format: PixelFormat.RGB8,
        seed: 3,
      } as const;
      assert.deepEqual(result.pixels, traced(expected), `image ${index}`);
      assert(result.times !== null && result.times.renderUs > 0);
    }
    // The same once more, from what the farm kept.
    const fetched: ImageResult[] = [];
    for await (const result of farm.fetch(job!)) fetched.push(result);
    assert.deepEqual(
      fetched.map((result) => (result.kind === 'rendered' ? result.pixels : null)),
      results.map((result) => (result.kind === 'rendered' ? result.pixels : null)),
    );
  });

  await t.test('for people, as files', async () => {
    const folder = temporaryFolder(t);
    const out = path.join(folder, 'out');
    const lights = path.join(folder, 'lights.json');
    const animation = path.join(folder, 'all.png');
    writeFileSync(lights, JSON.stringify(LIGHTS));
    const what = ['--images', '10', '--size', '24x16', '--samples', '2', '--lights', lights];
    const where = ['--main', target, '--out', out, '--animation', animation];
    const submit = new Command(t, ['render', 'submit', ...what, ...where]);
    assert.equal(await submit.exitCode, 0, submit.stderr);
    const { frames } = decodeApng(readFileSync(animation));
    for (const index of TEN) {
      const { data } = decode(
        readFileSync(path.join(out, `image-${String(index + 1).padStart(4, '0')}.png`)),
      );
      assert.deepEqual(new Uint8Array(data), traced({ lights: LIGHTS[index]! }), `image ${index}`);
      assert.deepEqual(frames[index]!.data, data);
    }
  });
});

test('connections that break in mid-stream change nothing: one result for each image, one job', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '50ms'] });
  const proxy = await startCutProxy(t, target);
  await using driver = await RenderDriver.connect({ main: proxy.target });
  const indexes: number[] = [];
  let reconnected = 0;
  const job = driver.render(
    { ...SIZE, images: 20 },
    { onProgress: ({ state }) => (reconnected += state === 'reconnecting' ? 1 : 0) },
  );
  for await (const { kind, index } of job) {
    assert.equal(kind, 'rendered');
    indexes.push(index);
    if (indexes.length % 6 === 0) proxy.cut();
  }
  assert.deepEqual(
    indexes.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, index) => index),
  );
  assert(reconnected > 0);
  const { jobs } = await farm.jobs();
  assert.deepEqual([jobs.length, jobs[0]!.done, jobs[0]!.retries], [1, 20, 0]);
});

test('a job that is canceled is canceled at the farm', { skip }, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '100ms'] });
  await using driver = await RenderDriver.connect({ main: target });
  const abort = new AbortController();
  const job = driver.render({ ...SIZE, images: 200 }, { signal: abort.signal });
  await assert.rejects(
    async () => {
      for await (const _ of job) abort.abort();
    },
    (error) => error instanceof RenderError && error.code === 'RENDER_CANCELED',
  );
  const id = job.progress.job!;
  await eventually(async () => (await jobState(farm, id)) === JobStates.CANCELED);
  // And by somebody else, whose driver hears of it.
  const other = driver.render({ ...SIZE, images: 200 });
  for await (const { kind } of other) {
    if (kind === 'missing') continue;
    await farm.cancel([other.progress.job!]);
  }
  const { code, missing: left } = await other.summary;
  assert.equal(code, Code.CANCELED);
  assert(left > 0);
});

test('a driver that is killed takes its job with it, and leaves the one that was detached', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '50ms'] });
  const args = ['render', 'submit', '--main', target, '--size', '24x16', '--json'];
  const detached = new Command(t, [...args, '--images', '30', '--detach']);
  assert.equal(await detached.exitCode, 0, detached.stderr);
  const killed = new Command(t, [...args, '--images', '500', '--out', path.join(temporaryFolder(t), 'out')]);
  await killed.line((line) => line.includes('"image"'));
  killed.child.kill('SIGKILL');
  await eventually(async () => (await jobState(farm, 2n)) === JobStates.CANCELED);
  await eventually(async () => (await jobState(farm, 1n)) === JobStates.COMPLETED);
});

test('a fetch that is interrupted goes on where it was, also while the job is rendered', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t, { workerFlags: ['--builtin-sleep', '500ms'] });
  const images = 24;
  await using driver = await RenderDriver.connect({ main: target });
  const left = driver.render({ ...SIZE, images, lights: [LIGHTS[4]!], detached: true });
  await eventually(async () => (await farm.jobs()).jobs.some(({ done }) => done >= 3));
  await driver.close();
  await assert.rejects(left.summary);
  // What is paused is half done, however busy the machine is.
  await farm.pause([1n]);
  await eventually(async () => (await farm.job(1n)).job.running === 0);
  const { done } = (await farm.job(1n)).job;
  assert(done < images);

  const out = path.join(temporaryFolder(t), 'out');
  const fetch = ['render', 'fetch', '1', '--main', target, '--json', '--out', out, '--follow'];
  const first = new Command(t, fetch);
  // Images come in the order of their indexes: the first that is not rendered yet holds up the others.
  await first.line((line) => line.includes('"image"'));
  assert.equal(await first.stop('SIGINT'), 130);
  const kept = readdirSync(out).filter((name) => name.endsWith('.png')).length;
  assert(kept > 0 && kept <= done);

  await farm.resume([1n]);
  const second = new Command(t, fetch);
  assert.equal(await second.exitCode, 0, second.stderr);
  const finished = JSON.parse(second.lines.at(-1)!) as { before: number; fetched: number };
  assert.deepEqual([finished.before, finished.fetched], [kept, images - kept]);
  assert.equal(await jobState(farm, 1n), JobStates.COMPLETED);
  const { data } = decode(readFileSync(path.join(out, 'image-0023.png')));
  assert.deepEqual(new Uint8Array(data), traced({ lights: LIGHTS[4]! }));
});

test('a main node that is killed and started again with its journal costs a driver nothing', {
  skip,
}, async (t) => {
  const listen = [
    '--listen',
    `127.0.0.1:${await freePort()}`,
    '--data',
    path.join(temporaryFolder(t), 'data'),
  ];
  const start = (): Command => new Command(t, ['render', 'main', ...listen, '--json']);
  const main = start();
  const target = (await main.ready()).listen['rpc']!;
  await startWorker(t, target, '--builtin-sleep', '50ms');
  await using driver = await RenderDriver.connect({ main: target });
  const images = 30;
  const lights = Array.from({ length: images }, (_, index) => LIGHTS[index % 10]!);
  const job = driver.render({ ...SIZE, images, lights });
  const seen = new Map<number, ImageResult>();
  for await (const result of job) {
    assert(!seen.has(result.index), `image ${result.index} came twice`);
    seen.set(result.index, result);
    if (seen.size !== 5) continue;
    await main.stop('SIGKILL');
    await start().ready();
  }
  assert.equal(seen.size, images);
  for (const [index, result] of seen) {
    assert(result.kind === 'rendered', `image ${index}: ${JSON.stringify(result)}`);
    assert.deepEqual(result.pixels, traced({ lights: lights[index]! }));
  }
});

test('overload is told while there is no worker node, and over once there is one', { skip }, async (t) => {
  const { target, workers } = await startFarm(t);
  await workers[0]!.stop();
  await using driver = await RenderDriver.connect({ main: target });
  await assert.rejects(
    driver.render({ ...SIZE, images: 1 }, { overloadWaitMs: 0 }).outcome(),
    (error) => error instanceof RenderError && error.code === 'RENDER_OVERLOAD',
  );
  let isWaiting = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    isWaiting = resolve;
  });
  const job = driver.render(
    { ...SIZE, images: 1 },
    {
      overloadWaitMs: 60_000,
      onProgress: ({ state }) => {
        if (state === 'waiting') isWaiting();
      },
    },
  );
  await waiting;
  await startWorker(t, target);
  assert.equal((await job.outcome()).code, Code.OK);
});
