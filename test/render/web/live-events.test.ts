// Changes of the farm as they reach those who watch, and what becomes of those who do not read.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Changes } from '../../../render/web/changes.js';
import { LoadHistory } from '../../../render/web/load-history.js';
import { serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import type { FarmWebOptions } from '../../../render/web/web-options.js';
import { until } from '../../support/until.js';
import { EventReader } from './support/event-reader.js';
import { ScriptedFarm } from './support/scripted-farm.js';
import { WebClient } from './support/web-client.js';

test('a watcher is greeted and told of jobs, images, worker nodes, totals and load', async (t) => {
  const { farm, port } = await served(t);
  const reader = await EventReader.open(port);
  t.after(() => reader.close());
  const hello = (await reader.next('hello')) as { boot: string; totals: object };
  assert.match(hello.boot, /^[0-9a-f-]{36}$/);
  farm.addJob({ id: 9, images: 3 });
  farm.render(9, 0);
  farm.render(9, 2, 'missing');
  const { jobs } = (await reader.next('jobs')) as { jobs: { id: number; done: number; failed: number }[] };
  assert.deepEqual(
    jobs.map(({ id, done, failed }) => [id, done, failed]),
    [[9, 1, 1]],
  );
  assert.deepEqual(await reader.next('images'), {
    job: 9,
    images: [
      { index: 0, state: 'rendered' },
      { index: 2, state: 'missing' },
    ],
  });
  farm.addWorker({ serial: 4 });
  await reader.next('workers', (data) => (data as { workers: object[] }).workers.length === 1);
  farm.removeWorker(4);
  await reader.next('workers', (data) => (data as { removed: number[] }).removed.includes(4));
  await reader.next('totals', (data) => (data as { imagesFailed: number }).imagesFailed === 1);
  await reader.next('load', (data) => (data as { atMs: number }).atMs > 0);
  farm.jobsById.get(9)!.state = 'failed';
  await farm.remove([9]);
  await reader.next('jobs', (data) => (data as { removed: number[] }).removed.includes(9));
});

test('a watcher that reads nothing is dropped and told to reload, while others go on', async (t) => {
  const { farm, port, client } = await served(t, { watcherBytesMax: 16_384, gatherMs: 1 });
  const slow = await EventReader.open(port);
  const quick = await EventReader.open(port);
  t.after(() => quick.close());
  t.after(() => slow.close());
  await slow.next('hello');
  slow.pause();
  for (let id = 1; id <= 300; id += 1) farm.addJob({ id, driver: 'x'.repeat(1000) });
  const dropped = async (): Promise<boolean> =>
    /^reactor_net_render_web_watchers_slow_total 1$/m.test((await client.ask('/metrics')).text);
  // What the system keeps for it in its own memory has to be full first.
  for (let round = 0; !(await dropped()); round += 1) {
    assert(round < 2000, 'it is dropped before very much was written');
    for (let id = 1; id <= 300; id += 1) farm.tell({ kind: 'job', job: id });
  }
  assert.match((await client.ask('/metrics')).text, /^reactor_net_render_web_watchers 1$/m);
  slow.resume();
  assert.deepEqual(await slow.next('reload'), { reason: 'slow' });
  await until(() => slow.isOver);
  farm.addJob({ id: 999 });
  await quick.next('jobs', (data) => JSON.stringify(data).includes('"id":999'));
});

test('no more watchers are taken than may be, and one that leaves makes room', async (t) => {
  const { port, client } = await served(t, { watchersMax: 2 });
  const readers = [await EventReader.open(port), await EventReader.open(port)];
  const refused = await client.ask('/api/v1/events');
  assert.equal(refused.status, 503);
  assert.equal((refused.json() as { code: string }).code, 'RENDER_OVERLOAD');
  assert.equal(refused.headers['retry-after'], '5');
  readers[0]!.close();
  let third = await EventReader.open(port);
  while (third.status !== 200) {
    third.close();
    third = await EventReader.open(port);
  }
  third.close();
  readers[1]!.close();
});

test('closing ends what is watched and listens to the farm no more', async () => {
  const farm = new ScriptedFarm();
  const web = await serveFarmWeb(farm, { port: 0 });
  const reader = await EventReader.open(web.port);
  await reader.next('hello');
  assert.notEqual(farm.listeners, 0);
  await web.close();
  await until(() => reader.isOver);
  assert.equal(farm.listeners, 0);
});

test('a thousand images in a moment are bounded: what does not fit is told as more', () => {
  const changes = new Changes();
  for (let index = 0; index < 1000; index += 1) {
    changes.note({ kind: 'image', job: 1, index, state: 'rendered' });
    changes.note({ kind: 'job', job: 1 });
  }
  const taken = changes.take();
  assert.equal(taken.images.get(1)?.size, 500);
  assert.deepEqual(taken.jobs, [1]);
  assert.equal(taken.more, true);
  assert.equal(changes.isEmpty, true);
  assert.equal(changes.take().more, false);
});

test('a job that is removed right after a change is told as removed alone', () => {
  const changes = new Changes();
  changes.note({ kind: 'job', job: 1 });
  changes.note({ kind: 'image', job: 1, index: 0, state: 'rendered' });
  changes.note({ kind: 'job-removed', job: 1 });
  const { jobs, jobsRemoved, images } = changes.take();
  assert.deepEqual([jobs, jobsRemoved, images.size], [[], [1], 0]);
});

test('the load graphs go back as far as they may, and tell images per second', () => {
  const farm = new ScriptedFarm();
  for (let serial = 1; serial <= 3; serial += 1) farm.addWorker({ serial });
  const history = new LoadHistory(4);
  for (let second = 0; second < 6; second += 1) history.note(second * 1000, second * second, farm.workers());
  assert.deepEqual(
    history.points.map(({ atMs, imagesPerSecond }) => [atMs, imagesPerSecond]),
    [
      [2000, 3],
      [3000, 5],
      [4000, 7],
      [5000, 9],
    ],
  );
  assert.equal(history.points[0]!.workers.length, 3);
  assert.equal(history.note(6000, 0, []).imagesPerSecond, 0, 'a main node that began anew counts from 0');
});

async function served(
  t: { after(release: () => unknown): void },
  options: FarmWebOptions = {},
): Promise<{ farm: ScriptedFarm; port: number; client: WebClient }> {
  const farm = new ScriptedFarm();
  const web = await serveFarmWeb(farm, { port: 0, gatherMs: 20, loadStepMs: 50, ...options });
  t.after(() => web.close());
  return { farm, port: web.port, client: new WebClient(web.port) };
}
