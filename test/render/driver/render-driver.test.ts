// What a driver does with its main node: who it is, how it stays known, and what it asks.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { RenderDriver, type RenderDriverOptions, RenderError } from '../../../render/index.js';
import { until } from '../../support/until.js';
import { ScriptedMain } from '../support/scripted-main.js';

async function connected(
  t: TestContext,
  main: ScriptedMain,
  options: Partial<RenderDriverOptions> = {},
): Promise<RenderDriver> {
  const driver = await RenderDriver.connect({ main: main.target, name: 'test', ...options });
  t.after(() => driver.close());
  return driver;
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}

test('a driver registers under its name, beats, and says good-bye', async (t) => {
  const main = await ScriptedMain.start(t, { heartbeatMs: 20 });
  const driver = await connected(t, main);
  assert.deepEqual(main.registered, ['test']);
  await until(() => main.beats >= 3);
  const { serial } = await driver.serial();
  await driver.close();
  assert.deepEqual(main.unregistered, [serial]);
  assert.equal(main.drivers, 0);
});

test('a wrong token is told at once', async (t) => {
  const main = await ScriptedMain.start(t, { token: 'right' });
  await assert.rejects(
    RenderDriver.connect({ main: main.target, token: 'wrong' }),
    failsWith('RENDER_UNAUTHORIZED'),
  );
  await connected(t, main, { token: 'right' });
});

test('a main node that is not there is told of within the time for it', async () => {
  await assert.rejects(
    RenderDriver.connect({ main: '127.0.0.1:1', callTimeoutMs: 300 }),
    failsWith('RENDER_UNAVAILABLE'),
  );
});

test('impossible options are told by name', async () => {
  await assert.rejects(RenderDriver.connect({ main: '' }), /main must be/);
  await assert.rejects(
    RenderDriver.connect({ main: '127.0.0.1:1', callTimeoutMs: 0 }),
    /callTimeoutMs must be/,
  );
});

test('an object is moved, and is where it was moved', async (t) => {
  const main = await ScriptedMain.start(t);
  const driver = await connected(t, main);
  await driver.move({ x: 1, y: -2, z: 0.5 });
  assert.deepEqual(await driver.getPosition(), { x: 1, y: -2, z: 0.5 });
  await assert.rejects(driver.move({ x: Number.NaN, y: 0, z: 0 }), failsWith('RENDER_REQUEST_INVALID'));
});

test('a driver that was forgotten registers again and finds its object where it was', async (t) => {
  const main = await ScriptedMain.start(t, { heartbeatMs: 20 });
  const driver = await connected(t, main);
  await driver.move({ x: 3, y: 0, z: 0 });
  main.forgetDrivers();
  // By its next beat, without being asked anything.
  await until(() => driver.registrations === 2);
  assert.deepEqual(await driver.getPosition(), { x: 3, y: 0, z: 0 });
});

test('a question to a main node that forgot the driver is asked again under the new serial', async (t) => {
  const main = await ScriptedMain.start(t, { heartbeatMs: 60_000 });
  const driver = await connected(t, main);
  main.forgetDrivers();
  await driver.move({ x: 4, y: 0, z: 0 });
  assert.equal(driver.registrations, 2);
  const { serial } = await driver.serial();
  assert.deepEqual(main.positionOf(serial), { x: 4, y: 0, z: 0 });
});

test('a closed driver takes nothing more, and closing twice is closing once', async (t) => {
  const main = await ScriptedMain.start(t);
  const driver = await connected(t, main);
  await Promise.all([driver.close(), driver.close()]);
  assert.equal(main.unregistered.length, 1);
  assert.throws(() => driver.render({ width: 1, height: 1 }), failsWith('RENDER_CLOSED'));
  await assert.rejects(driver.move({ x: 0, y: 0, z: 0 }), failsWith('RENDER_CLOSED'));
});
