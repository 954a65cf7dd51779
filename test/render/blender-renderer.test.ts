// Real Blender, resident, over jbus: pictures that change as they should, two at once, one killed in mid-render.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';

import {
  blenderRenderer,
  ErrCode,
  PixelFormat,
  RendererPool,
  type RendererRequest,
} from '../../render/index.js';
import { until } from '../support/until.js';
import { blenderMissing } from './support/blender.js';
import {
  DIM,
  idle,
  imageRequest,
  leftovers,
  NOTHING_LEFT,
  PATIENT,
  RED,
  START_TIMEOUT_MS,
  startRenderer,
  WHITE,
} from './support/renderers.js';

const SIZE = { width: 64, height: 64, samples: 1 } as const;
const BLENDER = blenderRenderer({ threads: 1 });
const skip = blenderMissing;

test('Blender: lights, places and formats change the picture as they should, and nothing else does', {
  skip,
}, async (t) => {
  const { process } = await startRenderer(t, BLENDER);
  assert.equal(process.facts?.renderer, 'blender');
  assert.match(process.facts.version, /^\d+\.\d+/);
  const render = async (fields: Parameters<typeof imageRequest>[0]): Promise<Buffer> => {
    const { err, text, log, reply } = await process.render(imageRequest({ ...SIZE, ...fields }), PATIENT);
    assert.equal(err, ErrCode.EC_OK, `${text}\n${log}`);
    return Buffer.from(reply.body);
  };

  const white = await render({ lights: [WHITE, WHITE] });
  assert.equal(white.length, 64 * 64);
  assert.deepEqual(await render({ lights: [WHITE, WHITE] }), white, 'the same request gives the same bytes');
  const dim = await render({ lights: [DIM, DIM] });
  assert(mean(dim) < mean(white) / 1.5, `${mean(dim)} and ${mean(white)}`);
  assert.equal(mean(await render({ lights: [0, 0] })), 0, 'without light it is dark');
  assert.deepEqual(await render({ lights: [WHITE, WHITE] }), white, 'nothing of the dark stays');
  const both = await render({ taskCount: 2, lights: [WHITE, WHITE, DIM, DIM] });
  assert.deepEqual(both, Buffer.concat([white, dim]), 'two images in one request');

  // The object is reddish, the floor grey: where it is shows in the colours.
  const left = await render({ position: [-2, 0, 0], lights: [WHITE, WHITE], format: PixelFormat.RGB8 });
  const right = await render({ position: [2, 0, 0], lights: [WHITE, WHITE], format: PixelFormat.RGB8 });
  assert(redness(left, 'left') > 2 * redness(left, 'right'), 'it is on the left');
  assert(redness(right, 'right') > 2 * redness(right, 'left'), 'it is on the right');
  const red = await render({ lights: [RED], format: PixelFormat.RGB8 });
  assert(
    red.every((byte, index) => index % 3 === 0 || byte <= 1),
    'red light, and neither green nor blue',
  );
  assert(mean(red) > 5);

  const rgb = await render({ lights: [WHITE, WHITE], format: PixelFormat.RGB8 });
  const rgba = await render({ lights: [WHITE, WHITE], format: PixelFormat.RGBA8 });
  const floats = await render({ lights: [WHITE, WHITE], format: PixelFormat.RGBA32F });
  const png = await render({ lights: [WHITE, WHITE], format: PixelFormat.PNG });
  const exr = await render({ lights: [WHITE, WHITE], format: PixelFormat.EXR });
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.equal(exr.readUInt32LE(0), 20000630);
  for (let pixel = 0; pixel < 64 * 64; pixel += 1) {
    for (let part = 0; part < 3; part += 1) {
      const byte = rgb[pixel * 3 + part]!;
      assert.equal(rgba[pixel * 4 + part], byte);
      const value = srgbByte(floats.readFloatLE(pixel * 16 + part * 4));
      assert(Math.abs(value - byte) <= 1.5, `pixel ${pixel}: ${value} as a float, ${byte} as a byte`);
    }
  }
  await process.stop();
  assert.deepEqual(leftovers(), NOTHING_LEFT);
});

test('Blender: two render at once; one killed in mid-render costs its task, and its successor gives the same bytes', {
  skip,
}, async (t) => {
  const pool = new RendererPool(BLENDER, { min: 2, restartFirstMs: 1, startTimeoutMs: START_TIMEOUT_MS });
  t.after(async () => {
    await pool.stop();
    assert.deepEqual(leftovers(), NOTHING_LEFT);
  });
  await pool.start();
  const [first, second] = pool.processes as [(typeof pool.processes)[0], (typeof pool.processes)[0]];
  const image = { ...SIZE, lights: [WHITE, RED] };
  const outcomes = await Promise.all([
    first.render(imageRequest(image), PATIENT),
    second.render(imageRequest(image), PATIENT),
  ]);
  assert.deepEqual(
    outcomes.map(({ err }) => err),
    [ErrCode.EC_OK, ErrCode.EC_OK],
  );
  assert.deepEqual(outcomes[0].reply.body, outcomes[1].reply.body);
  assert.notEqual(outcomes[0].pid, outcomes[1].pid);

  const endless = first.render(
    imageRequest({ ...image, width: 1024, height: 1024, samples: 100_000 }),
    PATIENT,
  );
  const meanwhile = second.render(imageRequest(image), PATIENT);
  const busyMs = first.usage()!.cpuMs;
  await until(() => first.usage()!.cpuMs > busyMs + 100); // it really renders
  globalThis.process.kill(first.pid!, 'SIGKILL');
  const killed = await endless;
  assert.equal(killed.err, ErrCode.EC_PEER_DEAD, killed.text);
  assert.match(killed.text, /ended by SIGKILL/);
  assert.deepEqual((await meanwhile).reply.body, outcomes[0].reply.body);
  await idle(first);
  const again = await first.render(imageRequest(image), PATIENT);
  assert.deepEqual(again.reply.body, outcomes[0].reply.body);
  assert.deepEqual(
    readdirSync('/dev/shm').filter((name) => name.startsWith('image-')),
    [],
  );
});

test('Blender: a scene comes from a file; what it lacks is told, and a file that is not there fails the start', {
  skip,
}, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'reactor-net-scene-'));
  t.after(() => rm(folder, { recursive: true }));
  const scene = path.join(folder, 'factory.blend');
  const save = `import bpy; bpy.data.lights[0].name = 'Led.000'; bpy.ops.wm.save_as_mainfile(filepath='${scene}')`;
  const made = spawnSync('blender', ['-b', '--factory-startup', '--python-expr', save], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const { process } = await startRenderer(t, blenderRenderer({ threads: 1, scene, object: 'Cube' }));
  const image = await process.render(imageRequest({ ...SIZE, lights: [WHITE] }), PATIENT);
  assert.equal(image.err, ErrCode.EC_OK, image.text);
  assert(mean(image.reply.body) > 0);
  const { err, text } = await process.render(imageRequest({ ...SIZE, lights: [WHITE, RED] }), PATIENT);
  assert.deepEqual([err, text], [ErrCode.EC_BAD_MESSAGE, "the scene has no light 'Led.001'"]);
  const missing = blenderRenderer({ scene: '/nowhere/at/all.blend' });
  await assert.rejects(startRenderer(t, missing), { code: 'RENDER_START_FAILED', message: /nowhere/ });
});

test('Blender: frame and seed are those of the request, and another scene is opened and left again', {
  skip,
}, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'reactor-net-scene-'));
  t.after(() => rm(folder, { recursive: true }));
  const scene = path.join(folder, 'rolling.blend');
  // The cube rolls from one side to the other between frame 1 and frame 10; the file was left at frame 1.
  const save = [
    "import bpy; bpy.data.lights[0].name = 'Led.000'; cube = bpy.data.objects['Cube']; cube.name = 'Rolling'",
    "cube.rotation_euler = (0, 0, 0); cube.keyframe_insert('rotation_euler', frame=1)",
    "cube.rotation_euler = (0.5, 0.5, 0.5); cube.keyframe_insert('rotation_euler', frame=10)",
    `bpy.context.scene.frame_set(1); bpy.ops.wm.save_as_mainfile(filepath='${scene}')`,
  ].join('; ');
  const addObject =
    "import bpy; bpy.context.scene.collection.objects.link(bpy.data.objects.new('Object', None)); ";
  const made = spawnSync(
    'blender',
    ['-b', '--factory-startup', '--python-exit-code', '3', '--python-expr', addObject + save],
    { encoding: 'utf8' },
  );
  assert.equal(made.status, 0, made.stderr);
  const { process } = await startRenderer(t, blenderRenderer({ threads: 1 }));
  const render = async (fields: Partial<RendererRequest>): Promise<Buffer> => {
    const { err, text, reply } = await process.render(
      imageRequest({ ...SIZE, lights: [WHITE], ...fields }),
      PATIENT,
    );
    assert.equal(err, ErrCode.EC_OK, text);
    assert(reply.readOutUs > 0 && reply.readOutUs < reply.renderUs);
    return Buffer.from(reply.body);
  };
  const own = await render({});
  const seeded = await render({ seed: 5 });
  assert.notDeepEqual(seeded, own);
  const first = await render({ scene });
  assert.notDeepEqual(first, own);
  assert.deepEqual(await render({ scene, frames: [1] }), first);
  const tenth = await render({ scene, frames: [10] });
  assert.notDeepEqual(tenth, first);
  assert.deepEqual(await render({ scene }), first, 'without a frame it is that of the file');
  assert.deepEqual(await render({ seed: 5 }), seeded, 'the scene of its own is back');
  const lost = await process.render(
    imageRequest({ ...SIZE, lights: [WHITE], scene: path.join(folder, 'lost.blend') }),
    PATIENT,
  );
  assert.equal(lost.err, ErrCode.EC_BAD_MESSAGE);
  assert.match(lost.text, /cannot open the scene/);
  assert.deepEqual(await render({}), own);
});

const mean = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;

/** How much more red than blue there is in one half of an RGB image. */
function redness(pixels: Buffer, half: 'left' | 'right'): number {
  let sum = 0;
  for (let pixel = 0; pixel < 64 * 64; pixel += 1) {
    if (pixel % 64 < 32 === (half === 'left'))
      sum += Math.max(0, pixels[pixel * 3]! - pixels[pixel * 3 + 2]!);
  }
  return sum;
}

/** The curve of the sRGB standard. */
function srgbByte(linear: number): number {
  const clamped = Math.min(1, Math.max(0, linear));
  return 255 * (clamped <= 0.003_130_8 ? 12.92 * clamped : 1.055 * clamped ** (1 / 2.4) - 0.055);
}
