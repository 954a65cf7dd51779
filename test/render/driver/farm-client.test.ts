// What people do with a farm, against a main node that follows a script.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  ErrCode,
  FarmClient,
  type ImageResult,
  MainNode,
  PixelFormat,
  RenderDriver,
  RenderError,
} from '../../../render/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { startCutProxy } from '../support/cut-proxy.js';
import { ScriptedWorker } from '../main/support/scripted-worker.js';
import { quiet } from '../main/support/test-farm.js';
import { type Script, ScriptedMain } from '../support/scripted-main.js';

/** A main node that has rendered one job of ten images. */
async function start(t: TestContext, script: Script = {}): Promise<{ main: ScriptedMain; farm: FarmClient }> {
  const main = await ScriptedMain.start(t);
  const driver = await RenderDriver.connect({ main: main.target, name: 'somebody' });
  await driver.render({ images: 10, width: 20, height: 10, format: PixelFormat.RGB8 }).outcome();
  await driver.close();
  Object.assign(main.script, script);
  const farm = new FarmClient({ main: main.target });
  t.after(() => farm.close());
  return { main, farm };
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}

async function collected(results: AsyncIterable<ImageResult>): Promise<ImageResult[]> {
  const collection: ImageResult[] = [];
  for await (const result of results) collection.push(result);
  return collection;
}

test('jobs are listed and shown with their images; one that is not there is told', async (t) => {
  const { farm } = await start(t);
  const { jobs, total } = await farm.jobs();
  assert.deepEqual([jobs.length, total, jobs[0]!.driver], [1, 1, 'somebody']);
  const { job, images } = await farm.job(1n);
  assert.deepEqual([job.images, images.length], [10, 10]);
  assert.deepEqual((await farm.job(1n, { images: false })).images, []);
  await assert.rejects(farm.job(9n), failsWith('RENDER_NOT_FOUND'));
});

test('actions have an outcome for every job', async (t) => {
  const { farm } = await start(t);
  for (const action of ['pause', 'resume', 'requeue', 'cancel', 'delete'] as const) {
    const outcomes = await farm[action]([1n, 7n]);
    assert.deepEqual(
      outcomes.map(({ id, error }) => [id, error]),
      [
        [1n, ''],
        [7n, 'there is no job 7'],
      ],
    );
  }
});

test('workers are listed and drained; logs are read', async (t) => {
  const { main, farm } = await start(t);
  assert.equal((await farm.workers())[0]!.name, 'one');
  await farm.drainWorker(1);
  assert.deepEqual(main.drained, [1]);
  assert.match((await farm.logs(1n, 4)).text, /image 4 of job 1/);
  await assert.rejects(farm.logs(8n, 0), failsWith('RENDER_NOT_FOUND'));
});

test('images are fetched from an index on; large ones come in parts, missing ones with their reason', async (t) => {
  const { main, farm } = await start(t, { chunkBytes: 250, missing: { 8: ErrCode.EC_OOM } });
  const results = await collected(farm.fetch(1n, { from: 6 }));
  assert.deepEqual(
    results.map((result) => [result.index, result.kind]),
    [
      [6, 'rendered'],
      [7, 'rendered'],
      [8, 'missing'],
      [9, 'rendered'],
    ],
  );
  const [first] = results;
  assert(first?.kind === 'rendered');
  const { request } = main.jobs.get(1n)!;
  assert.deepEqual(first.pixels, new Uint8Array(main.pixels(6, request, { x: 0, y: 0, z: 0 })));
});

test('a fetch that is cut goes on where it was, and brings no image twice', async (t) => {
  const results: ImageResult[] = [];
  const { main } = await start(t, {
    before: async (index, _request, stream) => {
      if (index !== stream * 3) return;
      await until(() => results.length === index);
      proxy.cut();
    },
  });
  const proxy = await startCutProxy(t, main.target);
  const farm = new FarmClient({ main: proxy.target });
  t.after(() => farm.close());
  for await (const result of farm.fetch(1n)) results.push(result);
  assert.deepEqual(
    results.map(({ index }) => index),
    Array.from({ length: 10 }, (_, index) => index),
  );
  assert.deepEqual(main.fetches, [0, 3, 6, 9]);
});

test('a fetch of what cannot be reached fails at once', async () => {
  const farm = new FarmClient({ main: '127.0.0.1:1', callTimeoutMs: 300, reconnectMs: 60_000 });
  await assert.rejects(collected(farm.fetch(1n)), failsWith('RENDER_UNAVAILABLE'));
  await farm.close();
});

const NOBODY_BEATS = 60_000;

async function realMain(dataDir: string, port = 0): Promise<{ main: MainNode; port: number }> {
  const listen = { host: '127.0.0.1', port };
  const main = await MainNode.start(await quiet(), { listen, heartbeatMs: NOBODY_BEATS, dataDir });
  return { main, port: Number(main.addresses.rpc.split(':')[1]) };
}

/** Longer than any layer below asks again by itself: somebody who never was there before is told that nobody is, twice. */
async function isAway(target: string): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    const stranger = new FarmClient({ main: target });
    await assert.rejects(stranger.jobs(), failsWith('RENDER_UNAVAILABLE'));
    await stranger.close();
  }
}

test('questions, and actions that surely did not get there, wait for a main node that restarts', async (t) => {
  const folder = temporaryFolder(t);
  let { main, port } = await realMain(folder);
  t.after(() => main.close(0));
  const target = main.addresses.rpc;
  const worker = await ScriptedWorker.start(target);
  t.after(() => worker.die());
  const driver = await RenderDriver.connect({ main: target });
  await driver.render({ images: 3, width: 4, height: 3, detached: true }).outcome();
  await driver.close();
  const farm = new FarmClient({ main: target, callTimeoutMs: 60_000 });
  t.after(() => farm.close());
  assert.equal((await farm.jobs()).total, 1);

  await main.close(0);
  const answers = Promise.all([
    farm.jobs(),
    farm.job(1n),
    farm.setPriority(1n, 7),
    farm.delete([9n]),
    collected(farm.fetch(1n)),
    farm.putScene(Buffer.from('blend')),
  ]);
  await isAway(target);
  ({ main, port } = await realMain(folder, port));
  const [{ total }, { job, images }, [priority], [deleted], fetched, scene] = await answers;
  assert.deepEqual([total, job.id, images.length, fetched.length], [1, 1n, 3, 3]);
  assert.deepEqual([priority!.error, deleted!.error], ['', 'there is no job 9']);
  assert.notEqual(main.farm.findScene(scene), null);
  assert.equal(main.farm.job(1).priority, 7);
});

test('a main node that stays away is told of after callTimeoutMs, and why', async (t) => {
  const { main } = await realMain(temporaryFolder(t));
  const farm = new FarmClient({ main: main.addresses.rpc, callTimeoutMs: 1500 });
  t.after(() => farm.close());
  await farm.jobs();
  await main.close(0);
  const beforeMs = performance.now();
  await assert.rejects(
    farm.jobs(),
    (error) => failsWith('RENDER_UNAVAILABLE')(error) && !/not answered within/.test(String(error)),
  );
  assert(performance.now() - beforeMs > 1400, 'it was waited for');
  // Who closes meanwhile waits no longer.
  const waiting = farm.jobs();
  await farm.close();
  await assert.rejects(waiting, failsWith('RENDER_CLOSED'));
});

test('an action that was sent and not answered is not sent again: its outcome is unknown, and it says so', async (t) => {
  let deletions = 0;
  const { main } = await start(t, {
    beforeDelete: async () => {
      deletions += 1;
      proxy.cut();
    },
  });
  const proxy = await startCutProxy(t, main.target);
  const farm = new FarmClient({ main: proxy.target });
  t.after(() => farm.close());
  await assert.rejects(
    farm.delete([1n]),
    (error) => failsWith('RENDER_UNAVAILABLE')(error) && /whether it was done is unknown/.test(String(error)),
  );
  assert.equal(deletions, 1);
  assert.equal((await farm.jobs()).total, 0, 'it was done');
});

test('a scene is sent once, by what is in it', async (t) => {
  const { main, farm } = await start(t);
  const bytes = Buffer.alloc(700_001, 'blend');
  const file = path.join(temporaryFolder(t), 'cube.blend');
  writeFileSync(file, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.equal(await farm.putScene(file), sha256);
  assert.equal(await farm.putScene(bytes), sha256);
  assert.equal(main.scenesPut, 1);
  assert.deepEqual(main.scenes.get(sha256), bytes);
  await assert.rejects(farm.putScene(`${file}.none`), failsWith('RENDER_IO'));
});
