// What people do with a farm, over its RPC service.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import test from 'node:test';
import { ImageState, JobState } from '../../../render/proto/farm.js';
import { Code, ErrCode, PixelFormat } from '../../../render/proto/render.js';
import { RpcError } from '../../../rpc/index.js';
import { until } from '../../support/until.js';
import { TestFarm } from './support/test-farm.js';

test('jobs are listed, paused, resumed, canceled, requeued and deleted', async (t) => {
  const farm = await TestFarm.start(t, { scheduler: { retriesMax: 0, backoffBaseMs: 1 } });
  let isBad = true;
  const worker = await farm.worker({
    name: 'w',
    image: (index) =>
      isBad && index === 2 ? { index, code: ErrCode.EC_OOM, error: 'too large' } : { index },
  });
  const driver = await farm.driver({ name: 'artist' });
  const people = farm.farm();
  const first = await driver.stream({ taskCount: 4, requestId: 1n });
  assert.equal(first.status.code, Code.PARTIAL);
  const { job, images } = await people.getJob({ id: first.job });
  assert.equal(job?.state, JobState.FAILED);
  assert.deepEqual([job?.driver, job?.images, job?.done, job?.failed], ['artist', 4, 3, 1]);
  assert.deepEqual(
    images.map(({ state, kept }) => [state, kept]),
    [0, 1, 2, 3].map((index) => (index === 2 ? [ImageState.MISSING, false] : [ImageState.RENDERED, true])),
  );
  assert.equal(images[2]?.error, 'too large');
  const log = await people.logs({ job: first.job, image: 2 });
  assert.match(log.text, /log of \d+, image 2/);
  assert.equal(log.node, 'w');

  isBad = false;
  const [requeued] = (await people.requeue({ ids: [first.job] })).outcomes;
  assert.equal(requeued?.error, '');
  const repaired = await driver.stream({ taskCount: 4, requestId: 1n });
  assert.equal(repaired.status.code, Code.OK);
  assert.equal(repaired.images.size, 4);

  worker.hold();
  const second = driver.stream({ taskCount: 5, requestId: 2n });
  await until(() => farm.main.farm.jobs().total === 2);
  assert.equal((await people.pause({ ids: [2n, 9n] })).outcomes[1]?.error, 'there is no job 9');
  worker.release();
  await until(() => farm.main.farm.job(2).running === 0);
  assert.equal(farm.main.farm.job(2).state, 'paused');
  const listed = await people.listJobs({ states: [JobState.PAUSED] });
  assert.deepEqual(
    listed.jobs.map(({ id }) => id),
    [2n],
  );
  assert.equal(
    (await people.delete({ ids: [2n] })).outcomes[0]?.state,
    JobState.PAUSED,
    'not while it is unfinished',
  );
  await people.setPriority({ id: 2n, priority: 9 });
  await people.resume({ ids: [2n] });
  assert.equal((await second).status.code, Code.OK);
  assert.equal((await people.listJobs({})).jobs[0]?.priority, 9);
  await people.delete({ ids: [1n, 2n] });
  assert.equal((await people.listJobs({})).total, 0);
  await assert.rejects(
    people.getJob({ id: 1n }),
    (error) => error instanceof RpcError && error.status === 'NOT_FOUND',
  );

  const { workers } = await people.listWorkers({});
  assert.deepEqual([workers[0]?.name, workers[0]?.imagesFailed], ['w', 1n]);
  await people.drainWorker({ serial: workers[0]!.serial });
  assert.equal(worker.drains, 1);
});

test('who fetches and follows gets every image of a job while it is rendered', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker();
  worker.hold();
  const driver = await farm.driver();
  const size = { width: 1024, height: 1024, format: PixelFormat.RGBA8 }; // above one message
  const result = driver.stream({ taskCount: 3, ...size });
  await until(() => farm.main.farm.jobs().total === 1);
  const bytes = new Map<number, number>();
  const follow = async (): Promise<void> => {
    for await (const { index, pixels } of farm.farm().fetch({ job: 1n, from: 1, follow: true }))
      bytes.set(index, (bytes.get(index) ?? 0) + pixels.length);
  };
  const followed = follow();
  worker.release();
  await Promise.all([followed, result]);
  assert.deepEqual(
    [...bytes],
    [
      [1, 4 * 2 ** 20],
      [2, 4 * 2 ** 20],
    ],
  );
});

test('changes are told to who subscribed, until they have enough', async (t) => {
  const farm = await TestFarm.start(t);
  const told: string[] = [];
  const stop = farm.main.farm.subscribe((event) => told.push(event.kind));
  await farm.worker();
  const driver = await farm.driver();
  await driver.stream({ taskCount: 2 });
  assert(told.includes('worker') && told.includes('job'));
  assert.equal(told.filter((kind) => kind === 'image').length, 2);
  stop();
  const { length } = told;
  await driver.stream({ taskCount: 2 });
  assert.equal(told.length, length);
});

test('a scene is put once, found by what is in it, and fetched again within the quota', async (t) => {
  const farm = await TestFarm.start(t, { sceneBytesMax: 3 * 2 ** 20 });
  const people = farm.farm();
  const put = async (data: Buffer, name?: string): Promise<string> => {
    const sha256 = name ?? createHash('sha256').update(data).digest('hex');
    const half = data.length >> 1;
    await people.putScene([
      { sha256, bytes: BigInt(data.length), data: data.subarray(0, half) },
      { data: data.subarray(half) },
    ]);
    return sha256;
  };
  const [one, two] = [randomBytes(2 ** 20), randomBytes(2 * 2 ** 20)];
  const first = await put(one);
  assert.equal((await people.findScene({ sha256: first })).present, true);
  const parts: Uint8Array[] = [];
  for await (const { data } of people.getScene({ sha256: first })) parts.push(data);
  assert.deepEqual(Buffer.concat(parts), one);
  await assert.rejects(put(two, first.replace(/./g, 'a')), /the bytes of/);
  await assert.rejects(put(randomBytes(4 * 2 ** 20)), /are kept/);
  const second = await put(two);
  const third = await put(randomBytes(2 ** 20));
  const kept = farm.main.farm.scenes().map(({ sha256 }) => sha256);
  assert.deepEqual(kept, [second, third], 'the one used longest ago went');
  const driver = await farm.driver();
  await farm.worker();
  assert.equal((await driver.render({ scene: first })).status?.code, Code.NOT_FOUND);
  assert.equal((await driver.render({ scene: second })).status?.code, Code.OK);
  await assert.rejects(people.findScene({ sha256: '../etc' }), /64 lower-case hex/);
});
