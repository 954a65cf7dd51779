// A main node that is restarted on its folder: unfinished jobs go on, finished ones are still there.

import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { MainNode, RenderError } from '../../../render/index.js';
import { Code, EmulateClient } from '../../../render/proto/render.js';
import { RpcClient } from '../../../rpc/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { ScriptedWorker } from './support/scripted-worker.js';
import { quiet, TestDriver } from './support/test-farm.js';

const LOCAL = { host: '127.0.0.1', port: 0 };

async function start(dataDir: string, port = 0): Promise<MainNode> {
  // Nobody beats here but the workers: no one is to be missed.
  return MainNode.start(await quiet(), { listen: { ...LOCAL, port }, heartbeatMs: 60_000, dataDir });
}

function portOf(main: MainNode): number {
  return Number(main.addresses.rpc.split(':')[1]);
}

async function driverAt(t: TestContext, main: MainNode): Promise<TestDriver> {
  const client = new RpcClient({ target: main.addresses.rpc, timeoutMs: 60_000, retry: { attemptsMax: 1 } });
  t.after(() => client.close(0));
  return new TestDriver(new EmulateClient(client));
}

test('a restarted main node finishes what it had begun, and serves what was finished', async (t) => {
  const folder = temporaryFolder(t);
  let main = await start(folder);
  t.after(() => main.close(0));
  const port = portOf(main);
  const worker = await ScriptedWorker.start(main.addresses.rpc, { slots: 2 });
  t.after(() => worker.die());
  const driver = await driverAt(t, main);
  await driver.register({ name: 'steady' });
  const whole = await driver.stream({ taskCount: 5, requestId: 1n, detached: true });
  assert.equal(whole.status.code, Code.OK);

  const broken = driver.stream({ taskCount: 30, requestId: 2n, detached: true }).catch(() => null);
  await until(() => main.farm.jobs().total === 2 && main.farm.job(2).done >= 6);
  worker.hold();
  const rendered = main.farm.job(2).done;
  await main.farm.setPriority(2, 5);
  await main.close(0);
  await broken;
  worker.release();

  main = await start(folder, port);
  const again = await driverAt(t, main);
  again.serial = driver.serial;
  assert.equal(await again.beat(), Code.OK, 'its registration holds');
  const kept = await again.stream({ taskCount: 5, requestId: 1n });
  assert.equal(kept.job, whole.job);
  assert.deepEqual(kept.images, whole.images);
  const resumed = main.farm.job(2);
  assert.equal(resumed.priority, 5);
  assert(resumed.done <= rendered + 4 && resumed.done >= 4, `${resumed.done} of ${rendered} were kept`);
  const { status, images } = await again.stream({ taskCount: 30, requestId: 2n });
  assert.equal(status.code, Code.OK);
  assert.equal(images.size, 30);
  for (const [index, pixels] of images) assert.equal(pixels.readUInt32LE(0), index);
  const { job } = await again.stream({ requestId: 3n });
  assert.equal(job, 3n, 'ids go on');
  assert.equal(new Set(worker.requests.map(({ requestId }) => requestId)).size, worker.requests.length);
});

test('a torn tail and a lost piece of a result cost no more than what they held', async (t) => {
  const folder = temporaryFolder(t);
  let main = await start(folder);
  t.after(() => main.close(0));
  const worker = await ScriptedWorker.start(main.addresses.rpc);
  t.after(() => worker.die());
  const driver = await driverAt(t, main);
  await driver.register();
  const before = await driver.stream({ taskCount: 6, requestId: 1n, width: 64, height: 64 });
  const port = portOf(main);
  await main.close(0);
  appendFileSync(path.join(folder, 'jobs.journal'), Buffer.from([200, 0, 0, 0, 1, 2, 3]));
  truncateSync(path.join(folder, 'results', 'job-1.pixels'), 5 * 4096 + 17);

  main = await start(folder, port);
  const again = await driverAt(t, main);
  again.serial = driver.serial;
  const { images, status } = await again.stream({ taskCount: 6, requestId: 1n, width: 64, height: 64 });
  assert.equal(status.code, Code.OK);
  assert.deepEqual(images, before.images);
  assert.equal(main.figures().rendered, 1, 'one was rendered again');
});

test('a folder that another main node has, and a journal of another program, are refused', async (t) => {
  const folder = temporaryFolder(t);
  const main = await start(folder);
  await assert.rejects(
    start(folder),
    (error) => error instanceof RenderError && error.code === 'RENDER_STATE',
  );
  await main.close(0);
  writeFileSync(path.join(folder, 'jobs.journal'), 'something else altogether');
  await assert.rejects(start(folder), /no journal of version 1/);
  assert.deepEqual(readFileSync(path.join(folder, 'jobs.journal'), 'utf8'), 'something else altogether');
});

test('without a folder nothing is left behind', async (t) => {
  const temporary = temporaryFolder(t);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = temporary;
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });
  const main = await MainNode.start(await quiet(), {
    listen: LOCAL,
    resultMemoryBytes: 1,
    heartbeatMs: 60_000,
  });
  const worker = await ScriptedWorker.start(main.addresses.rpc);
  t.after(() => worker.die());
  const driver = await driverAt(t, main);
  await driver.register();
  await driver.stream({ taskCount: 3 });
  await until(() => main.figures().resultMemoryBytes === 0);
  assert.equal(readdirSync(temporary).length, 1);
  assert.equal((await main.farm.pixels(1, 2))?.pixels.length, 12);
  await main.close(0);
  assert.deepEqual(readdirSync(temporary), []);
});
