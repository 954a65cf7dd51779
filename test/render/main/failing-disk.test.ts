// A main node whose disk fails under it: jobs go on from memory, whoever asked for something to be kept hears that it is not,
// and once the disk is well again all of it is there.

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { Code, FarmClient, MainNode, type MainNodeOptions, RenderError } from '../../../render/index.js';
import { FileJobStore } from '../../../render/main/file-job-store.js';
import { EmulateClient } from '../../../render/proto/render.js';
import { RpcClient } from '../../../rpc/index.js';
import { FaultyDisk, systemError } from '../../kv/support/faulty-disk.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { ScriptedWorker } from './support/scripted-worker.js';
import { quiet, TestDriver } from './support/test-farm.js';

const MIB = 2 ** 20;

interface Farm {
  readonly main: MainNode;
  readonly worker: ScriptedWorker;
  readonly driver: TestDriver;
  readonly client: FarmClient;
}

async function start(t: TestContext, options: MainNodeOptions, store?: FileJobStore): Promise<Farm> {
  const listen = { host: '127.0.0.1', port: 0 };
  // Nobody beats here but the workers: no one is to be missed.
  const given = { listen, heartbeatMs: 60_000, ...options };
  const main = await MainNode.start(await quiet(), given, store === undefined ? {} : { store });
  t.after(() => main.close(0));
  const worker = await ScriptedWorker.start(main.addresses.rpc, { slots: 2 });
  t.after(() => worker.die());
  const rpc = new RpcClient({ target: main.addresses.rpc, timeoutMs: 60_000, retry: { attemptsMax: 1 } });
  t.after(() => rpc.close(0));
  const client = new FarmClient({ main: main.addresses.rpc, callTimeoutMs: 60_000 });
  t.after(() => client.close());
  return { main, worker, driver: new TestDriver(new EmulateClient(rpc)), client };
}

for (const broken of ['write', 'dataSync', 'rename', 'syncFolder'] as const) {
  test(`a journal on a disk that fails each ${broken} holds up no job, is told of, and is whole once the disk is well`, async (t) => {
    const dataDir = temporaryFolder(t);
    const disk = new FaultyDisk(seededRandom(9));
    const failures: RenderError[] = [];
    const open = async (): Promise<FileJobStore> =>
      new FileJobStore(disk, await disk.lock(), (error) => failures.push(error));
    const store = await open();
    const first = await start(t, { dataDir }, store);
    const { driver, client } = first;
    assert.equal(await driver.register(), Code.OK);
    const before = await driver.stream({ taskCount: 3, requestId: 1n, detached: true });

    let isJournalLost = broken === 'write' || broken === 'dataSync';
    // Renaming is for a journal that is begun anew, which is what happens after a failed write.
    disk.fault = (kind) =>
      kind === broken || (!isJournalLost && kind === 'write') ? systemError('EIO') : null;
    const during = await driver.stream({ taskCount: 4, requestId: 2n, detached: true });
    assert.deepEqual([during.status.code, during.images.size], [Code.OK, 4]);
    await assert.rejects(
      client.setPriority(1n, 5),
      (error) =>
        error instanceof RenderError && /the journal of jobs cannot be written: EIO/.test(error.message),
    );
    const told = failures.length;
    assert(told > 0);
    isJournalLost = true;
    await until(() => failures.length > told + 1); // it tries again, once in a while, and fails
    assert(failures.every(({ code }) => code === 'RENDER_IO'));
    assert.equal((await driver.render()).status?.code, Code.OK, 'and renders');

    disk.fault = () => null;
    await until(() => !store.wantsCompaction);
    const [outcome] = await client.setPriority(1n, 6);
    assert.equal(outcome!.error, '');
    const after = await driver.stream({ taskCount: 2, requestId: 3n, detached: true });
    await first.main.close(0);
    disk.crash();

    const second = await start(t, { dataDir }, await open());
    second.driver.serial = driver.serial;
    for (const [requestId, { images, job }] of [
      [1n, before],
      [2n, during],
      [3n, after],
    ] as const) {
      const again = await second.driver.stream({ taskCount: images.size, requestId });
      assert.deepEqual([again.status.code, again.job, again.images], [Code.OK, job, images]);
    }
    assert.equal(second.main.farm.job(1).priority, 6);
    assert.equal(second.worker.requests.length, 0, 'nothing was rendered again');
  });
}

test('results that the disk refuses are had from memory, which is not given up for it; and are on disk once it takes them', async (t) => {
  const dataDir = temporaryFolder(t);
  const results = path.join(dataDir, 'results');
  mkdirSync(results);
  const { main, worker, driver } = await start(t, { dataDir, resultMemoryBytes: MIB });
  const full = path.join(results, 'job-1.pixels');
  symlinkSync('/dev/full', full); // takes nothing: ENOSPC
  assert.equal(await driver.register(), Code.OK);
  // 3 MiB an image, 120 MiB in all: more than memory may have and than may wait for the disk.
  const size = { width: 1024, height: 3072 };
  const one = await driver.stream({ taskCount: 1, requestId: 1n, ...size });
  assert.deepEqual([one.status.code, one.images.size], [Code.OK, 1]);
  assert.equal(main.farm.images(1)[0]!.kept, true);

  symlinkSync('/dev/full', path.join(results, 'job-2.pixels'));
  const many = driver.stream({ taskCount: 40, requestId: 2n, ...size });
  await until(() => main.figures().resultMemoryBytes > 65 * MIB);
  const refused = await driver.stream({ taskCount: 1, requestId: 3n });
  assert.equal(refused.status.code, Code.OVERLOAD);
  assert.match(refused.status.message, /the disk/);
  // For as long as it lasts: nobody takes an image for lost whose answer is here.
  const later = worker.beats + 60;
  await until(() => worker.beats >= later);
  const { resultMemoryBytes, losses, retries, rendered } = main.figures();
  assert(resultMemoryBytes < 90 * MIB, 'no more than what was in the hands of nodes comes on top');
  assert.deepEqual([losses, retries], [0, 0]);
  assert.equal(worker.running.size, 0);
  assert.equal(resultMemoryBytes, rendered * 3 * MIB);

  for (const job of [1, 2]) rmSync(path.join(results, `job-${job}.pixels`));
  const all = await many;
  assert.deepEqual([all.status.code, all.images.size], [Code.OK, 40]);
  for (const [index, pixels] of all.images) assert.equal(pixels.readUInt32LE(0), index);
  await until(() => main.figures().resultMemoryBytes <= 4 * MIB);
  assert.equal((await driver.stream({ taskCount: 1, requestId: 3n })).status.code, Code.OK);
  await main.close(0);

  const second = await start(t, { dataDir });
  second.driver.serial = driver.serial;
  const again = await second.driver.stream({ taskCount: 40, requestId: 2n, ...size });
  assert.deepEqual([again.status.code, again.images.size], [Code.OK, 40]);
  assert.equal(
    worker.requests.reduce((sum, { taskCount }) => sum + taskCount, 0),
    42,
    'each was rendered once',
  );
  assert.deepEqual(again.images.get(17), all.images.get(17));
  assert.equal((await second.driver.stream({ taskCount: 1, requestId: 1n, ...size })).images.size, 1);
  assert.equal(second.worker.requests.length, 0, 'nothing was rendered again');
});
