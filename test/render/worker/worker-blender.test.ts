// A worker node with real Blenders: lights, places, seeds, frames and scenes of a request are what is seen in its images.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { blenderRenderer, Code, ErrCode, PixelFormat } from '../../../render/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { blenderMissing } from '../support/blender.js';
import { DIM, RED, WHITE } from '../support/renderers.js';
import { startNode } from './support/started-node.js';

const SIZE = { width: 32, height: 24, samples: 2 } as const;

test('two Blenders render what the main node asks for, one of them killed in the middle of it', {
  skip: blenderMissing,
}, async (t) => {
  const { main, node } = await startNode(t, {
    renderer: blenderRenderer({ threads: 1 }),
    pool: { min: 2 },
    desk: { checkImages: true },
  });
  assert.match(main.infos[0]!.version, /^blender \d/);
  const lights = [WHITE, DIM, RED, WHITE];
  const asked = { ...SIZE, taskCount: 4, lights };
  const { images, statuses, code } = await main.render(main.request(asked));
  assert.equal(code, Code.OK);
  assert.deepEqual(images.get(0), images.get(3), 'the same request, the same bytes, whichever renders it');
  assert(mean(images.get(0)!) > mean(images.get(1)!), 'less light is darker');
  for (const { times } of statuses.values())
    assert(times!.readOutUs > 0 && times!.renderUs > times!.readOutUs);

  const moved = await main.render(main.request({ ...SIZE, position: { x: 2, y: 0, z: 0 } }));
  assert.notDeepEqual(moved.images.get(0), images.get(0));
  const seeded = await main.render(main.request({ ...SIZE, seed: 3 }));
  assert.notDeepEqual(seeded.images.get(0), images.get(0));

  const heavy = main.request({ ...SIZE, samples: 400, width: 128, height: 128, taskCount: 2 });
  const answer = main.render(heavy);
  await until(() => node.figures().desk.running === 2);
  const { processes } = await main.beatThat(
    (beat) => beat.processes.length === 2 && beat.load?.running === 2,
  );
  process.kill(processes[0]!.pid, 'SIGKILL');
  const killed = await answer;
  assert.equal(killed.code, Code.OK, killed.message);
  assert.deepEqual(killed.images.get(0), killed.images.get(1));
  assert.deepEqual(
    Array.from(killed.statuses.values(), ({ attempts }) => attempts).toSorted((a, b) => a - b),
    [1, 2],
  );

  const png = await main.render(main.request({ ...SIZE, format: PixelFormat.PNG, taskCount: 2 }));
  assert.equal(png.images.get(1)!.subarray(1, 4).toString(), 'PNG');

  const folder = temporaryFolder(t);
  const file = path.join(folder, 'mirror.blend');
  const save = `import bpy; bpy.data.lights[0].name = 'Led.000'; bpy.data.objects['Cube'].name = 'Object'; bpy.ops.wm.save_as_mainfile(filepath='${file}')`;
  const made = spawnSync('blender', ['-b', '--factory-startup', '--python-expr', save], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const scene = main.addScene(readFileSync(file));
  const other = await main.render(main.request({ ...SIZE, scene, taskCount: 4, frames: [1, 2, 3, 4] }));
  assert.equal(other.code, Code.OK, other.message);
  assert.notDeepEqual(other.images.get(0), images.get(0));
  assert.deepEqual(main.fetched, [scene], 'once for both Blenders');
  const missing = await main.render(main.request({ ...SIZE, scene, lights: [WHITE, RED], lightCount: 2 }));
  assert.equal(missing.statuses.get(0)?.code, ErrCode.EC_BAD_MESSAGE);
  assert.match(missing.statuses.get(0)!.error, /no light 'Led.001'/);
  const back = await main.render(main.request({ ...SIZE }));
  assert.deepEqual(back.images.get(0), images.get(0), 'and back to the first scene');
});

const mean = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;
