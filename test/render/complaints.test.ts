// What users of other farm managers complain of, where no other test has it; docs/render-complaints.md has the whole list.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLogger } from '../../reactor/index.js';
import { MainNode } from '../../render/index.js';
import { FileJobStore } from '../../render/main/file-job-store.js';
import type { StoreRecord } from '../../render/main/job-store.js';
import { Code } from '../../render/proto/render.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from '../support/until.js';
import { ScriptedWorker } from './main/support/scripted-worker.js';
import { TestFarm } from './main/support/test-farm.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Until the next beat is heard, a test has failed. */
const SELDOM = { heartbeatMs: 600_000 };

test('every test that the list of complaints names is there', () => {
  const list = readFileSync(path.join(ROOT, 'docs/render-complaints.md'), 'utf8');
  const folder = path.join(ROOT, 'test/render');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(path.join(folder, name), 'utf8'));
  const rows = list.split('\n').filter((line) => line.startsWith('| ') && !line.includes('| test |'));
  const lost = rows.filter((row) => {
    const [, title] = /\| (?:[^|`]*)`([^`]+)` \|$/.exec(row) ?? [];
    if (title === undefined) return !row.includes('| not built');
    return !sources.some((source) => source.includes(`'${title}'`));
  });
  assert(rows.length > 40);
  assert.deepEqual(lost, []);
});

test('a job has many more than a thousand images', async (t) => {
  const farm = await TestFarm.start(t);
  await farm.worker({ slots: 8 });
  const driver = await farm.driver();
  const { status, images } = await driver.stream({ taskCount: 2000, lightCount: 0, lights: [] });
  assert.equal(status.code, Code.OK);
  assert.equal(images.size, 2000);
});

test('an idle worker node begins with a new job at once, not with its next beat', async (t) => {
  const farm = await TestFarm.start(t, SELDOM);
  await farm.worker({ beatMs: SELDOM.heartbeatMs });
  const driver = await farm.driver({}, 0);
  for (let round = 0; round < 3; round += 1)
    assert.equal((await driver.stream({ taskCount: 5 })).images.size, 5);
});

test('a draining worker node still drains for a main node that was started again', async (t) => {
  const logger = await createLogger({ level: 'fatal' });
  const start = (port: number): Promise<MainNode> =>
    MainNode.start(logger, { listen: { host: '127.0.0.1', port }, heartbeatMs: 50 });
  const main = await start(0);
  const { rpc } = main.addresses;
  const worker = await ScriptedWorker.start(rpc, { beatMs: 20 });
  t.after(() => worker.die());
  worker.load = { draining: true };
  await until(() => main.farm.workers()[0]?.isDraining === true);
  await main.close(0);
  const again = await start(Number(rpc.slice(rpc.lastIndexOf(':') + 1)));
  t.after(() => again.close(0));
  await until(() => again.farm.workers()[0]?.isDraining === true);
});

test('the journal is begun anew when it has grown, and says the same', async (t) => {
  const folder = temporaryFolder(t);
  const open = (): Promise<FileJobStore> => FileJobStore.open(folder, (error) => assert.fail(String(error)));
  const size = (): number =>
    Math.max(...readdirSync(folder).map((name) => statSync(path.join(folder, name)).size));
  const store = await open();
  assert.deepEqual(await store.load(), []);
  const failed = (job: number): StoreRecord => ({
    kind: 'missing',
    job,
    first: 0,
    count: 1,
    code: 4,
    error: 'x'.repeat(2000),
    attempts: 4,
  });
  for (let job = 1; !store.wantsCompaction; job += 1) {
    store.append(failed(job));
    if (job % 100 === 0) await store.flush();
    assert(job < 10_000, 'it wants to be begun anew some time');
  }
  await store.flush();
  const grown = size();
  const left = [failed(1), failed(2)];
  store.compact(left);
  store.append({ kind: 'paused', job: 2 });
  await store.close();
  assert(size() < grown / 100, `${size()} bytes of ${grown}`);
  const reopened = await open();
  assert.deepEqual(await reopened.load(), [...left, { kind: 'paused', job: 2 }]);
  await reopened.close();
});
