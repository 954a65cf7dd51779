// What cannot be asked for, asked of a farm of processes: by the driver library, by bare calls, by the command line and by
// plain gRPC. Everything is refused with a code, nothing of it is begun, and the connection goes on, with a job over it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import {
  Code,
  EmulateClient,
  JobStates,
  PixelFormat,
  RenderDriver,
  RenderError,
  type RenderErrorCode,
  type RenderRequest,
} from '../../render/index.js';
import type { RenderReq } from '../../render/proto/render.js';
import { type MessageInit, RpcError } from '../../rpc/index.js';
import { Command } from '../support/command.js';
import { received } from './main/support/test-farm.js';
import { figure } from './support/farm-figures.js';
import { eventually, jobState, startFarm } from './support/farm-processes.js';
import { checkReceived, OneResultEach, takeAll } from './support/one-result.js';
import { askFor, plainClient, plainDriver } from './support/plain-driver.js';
import { plainGrpc } from './support/plain-grpc.js';
import { LIGHTS, lightsFor, SIZE } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const BEAT_MS = 300;
const U32 = 2 ** 32 - 1;
const NOBODYS_SCENE = '0123456789abcdef'.repeat(4);
const MESSAGE_BYTES_MAX = 64 * 2 ** 20;
/** More than a message may have, in light words that a request could have by their number. */
const WORDS_TOO_LONG = 1_200_000;

/** As fields of the contract, and what is said of them. */
const WRONG: readonly (readonly [what: string, fields: MessageInit<RenderReq>, why: RegExp, code?: Code])[] =
  [
    ['no images', { taskCount: 0, lights: [] }, /task_count is 0/],
    ['too many images', { taskCount: 65_537, lightCount: 0, lights: [] }, /at most 65536/],
    ['the most that a number can be', { taskCount: U32, lightCount: 0, lights: [] }, /at most 65536/],
    ['a light too few', { lightCount: 1, taskCount: 3, lights: [1, 2] }, /3 light words, not 2/],
    ['a light too many', { lightCount: 1, taskCount: 1, lights: [1, 2] }, /1 light words, not 2/],
    ['lights that were not announced', { lightCount: 0, taskCount: 1, lights: [1] }, /0 light words, not 1/],
    ['lights that did not come', { lightCount: 3, taskCount: 1, lights: [] }, /3 light words, not 0/],
    ['more lights than an image has', { lightCount: U32, taskCount: 1, lights: [1] }, /light_count/],
    ['no width', { width: 0 }, /width 0/],
    ['no height', { height: 0 }, /height 0/],
    ['a width beyond the limit', { width: 16_385 }, /width 16385/],
    ['a huge height', { height: U32 }, /height 4294967295/],
    ['an image of more bytes than one may have', { width: 16_384, height: 16_384, format: 3 }, /an image of/],
    ['too many samples', { samples: 2 ** 24 }, /samples/],
    ['an unknown format', { format: 6 as PixelFormat }, /format 6 is unknown/],
    ['frames too few', { taskCount: 2, lights: [1, 2], frames: [1] }, /1 frames for 2 images/],
    ['frames too many', { frames: [1, 2, 3] }, /3 frames for 1 images/],
    ['a scene that is not there', { scene: NOBODYS_SCENE }, /is not here/, Code.NOT_FOUND],
    ['a scene by the name of a file', { scene: 'cube.blend' }, /no SHA-256/],
    ['a scene with a line break', { scene: 'a\nb' }, /control characters/],
    ['a tag that long', { tag: 'x'.repeat(300) }, /tag is longer/],
    ['a tag that nobody has', { tag: 'gpu' }, /no worker node has the tag gpu/, Code.OVERLOAD],
    ['nowhere', { position: { x: Number.NaN, y: 0, z: 0 } }, /three finite numbers/],
    ['infinitely far', { position: { x: 0, y: Number.POSITIVE_INFINITY, z: 0 } }, /three finite numbers/],
  ];

/** As a program would ask the driver library. */
const WRONG_IN_PROGRAMS: readonly (readonly [Partial<RenderRequest>, RenderErrorCode])[] = [
  ...[0, -1, 1.5, Number.NaN, 16_385, 1e300, Infinity].flatMap(
    (number) =>
      [
        [{ width: number }, 'RENDER_REQUEST_INVALID'],
        [{ height: number }, 'RENDER_REQUEST_INVALID'],
      ] as const,
  ),
  ...[0, -1, 2.5, Number.NaN, 1e9].map(
    (images) => [{ images, lights: [] }, 'RENDER_REQUEST_INVALID'] as const,
  ),
  ...[0, -1, 0.5, 2 ** 24].map((samples) => [{ samples }, 'RENDER_REQUEST_INVALID'] as const),
  [{ lights: [[1], [2, 3]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ lights: [[-1]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ lights: [[1.5]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ lights: [[2 ** 32]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ lights: [[{ intensity: 256, r: 0, g: 0, b: 0 }]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ images: 3, lights: [[1], [2]] }, 'RENDER_LIGHTS_MALFORMED'],
  [{ images: 3, frames: [1] }, 'RENDER_REQUEST_INVALID'],
  [{ frames: [0.5] }, 'RENDER_REQUEST_INVALID'],
  [{ scene: 'cube.blend' }, 'RENDER_REQUEST_INVALID'],
  [{ seed: -1 }, 'RENDER_REQUEST_INVALID'],
  [{ priority: 0.5 }, 'RENDER_REQUEST_INVALID'],
  [{ deadlineMs: 0 }, 'RENDER_REQUEST_INVALID'],
  [{ position: { x: 0, y: 0, z: Number.NaN } }, 'RENDER_REQUEST_INVALID'],
];

function hasCode(code: RenderErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}

test('what cannot be is refused by a code, nothing of it is begun, and its connection goes on', {
  skip,
}, async (t) => {
  const { target, main, farm } = await startFarm(t, {
    mainFlags: ['--metrics', '127.0.0.1:0', '--grpc', '127.0.0.1:0'],
    workerFlags: ['--builtin-sleep', '100ms'],
  });
  const { listen } = await main.ready();
  // All of it over one connection, on which a job goes on meanwhile.
  const driver = await plainDriver(
    t,
    target,
    { name: 'wrong' },
    plainClient(t, target, '', MESSAGE_BYTES_MAX),
  );
  const lights = lightsFor(400);
  const whole = driver.stream({ ...askFor(lights), requestId: 1n });
  await eventually(async () => (await farm.jobs()).jobs.some(({ done }) => done > 0));

  for (const [what, fields, why, code = Code.INVALID_ARGUMENT] of WRONG) {
    await t.test(what, async () => {
      const request = { ...SIZE, id: driver.serial, taskCount: 1, lightCount: 1, lights: [1], ...fields };
      const { emulate } = driver;
      for (const status of [
        (await received(emulate.renderStream(request))).status,
        (await emulate.render(request)).status,
        (await received(emulate.renderStream({ ...request, requestId: 77n, detached: true }))).status,
      ]) {
        assert.equal(status?.code, code, status?.message);
        assert.match(status?.message ?? '', why);
      }
      assert.equal(await driver.beat(), Code.OK);
      assert.equal((await farm.jobs()).total, 1);
    });
  }

  await t.test('a message longer than the limit', async () => {
    const long = Array.from({ length: WORDS_TOO_LONG }, () => 0xffff_ffff);
    const request = { taskCount: WORDS_TOO_LONG / 100, lightCount: 100, lights: long };
    await assert.rejects(
      driver.stream(request),
      (error) => error instanceof RpcError && error.status === 'RESOURCE_EXHAUSTED',
    );
    assert.equal(await driver.beat(), Code.OK);
  });
  await t.test('an id that is in use for another request', async () => {
    const { status } = await driver.stream({ ...askFor(lights), requestId: 1n, seed: 2 });
    assert.equal(status.code, Code.INVALID_ARGUMENT);
  });
  await t.test('a position that is none', async () => {
    const id = driver.serial;
    const { status } = await driver.emulate.move({ id, position: { x: Number.NaN, y: 0, z: 0 } });
    assert.equal(status?.code, Code.INVALID_ARGUMENT);
    assert.deepEqual((await driver.emulate.getPosition({ id })).position, { x: 0, y: 0, z: 0 });
  });
  await t.test('a worker node that cannot be', async () => {
    const emulate = new EmulateClient(plainClient(t, target));
    for (const info of [
      { accessPort: 0 },
      { accessPort: 65_536 },
      { accessPort: 1, slots: 1_000_000 },
      { accessPort: 1, weight: U32 },
      { accessPort: 1, name: 'n'.repeat(1000) },
      { accessPort: 1, accessUrl: 'a b' },
    ]) {
      const { status } = await emulate.registerNode({ slots: 1, ...info });
      assert.notEqual(status?.code, Code.OK, JSON.stringify(info).slice(0, 60));
    }
    assert.equal((await farm.workers()).length, 1);
  });

  await t.test('by a program', async () => {
    await using library = await RenderDriver.connect({ main: target });
    for (const [request, code] of WRONG_IN_PROGRAMS)
      assert.throws(
        () => library.render({ ...SIZE, lights: [[1]], ...request }),
        hasCode(code),
        JSON.stringify(request),
      );
    for (const [request, code] of [
      [{ images: 70_000 }, 'RENDER_REQUEST_INVALID'],
      [{ scene: NOBODYS_SCENE }, 'RENDER_NOT_FOUND'],
      [{ images: 12_000, lights: [Array.from({ length: 100 }, () => U32)] }, 'RENDER_REQUEST_TOO_LARGE'],
      [{ width: 16_384, height: 16_384, format: PixelFormat.RGBA32F }, 'RENDER_REQUEST_INVALID'],
    ] as const)
      await assert.rejects(library.render({ ...SIZE, ...request }).outcome(), hasCode(code), code);
    assert.equal((await farm.jobs()).total, 1);
    const few = lightsFor(3);
    await takeAll(library.render({ ...SIZE, lights: few }), new OneResultEach(few));
  });

  await t.test('on the command line', async () => {
    for (const what of [
      ['--images', '0', '--size', '24x16'],
      ['--images', '-1', '--size', '24x16'],
      ['--images', '1.5', '--size', '24x16'],
      ['--images', '1', '--size', '0x16'],
      ['--images', '1', '--size', '24x-16'],
      ['--images', '1', '--size', '24x99999'],
      ['--images', '1', '--size', '24'],
      ['--images', '1', '--size', '24x16', '--samples', '0'],
    ]) {
      const submit = new Command(t, ['render', 'submit', '--main', target, '--detach', ...what]);
      assert.equal(await submit.exitCode, 2, what.join(' '));
      assert.notEqual(submit.stderr, '');
    }
  });

  await t.test('by plain gRPC', async () => {
    const grpc = plainGrpc(t, listen['grpc']!);
    const { serial: id } = await grpc.call('RegisterDriver', { name: 'plain' });
    const beats = setInterval(() => void grpc.call('HeartBeatUser', id!).catch(() => {}), BEAT_MS); // the main node ends
    t.after(() => clearInterval(beats));
    const right = { id, task_count: 1, light_count: 1, lights: [LIGHTS[0]![0]!], ...SIZE };
    for (const [more, why] of [
      [{ task_count: 0 }, /task_count is 0/],
      [{ task_count: -1, light_count: 0, lights: [] }, /at most 65536/],
      [{ lights: [1, 2] }, /1 light words, not 2/],
      [{ width: 0 }, /width 0/],
      [{ width: -24 }, /width 4294967272/],
      [{ height: 2 ** 31 }, /height 2147483648/],
      [{ frames: [1, 2] }, /2 frames for 1 images/],
      [{ format: 9 }, /format 9 is unknown/],
      [{ scene: 'cube.blend' }, /no SHA-256/],
    ] as const) {
      const { status } = await grpc.call('Render', { ...right, ...more });
      assert.equal(status?.code, 'INVALID_ARGUMENT', status?.message);
      assert.match(status?.message ?? '', why);
    }
    const { status } = await grpc.call('Render', { ...right, scene: NOBODYS_SCENE });
    assert.equal(status?.code, 'NOT_FOUND');
    const long = Array.from({ length: WORDS_TOO_LONG }, () => U32);
    await assert.rejects(
      grpc.call('Render', { ...right, task_count: WORDS_TOO_LONG, lights: long }),
      (error) => (error as { code?: unknown }).code === 8, // RESOURCE_EXHAUSTED
    );
    // While it was made, this process may have been too busy to beat.
    const { serial: again } = await grpc.call('RegisterDriver', { name: 'plain' });
    const answer = await grpc.call('Render', { ...right, id: again });
    assert.equal(answer.status?.code, 'OK');
    const one = new OneResultEach([LIGHTS[0]!]);
    one.take(answer.tasks![0]!.index, answer.imgs!);
    one.end();
  });

  checkReceived(await whole, new OneResultEach(lights));
  assert.equal(await jobState(farm, 1n), JobStates.COMPLETED);
  assert.equal((await farm.jobs()).total, 3);
  assert.equal(await figure(main, 'images_rendered_total'), 400 + 3 + 1);
  assert.equal(await figure(main, 'images_failed_total'), 0);
});
