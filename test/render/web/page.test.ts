// The page in real Chromium, over a farm that the test plays.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { after, before, describe } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { type FarmWeb, serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import {
  barriers,
  keepPicture,
  painted,
  type Picture,
  skipWithoutChromium,
  TestBrowser,
} from './support/browser.js';
import { ScriptedFarm } from './support/scripted-farm.js';

const LAYOUTS = [
  [360, 'light'],
  [360, 'dark'],
  [768, 'dark'],
  [1920, 'light'],
] as const;
const LIVE = '#link[data-state="live"]';

describe('the page of the farm', { skip: skipWithoutChromium() }, () => {
  let browser: TestBrowser;
  before(async () => {
    browser = await TestBrowser.open();
  });
  after(async () => {
    await browser.close();
    assert.deepEqual(browser.complaints, []);
  });

  test('an empty farm says what to do, with the address to give', async (t) => {
    const { url } = await served(t, new ScriptedFarm());
    const page = await browser.page(url);
    await page.locator(LIVE).waitFor();
    await page.getByText('reactor-net render worker --main 127.0.0.1:7600').waitFor();
    await page.getByText('reactor-net render submit --main 127.0.0.1:7600').waitFor();
    await keepPicture(page, 'empty');
    await page.close();
  });

  test('jobs, worker nodes, their processes and load come in while one looks', async (t) => {
    const farm = new ScriptedFarm();
    const { url } = await served(t, farm);
    const page = await browser.page(url);
    await page.locator(LIVE).waitFor();
    farm.addWorker({ serial: 3, name: 'cellar', running: 2, tags: ['gpu'] });
    const card = page.getByRole('listitem').filter({ hasText: 'cellar' });
    await card.getByRole('row', { name: '4711 98 %' }).waitFor();
    await card.getByRole('img', { name: /Load of cellar .* now CPU 25 %, memory 50 %/ }).waitFor();
    await card.locator('canvas').waitFor();
    farm.addJob({ id: 8, driver: 'swarm', images: 4 });
    const row = page.getByRole('row', { name: /Job 8/ });
    await row.getByText('0 of 4').waitFor();
    farm.render(8, 0);
    farm.render(8, 1, 'missing');
    await row.getByText('1 of 4, 1 missing').waitFor();
    const bar = row.getByRole('progressbar', { name: 'Progress of job 8' });
    assert.equal(await bar.getAttribute('aria-valuenow'), '2');
    await painted(page.getByRole('link', { name: 'Image 0 of job 8' }).locator('img'));
    farm.removeWorker(3);
    await card.waitFor({ state: 'detached' });
    await page.close();
  });

  test('several jobs are paused at once, and canceled after a question', async (t) => {
    const farm = new ScriptedFarm();
    for (const id of [1, 2, 3]) farm.addJob({ id });
    farm.addJob({ id: 4, state: 'completed', finishedAtMs: Date.now(), code: 0 });
    const { url } = await served(t, farm);
    const page = await browser.page(url);
    await page.getByLabel('Select job 1').check();
    await page.getByLabel('Select job 3').check();
    await page.getByText('2 selected').waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('2 jobs paused').waitFor();
    assert.deepEqual(farm.asked, ['pause 3 1']);
    await page.getByRole('button', { name: 'Pause', disabled: true }).waitFor();
    await keepPicture(page, 'selected');
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Cancel 2 jobs?' });
    await question.getByRole('button', { name: 'Keep' }).click();
    assert.deepEqual(farm.asked, ['pause 3 1']);
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await question.getByRole('button', { name: 'Cancel 2 jobs' }).click();
    await page.getByRole('row', { name: /Job 3 .* canceled/ }).waitFor();
    assert.equal(farm.asked.at(-1), 'cancel 3 1');
    await page.getByLabel('Select all jobs shown').check();
    await page.getByRole('button', { name: 'Raise priority' }).click();
    await page.getByText('Job 2 at priority 1').waitFor();
    await page.getByRole('radio', { name: 'Finished' }).check({ force: true });
    await page.getByRole('row', { name: /Job 2 / }).waitFor({ state: 'detached' });
    await page.close();
  });

  test('what the main node refuses is told, job by job', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 1, state: 'failed', finishedAtMs: Date.now(), code: 11 });
    farm.remove = async (ids) =>
      ids.map((id) => ({ id, error: 'its journal is read-only', state: 'failed' }));
    const { url } = await served(t, farm);
    const page = await browser.page(`${url}#/jobs/1`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete job 1' }).click();
    await page.getByText('Job 1: its journal is read-only').waitFor();
    await page.close();
  });

  test('thumbnails arrive, an image opens large by keyboard, with its log, and focus returns', async (t) => {
    const farm = new ScriptedFarm();
    farm.addWorker({ serial: 1, name: 'attic' });
    farm.addJob({ id: 5, images: 12, width: 320, height: 240 });
    const { url } = await served(t, farm);
    const page = await browser.page(`${url}#/jobs/5`);
    await page.getByRole('link', { name: 'Image 11: waiting' }).waitFor();
    for (let index = 0; index < 12; index += 1) farm.render(5, index, index === 4 ? 'missing' : 'rendered');
    for (const index of [0, 11])
      await painted(page.getByRole('link', { name: `Image ${index}: rendered` }).locator('img'));
    await page.getByRole('link', { name: 'Image 4: signal SIGSEGV' }).waitFor();
    await keepPicture(page, 'job');
    const third = page.getByRole('link', { name: 'Image 3: rendered' });
    await third.focus();
    await page.keyboard.press('Enter');
    const viewer = page.getByRole('dialog', { name: 'Image 3 of job 5' });
    await painted(viewer.locator('img'));
    assert.deepEqual(await sizeOf(viewer.locator('img')), [320, 240]);
    await viewer.getByRole('button', { name: 'Log' }).click();
    await viewer.getByText('Fra:3 Mem:12.3M').waitFor();
    await page.keyboard.press('ArrowRight');
    const next = page.getByRole('dialog', { name: 'Image 4 of job 5' });
    await next.getByText('Missing: signal SIGSEGV').waitFor();
    await next.getByText('Fra:4 Mem:12.3M').waitFor();
    await keepPicture(page, 'viewer');
    await page.keyboard.press('Escape');
    await next.waitFor({ state: 'detached' });
    await page.waitForFunction("document.activeElement?.getAttribute('href') === '#/jobs/5/images/3'");
    await page.close();
  });

  test('a worker node is drained after a question', async (t) => {
    const farm = new ScriptedFarm();
    farm.addWorker({ serial: 7, name: 'garage' });
    const { url } = await served(t, farm);
    const page = await browser.page(url);
    await page.getByRole('button', { name: 'Drain garage' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Drain garage' }).click();
    await page.getByText('garage drains').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'draining' }).waitFor();
    assert.deepEqual(farm.asked, ['drain 7']);
    await page.close();
  });

  test('a restart of the main node is survived and told, and what changed meanwhile is there', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 1 });
    const first = await served(t, farm);
    const page = await browser.page(first.url);
    await page.getByRole('row', { name: /Job 1 .* queued/ }).waitFor();
    await first.web.close();
    await page.getByText('Not connected, trying again…').waitFor();
    await keepPicture(page, 'not-connected');
    farm.jobsById.get(1)!.state = 'paused';
    farm.addJob({ id: 2 });
    await served(t, farm, { port: first.web.port });
    await page.getByText('The main node was started again').waitFor();
    await page.locator(LIVE).waitFor();
    await page.getByRole('row', { name: /Job 1 .* paused/ }).waitFor();
    await page.getByRole('row', { name: /Job 2/ }).waitFor();
    await page.close();
  });

  test('a token is asked for, kept out of the reach of scripts and of addresses, and forgotten at logging out', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 1 });
    const { url } = await served(t, farm, { tokens: () => ['open sesame'] });
    const page = await browser.page(url);
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await page.getByLabel('Token').fill('guess');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('the token is not known here').waitFor();
    await keepPicture(page, 'login');
    await page.getByLabel('Token').fill('open sesame');
    await page.keyboard.press('Enter');
    await page.getByRole('row', { name: /Job 1/ }).waitFor();
    assert.equal(await page.evaluate('document.cookie'), '');
    assert(!page.url().includes('sesame'));
    await page.reload();
    await page.getByRole('row', { name: /Job 1/ }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await page.close();
  });

  test('a thousand images that come in at once are shown, and the missing ones among them are found', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 2, images: 1000 });
    const { url } = await served(t, farm);
    const page = await browser.page(`${url}#/jobs/2`);
    await page.getByRole('link', { name: 'Image 199: waiting' }).waitFor();
    for (let index = 0; index < 1000; index += 1)
      farm.render(2, index, index % 300 === 299 ? 'missing' : 'rendered');
    await page.getByText('997 of 1,000, 3 missing').waitFor();
    await painted(page.getByRole('link', { name: 'Image 0: rendered' }).locator('img'));
    await page.getByRole('button', { name: 'Show more images' }).click();
    await page.getByRole('link', { name: 'Image 399: rendered' }).waitFor();
    await page.getByLabel('Only missing ones').check();
    const links = page.getByRole('list', { name: 'Images' }).getByRole('link');
    await page.getByRole('link', { name: 'Image 899' }).waitFor();
    assert.equal(await links.count(), 3);
    await links.first().click();
    await page.getByRole('button', { name: 'Next image' }).click();
    await page
      .getByRole('dialog', { name: 'Image 599 of job 2' })
      .getByText('Missing: signal SIGSEGV')
      .waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Only missing ones').uncheck();
    await page.getByRole('link', { name: 'Image 0: rendered' }).waitFor();
    await page.goto(`${url}#/jobs/2/images/998`);
    await painted(page.getByRole('dialog', { name: 'Image 998 of job 2' }).locator('img'));
    await page.close();
  });

  test('a foreign page in the same browser changes nothing and sees nothing, although one is logged in', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 1 });
    farm.render(1, 0);
    const { url } = await served(t, farm, { tokens: () => ['open sesame'] });
    const foreign = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(foreignPage(url));
    }).listen(0, '127.0.0.1');
    t.after(() => foreign.close());
    await once(foreign, 'listening');
    const page = await browser.page(url);
    await page.getByLabel('Token').fill('open sesame');
    await page.keyboard.press('Enter');
    await page.getByRole('row', { name: /Job 1/ }).waitFor();
    const complaints = browser.complaints.length;
    // Of the same site by name, of another one by address: neither is of this origin.
    const { port } = foreign.address() as AddressInfo;
    for (const host of ['127.0.0.1', 'localhost']) {
      await page.goto(`http://${host}:${port}/`);
      await page.getByText('fetch: refused, image: refused').waitFor();
      await page.getByRole('button', { name: 'A kitten' }).click();
      await page.waitForURL(`${url}api/v1/jobs/actions`);
      await page.getByText('RENDER_UNAUTHORIZED').waitFor();
    }
    assert.deepEqual(farm.asked, []);
    browser.complaints.splice(complaints); // of the browser, about the foreign page
    await page.close();
  });

  test('who is asked for a token comes to the job of the address after it', async (t) => {
    const farm = new ScriptedFarm();
    farm.addJob({ id: 1 });
    const { url } = await served(t, farm, { tokens: () => ['open sesame'] });
    const page = await browser.page(`${url}#/jobs/1`);
    await page.getByLabel('Token').fill('open sesame');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Job 1' }).waitFor();
    await page.getByRole('link', { name: 'Image 3: waiting' }).waitFor();
    assert.equal(await page.locator('.notice.bad').count(), 0);
    await page.close();
  });

  for (const [width, colorScheme] of LAYOUTS) {
    test(`it fits ${width} px wide, ${colorScheme}, and axe finds no barrier`, async (t) => {
      const { url } = await served(t, crowded());
      const page = await browser.page(url, { viewport: { width, height: 800 }, colorScheme });
      await page.getByRole('row', { name: /Job 6/ }).waitFor();
      await painted(page.getByRole('link', { name: 'Image 3 of job 6' }).locator('img'));
      assert.equal(await overflow(page), 0);
      assert.deepEqual(await barriers(page), []);
      await keepPicture(page, `overview-${width}-${colorScheme}`);
      await page.goto(`${url}#/jobs/6`);
      await page.getByRole('link', { name: 'Image 0: rendered' }).click();
      await painted(page.getByRole('dialog').locator('img'));
      assert.equal(await overflow(page), 0);
      assert.deepEqual(await barriers(page), []);
      await keepPicture(page, `viewer-${width}-${colorScheme}`);
      await page.close();
    });
  }
});

/** Tries what a page of somebody else can try. */
function foreignPage(url: string): string {
  return `<!doctype html><p id="seen">trying</p>
    <form method="post" enctype="text/plain" action="${url}api/v1/jobs/actions">
      <input type="hidden" name='{"action":"cancel","ids":[1],"x":"' value='"}'><button>A kitten</button>
    </form>
    <script type="module">
      const body = '{"action":"cancel","ids":[1]}';
      const fetched = await fetch('${url}api/v1/jobs/actions', {
        method: 'POST', credentials: 'include', body,
        headers: { 'content-type': 'application/json', 'x-reactor-net': '1' },
      }).then(() => 'done', () => 'refused');
      await fetch('${url}api/v1/jobs/actions', { method: 'POST', mode: 'no-cors', credentials: 'include', body })
        .catch(() => 'its answer is kept from us too');
      const image = await new Promise((resolve) => {
        const picture = new Image();
        picture.onload = () => resolve('seen');
        picture.onerror = () => resolve('refused');
        picture.src = '${url}api/v1/jobs/1/images/0.png';
      });
      document.getElementById('seen').textContent = \`fetch: \${fetched}, image: \${image}\`;
    </script>`;
}

interface Served {
  readonly web: FarmWeb;
  readonly url: string;
}

async function served(
  t: { after(release: () => Promise<void>): void },
  farm: ScriptedFarm,
  options: { readonly port?: number; readonly tokens?: () => readonly string[] } = {},
): Promise<Served> {
  const mainAddress = '127.0.0.1:7600';
  const web = await serveFarmWeb(farm, { port: 0, mainAddress, gatherMs: 20, loadStepMs: 100, ...options });
  t.after(() => web.close());
  return { web, url: `http://127.0.0.1:${web.port}/` };
}

function crowded(): ScriptedFarm {
  const farm = new ScriptedFarm();
  farm.addWorker({
    serial: 1,
    name: 'a-worker-node-with-quite-a-long-name.rack-17.example',
    gpu: 0.7,
    gpuTemp: 61,
  });
  farm.addWorker({ serial: 2, name: 'attic', isDraining: true });
  for (let id = 1; id <= 6; id += 1) {
    const submittedAtMs = Date.now() - id * 100_000;
    farm.addJob({
      id,
      driver: `driver-${id}-with-a-name`,
      images: 8,
      width: 320,
      height: 240,
      submittedAtMs,
    });
  }
  for (let index = 0; index < 4; index += 1) farm.render(6, index);
  for (let index = 0; index < 8; index += 1) farm.render(5, index, index === 2 ? 'missing' : 'rendered');
  farm.jobsById.get(4)!.state = 'paused';
  return farm;
}

async function sizeOf(image: Locator): Promise<readonly number[]> {
  return await image.evaluate((node: unknown) => {
    const { naturalWidth, naturalHeight } = node as Picture; // the locator is of an img
    return [naturalWidth, naturalHeight];
  });
}

/** Pixels by which the page is wider than the screen. */
async function overflow(page: Page): Promise<unknown> {
  return await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}
