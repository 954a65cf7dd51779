// The page in real Chromium over a farm of processes that really render: a main node, a worker node, its renderers.

import assert from 'node:assert/strict';
import test from 'node:test';
import { addonMissingReason } from '../../../addon/index.js';
import { Code, packLight, PixelFormat, RenderDriver } from '../../../render/index.js';
import { freePort } from '../../support/free-port.js';
import { startMain, startWorker } from '../support/farm-processes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { keepPicture, painted, skipWithoutChromium, TestBrowser } from './support/browser.js';

const skip =
  process.platform === 'linux' ? (addonMissingReason() ?? skipWithoutChromium()) : 'renderers need Linux';

const LIGHTS = Array.from({ length: 12 }, (_, index) => [
  packLight({ intensity: 90 + index * 10, r: 255, g: 230 - index * 12, b: 120 + index * 11 }),
  packLight({ intensity: 60, r: 90, g: 140, b: 255 }),
]);

test('thumbnails of a real farm arrive, a job is canceled from the page, and a restart is survived', {
  skip,
}, async (t) => {
  const port = await freePort();
  const folder = temporaryFolder(t);
  const flags = ['--http', `127.0.0.1:${port}`, '--data', folder];
  const { main, target } = await startMain(t, ...flags);
  await startWorker(t, target, '--name', 'attic');
  const driver = await RenderDriver.connect({ main: target, name: 'light search' });
  t.after(() => driver.close());
  const browser = await TestBrowser.open();
  t.after(() => browser.close());
  const page = await browser.page(`http://127.0.0.1:${port}/`);

  const card = page.getByRole('listitem').filter({ hasText: 'attic' });
  await card.getByText('2 of at most 2 renderer processes').waitFor();

  const small = driver.render({
    lights: LIGHTS,
    width: 160,
    height: 120,
    samples: 4,
    format: PixelFormat.RGB8,
  });
  await page.getByRole('row', { name: /light search completed 12 of 12/ }).waitFor();
  assert.equal((await small.outcome()).rendered, 12);
  await page.getByRole('link', { name: 'Job 1', exact: true }).click();
  for (const index of [0, 11])
    await painted(page.getByRole('link', { name: `Image ${index}: rendered` }).locator('img'));
  await keepPicture(page, 'real-job');
  await page.getByRole('link', { name: 'Image 5: rendered' }).click();
  const viewer = page.getByRole('dialog');
  await painted(viewer.locator('img'));
  await viewer.getByRole('button', { name: 'Log' }).click();
  await viewer.getByText(/renderer \d+: rendered/).waitFor();
  await page.keyboard.press('Escape');

  const large = driver.render({ images: 10_000, width: 320, height: 240, samples: 16 });
  const largeOutcome = large.outcome();
  await page.getByRole('link', { name: 'All jobs' }).click();
  await page.getByRole('row', { name: /light search active/ }).waitFor();
  await page.getByLabel('Select job 2').check();
  await keepPicture(page, 'real-overview');
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel job 2' }).click();
  await page.getByRole('row', { name: /Job 2 light search canceled/ }).waitFor();
  assert.equal((await largeOutcome).code, Code.CANCELED);
  await driver.close();
  assert.deepEqual(browser.complaints, []);

  main.child.kill('SIGKILL');
  await page.getByText('Not connected, trying again…').waitFor();
  await startMain(t, ...flags);
  await page.getByText('The main node was started again').waitFor();
  await page.getByRole('row', { name: /Job 1 light search completed/ }).waitFor();
});
