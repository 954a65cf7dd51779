// The main node with real connections and worker nodes that do as the test says.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Code, ErrCode, PixelFormat } from '../../../render/proto/render.js';
import { until } from '../../support/until.js';
import { TestFarm } from './support/test-farm.js';
import { expectedPixels } from './support/scripted-worker.js';

test('ten images on two worker nodes come back in the order of their indexes', async (t) => {
  const farm = await TestFarm.start(t);
  await Promise.all([farm.worker({ name: 'a' }), farm.worker({ name: 'b' })]);
  const driver = await farm.driver();
  const moved = await driver.emulate.move({ id: driver.serial, position: { x: 1, y: 2, z: 3 } });
  assert.equal(moved.status?.code, Code.OK);
  const { position } = await driver.emulate.getPosition({ id: driver.serial });
  assert.deepEqual({ ...position }, { x: 1, y: 2, z: 3 });
  const request = driver.request({ taskCount: 10, width: 64, height: 64 });
  const response = await driver.emulate.render(request);
  assert.equal(response.status?.code, Code.OK, response.status?.message);
  assert.equal(response.last, true);
  const expected = Array.from({ length: 10 }, (_, index) =>
    expectedPixels(index, {
      width: 64,
      height: 64,
      format: PixelFormat.GRAY8,
      lights: Array.from(request.lights ?? [], Number),
      lightCount: 1,
      firstIndex: 0,
    }),
  );
  assert.deepEqual(Buffer.from(response.imgs), Buffer.concat(expected));
  assert.deepEqual(
    response.tasks.map(({ index, code, attempts }) => [index, code, attempts]),
    Array.from({ length: 10 }, (_, index) => [index, ErrCode.EC_OK, 1]),
  );
});

test('a stream brings images as they come and its status last', async (t) => {
  const farm = await TestFarm.start(t);
  const worker = await farm.worker({ slots: 2 });
  const driver = await farm.driver();
  const received = await driver.stream({ taskCount: 7, requestId: 1n });
  assert.equal(received.status.code, Code.OK);
  assert.equal(received.images.size, 7);
  assert.equal(worker.requests.length >= 4, true, 'chunks of two');
  const again = await driver.stream({ taskCount: 7, requestId: 1n });
  assert.deepEqual(again.images, received.images);
  assert.equal(again.job, received.job);
  assert.equal(
    worker.requests.reduce((sum, { taskCount }) => sum + taskCount, 0),
    7,
    'rendered once',
  );
});

test('a dead worker node has its images rendered by others, each once', async (t) => {
  const farm = await TestFarm.start(t);
  const dying = await farm.worker({ name: 'dying', slots: 4 });
  dying.hold();
  const driver = await farm.driver();
  const result = driver.stream({ taskCount: 12 });
  await until(() => dying.requests.length > 0);
  await farm.worker({ name: 'living', slots: 2 });
  await dying.die();
  const { status, images } = await result;
  assert.equal(status.code, Code.OK);
  assert.equal(images.size, 12);
});
