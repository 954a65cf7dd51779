// Who may be there: ids that run out and come back, epochs, tokens, versions, and those who fall silent.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Code, EmulateClient } from '../../../render/proto/render.js';
import { RpcError } from '../../../rpc/index.js';
import { until } from '../../support/until.js';
import { TestDriver, TestFarm } from './support/test-farm.js';

const OFTEN = { heartbeatMs: 60_000 };

test('the eleventh of ten drivers is refused, and a returned id is fenced by its epoch', async (t) => {
  const farm = await TestFarm.start(t, { ...OFTEN, driversMax: 10 });
  const drivers = await Promise.all(Array.from({ length: 10 }, () => farm.driver()));
  const late = new TestDriver(new EmulateClient(farm.client()));
  const refused = await late.emulate.registerDriver({ name: 'eleventh' });
  assert.equal(refused.status?.code, Code.EXHAUSTED);
  assert((refused.status?.retryAfterMs ?? 0) > 0);

  const [first] = drivers;
  assert.equal((await late.emulate.unRegisterDriver(first!.serial)).code, Code.OK);
  assert.equal(await late.register(), Code.OK);
  assert.equal(late.serial.serial, first!.serial.serial, 'the id is used again');
  assert.notEqual(late.serial.epoch, first!.serial.epoch);
  assert.equal((await late.emulate.heartBeatUser(first!.serial)).code, Code.UNAUTHORIZED);
  assert.equal((await late.emulate.unRegisterDriver(first!.serial)).code, Code.UNAUTHORIZED);
  const withoutEpoch = { serial: late.serial.serial };
  assert.equal((await late.emulate.heartBeatUser(withoutEpoch)).code, Code.UNAUTHORIZED);
  assert.equal(
    (await late.emulate.heartBeatUser({ serial: 2 })).code,
    Code.OK,
    'given once: no epoch needed',
  );
  assert.equal((await late.emulate.heartBeatUser(late.serial)).code, Code.OK, 'the new owner lives');
});

test('a silent driver is removed once, its position and its jobs with it; a detached job goes on', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 40 });
  const worker = await farm.worker();
  worker.hold();
  const driver = await farm.driver({ name: 'silent' }, 0);
  const ended: Promise<unknown>[] = [];
  for (const detached of [false, true]) {
    const gone = new AbortController();
    const call = driver.stream(
      { taskCount: 3, requestId: detached ? 2n : 1n, detached },
      { signal: gone.signal },
    );
    ended.push(call.catch(() => null));
    await until(() => farm.main.farm.jobs().total === (detached ? 2 : 1));
    gone.abort();
  }
  await Promise.all(ended);
  await until(() => farm.main.figures().driversExpired === 1);
  assert.equal((await driver.emulate.heartBeatUser(driver.serial)).code, Code.UNAUTHORIZED);
  const position = await driver.emulate.getPosition({ id: driver.serial });
  assert.equal(position.status?.code, Code.UNAUTHORIZED);
  const [detached, attached] = farm.main.farm.jobs().jobs;
  assert.equal(attached?.state, 'canceled');
  assert.notEqual(detached?.state, 'canceled');
  worker.release();
  await until(() => farm.main.farm.job(2).state === 'completed');
  assert.equal(farm.main.figures().driversExpired, 1);
});

test('who never beat is there as long as it waits in a call', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 20 });
  const worker = await farm.worker({ beatMs: 10 });
  worker.hold();
  const driver = await farm.driver({}, 0);
  const result = driver.render();
  const beforeMs = performance.now();
  await until(() => performance.now() - beforeMs > 300);
  worker.release();
  assert.equal((await result).status?.code, Code.OK);
});

test('who has beaten is missed in a call, too: its job is canceled, and its calls say that nobody knows it', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 40 });
  const worker = await farm.worker();
  worker.hold();
  const driver = await farm.driver({ name: 'frozen' }, 0);
  assert.equal(await driver.beat(), Code.OK);
  const stream = driver.stream({ taskCount: 3, requestId: 1n });
  const unary = driver.render({ taskCount: 2, requestId: 2n });
  const detached = driver.stream({ taskCount: 2, requestId: 3n, detached: true });
  for (const call of [stream, unary])
    assert.equal((await call).status?.code, Code.UNAUTHORIZED, 'register again, and ask again');
  assert.equal((await stream).tasks.size, 0, 'it is not told that images were canceled');
  assert.equal(farm.main.farm.jobs({ states: ['canceled'] }).total, 2);
  assert.equal(farm.main.figures().driversExpired, 1);
  worker.release();
  const { status, images } = await detached;
  assert.deepEqual([status.code, images.size], [Code.OK, 2]);
});

test('who says good-bye in a call hears how its job ended', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker();
  worker.hold();
  const driver = await farm.driver();
  const result = driver.stream({ taskCount: 3 });
  await until(() => worker.requests.length > 0);
  assert.equal((await driver.emulate.unRegisterDriver(driver.serial)).code, Code.OK);
  const { status, tasks } = await result;
  assert.deepEqual([status.code, tasks.size], [Code.CANCELED, 3]);
});

test('drivers, nodes and people with a wrong token are turned away', async (t) => {
  const farm = await TestFarm.start(t, { driverToken: 'open', nodeToken: 'sesame' });
  const driver = new TestDriver(new EmulateClient(farm.client()));
  assert.equal(await driver.register({ token: 'close' }), Code.UNAUTHORIZED);
  assert.equal(await driver.register({ token: '' }), Code.UNAUTHORIZED);
  assert.equal(await driver.register({ token: 'open' }), Code.OK);
  const wrong = await driver.emulate.registerNode({ accessPort: 1, token: 'open' });
  assert.equal(wrong.status?.code, Code.UNAUTHORIZED);
  const right = await driver.emulate.registerNode({ accessPort: 1, token: 'sesame' });
  assert.equal(right.status?.code, Code.OK, right.status?.message);
  // Ids are guessed: without its epoch one shows nothing, although it had one owner only.
  const guessed = { serial: 1 };
  assert.equal((await driver.emulate.heartBeatUser(guessed)).code, Code.UNAUTHORIZED);
  assert.equal((await driver.emulate.unRegisterNode(guessed)).code, Code.UNAUTHORIZED);

  await assert.rejects(farm.farm().listJobs({}), (error) => isUnauthenticated(error));
  await assert.rejects(farm.farm('close').listJobs({}), (error) => isUnauthenticated(error));
  assert.equal((await farm.farm('open').listJobs({})).total, 0);
  assert.equal((await farm.farm('sesame').listWorkers({})).workers.length, 1);
});

test('a worker node that renders with another version than the others is refused', async (t) => {
  const farm = await TestFarm.start(t);
  await farm.worker({ version: 'Blender 3.4.1' });
  const driver = await farm.driver();
  const other = await driver.emulate.registerNode({ accessPort: 9, version: 'Blender 4.0.0' });
  assert.equal(other.status?.code, Code.VERSION_MISMATCH);
  assert.match(other.status?.message ?? '', /Blender 4\.0\.0.*Blender 3\.4\.1/);

  const strict = await TestFarm.start(t, { nodeVersion: 'Blender 3.4.1' });
  const asked = await (await strict.driver()).emulate.registerNode({ accessPort: 9, version: '' });
  assert.equal(asked.status?.code, Code.VERSION_MISMATCH);
});

test('a worker node that comes back to its port takes the place of the one that was there', async (t) => {
  const farm = await TestFarm.start(t, OFTEN);
  const worker = await farm.worker({ name: 'same' });
  const before = worker.serial;
  assert.equal(await worker.register(), Code.OK);
  assert.equal(farm.main.farm.workers().length, 1);
  const emulate = new EmulateClient(farm.client());
  assert.equal((await emulate.heartBeatNode({ serial: before ?? {} })).code, Code.UNAUTHORIZED);
  assert.equal(await worker.goodbye(), Code.OK);
  assert.equal(farm.main.farm.workers().length, 0);
});

function isUnauthenticated(error: unknown): boolean {
  return error instanceof RpcError && error.status === 'UNAUTHENTICATED';
}

test('a node whose own renderers use its processors is not a loaded one; one that others use is', async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 1000 });
  const [used, loaded, old] = await Promise.all([farm.worker(), farm.worker(), farm.worker()]);
  used.load = { cpu: 1, cpuOthers: 0.1 };
  loaded.load = { cpu: 1, cpuOthers: 1 };
  old.load = { cpu: 1 }; // it does not tell
  await until(() => farm.main.farm.workers().every(({ cpu }) => cpu === 1));
  const driver = await farm.driver();
  for (let image = 0; image < 60; image += 1) assert.equal((await driver.render()).status?.code, Code.OK);
  const [well, ...others] = [used, loaded, old].map(({ requests }) => requests.length);
  for (const other of others) assert(well! > 4 * other, `${well} and ${others.join()} tasks`);
});
