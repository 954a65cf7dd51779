// The same request sent more than once: at once, over several connections, afterwards, after a restart, and with other content.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import { Code, EmulateClient, FarmClient } from '../../render/index.js';
import type { RenderReq } from '../../render/proto/render.js';
import type { MessageInit } from '../../rpc/index.js';
import { Command } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TestDriver } from './main/support/test-farm.js';
import { figure } from './support/farm-figures.js';
import { eventually, startFarm } from './support/farm-processes.js';
import { checkReceived, OneResultEach } from './support/one-result.js';
import { askFor, plainClient, plainDriver } from './support/plain-driver.js';
import { lightsFor } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const IMAGES = 24;
const IMAGE_BYTES = 24 * 16;

test('a request that is sent again and again is one job, and everybody who asks has each image once', {
  skip,
}, async (t) => {
  const listen = ['--listen', `127.0.0.1:${await freePort()}`];
  const flags = [...listen, '--data', path.join(temporaryFolder(t), 'data'), '--metrics', '127.0.0.1:0'];
  const { target, main, farm } = await startFarm(t, {
    mainFlags: flags,
    workerFlags: ['--builtin-sleep', '100ms'],
  });
  const driver = await plainDriver(t, target);
  const lights = lightsFor(IMAGES);
  const request = { ...askFor(lights), requestId: 11n };
  /** The same driver over a connection of its own. */
  const again = (): TestDriver => {
    const same = new TestDriver(new EmulateClient(plainClient(t, target)));
    same.serial = driver.serial;
    return same;
  };
  const checkWhole = async (asker: TestDriver): Promise<void> => {
    const { status, imgs, tasks } = await asker.render(request);
    assert.equal(status?.code, Code.OK);
    const results = new OneResultEach(lights);
    for (const [at, { index }] of tasks.entries())
      results.take(index, imgs.subarray(at * IMAGE_BYTES, (at + 1) * IMAGE_BYTES));
    results.end();
  };
  const ask = async (asker: TestDriver): Promise<void> =>
    checkReceived(await asker.stream(request), new OneResultEach(lights));
  const others: [string, MessageInit<RenderReq>][] = [
    ['other lights', { lights: lights.toReversed().flat() }],
    ['fewer images', { taskCount: 3, lights: lights.slice(0, 3).flat() }],
    ['another size', { width: 25 }],
    ['another seed', { seed: 5 }],
    ['frames', { frames: lights.map((_, index) => index) }],
  ];
  const refuseOthers = async (): Promise<void> => {
    for (const [what, more] of others) {
      for (const status of [
        (await driver.stream({ ...request, ...more })).status,
        (await again().render({ ...request, ...more })).status,
      ]) {
        assert.equal(status?.code, Code.INVALID_ARGUMENT, what);
        assert.match(status?.message ?? '', /request_id 11 was another request before/);
      }
    }
  };

  await t.test('at once, on one connection and on several', async () => {
    await Promise.all([ask(driver), ask(driver), ask(again()), checkWhole(driver), checkWhole(again())]);
  });
  await t.test('while it runs and afterwards, with other content: refused', refuseOthers);
  await t.test('afterwards', async () => {
    await ask(driver);
    await Promise.all([ask(again()), checkWhole(driver)]);
  });
  assert.equal((await farm.jobs()).total, 1);
  assert.equal(await figure(main, 'images_rendered_total'), IMAGES);

  await t.test('while it runs: refused with other content, joined with the same', async () => {
    const long = { ...askFor(lightsFor(60)), requestId: 12n };
    const running = driver.stream(long);
    await eventually(async () => (await farm.jobs()).jobs.some(({ id, done }) => id === 2n && done > 3));
    const { status } = await again().stream({ ...long, seed: 1 });
    assert.equal(status.code, Code.INVALID_ARGUMENT);
    const joined = again().stream(long);
    for (const result of await Promise.all([running, joined]))
      checkReceived(result, new OneResultEach(lightsFor(60)));
    assert.equal((await farm.jobs()).total, 2);
  });

  await t.test('another driver has request ids of its own', async () => {
    const stranger = await plainDriver(t, target, { name: 'another' });
    const few = lightsFor(4).toReversed();
    checkReceived(await stranger.stream({ ...askFor(few), requestId: 11n }), new OneResultEach(few));
    assert.equal((await farm.jobs()).total, 3);
  });

  await t.test('after a restart of the main node, from what it kept', async () => {
    await main.stop('SIGKILL');
    const restarted = new Command(t, ['render', 'main', ...flags, '--json']);
    await restarted.ready();
    await ask(again());
    await refuseAfterRestart();
    assert.equal(await figure(restarted, 'images_rendered_total'), 0);
    const later = new FarmClient({ main: target });
    t.after(() => later.close());
    assert.equal((await later.jobs()).total, 3);
  });

  async function refuseAfterRestart(): Promise<void> {
    const { status } = await again().stream({ ...request, seed: 9 });
    assert.equal(status.code, Code.INVALID_ARGUMENT);
  }
});
