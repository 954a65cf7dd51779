// The commands with which people use a farm, against a main node that follows a script.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { decode, decodeApng } from 'fast-png';
import { Code, ErrCode, packLight } from '../../../render/index.js';
import { deferred } from '../../rpc/support/deferred.js';
import { Command } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { runRender } from '../support/run-render.js';
import { type Script, ScriptedMain, shadeOf } from '../support/scripted-main.js';

const ORIGIN = { x: 0, y: 0, z: 0 };

async function start(
  t: TestContext,
  script: Script = {},
): Promise<{ main: ScriptedMain; to: string[]; out: string }> {
  const main = await ScriptedMain.start(t, script);
  return { main, to: ['--main', main.target], out: path.join(temporaryFolder(t), 'out') };
}

function images(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('image-'))
    .toSorted();
}

test('submit writes numbered images with the pixels that came', async (t) => {
  const { main, to, out } = await start(t);
  const what = ['--images', '10', '--size', '6x4', '--format', 'rgb', '--position', '0.5,0,-1'];
  const how = ['--priority', '-3', '--seed', '5', '--tag', 'gpu', '--deadline', '1m'];
  const { exitCode, stdout, stderr } = await runRender(['submit', ...to, ...what, ...how, '--out', out]);
  assert.deepEqual([exitCode, stderr], [0, '']);
  assert.match(stdout, /^job 1\n10 images in /);
  assert.equal(images(out).length, 10);
  const { data, width, channels } = decode(readFileSync(path.join(out, 'image-0004.png')));
  assert.deepEqual([width, channels, data[0]], [6, 3, shadeOf(3, [], { x: 0.5, y: 0, z: -1 })]);
  const { priority, seed, tag, deadlineMs } = main.requests[0]!;
  assert.deepEqual([priority, seed, tag], [-3, 5, 'gpu']);
  assert(deadlineMs > 50_000 && deadlineMs <= 60_000);
});

test('lights and frames come from files and lists, and say how many images there are', async (t) => {
  const { main, to, out } = await start(t);
  const lights = path.join(temporaryFolder(t), 'lights.yaml');
  writeFileSync(
    lights,
    "# two lights each\n- - { intensity: 255, r: 1, g: 2, b: 3 }\n  - { intensity: 10, color: '#ff8000' }\n- [7, 8]\n",
  );
  const args = [...to, '--size', '2x2', '--out', out, '--lights', lights, '--frames', '10-10,3'];
  assert.equal((await runRender(['submit', ...args])).exitCode, 0);
  const [request] = main.requests;
  const first = [
    packLight({ intensity: 255, r: 1, g: 2, b: 3 }),
    packLight({ intensity: 10, r: 255, g: 128, b: 0 }),
  ];
  assert.deepEqual([request!.lights, request!.lightCount], [[...first, 7, 8], 2]);
  assert.deepEqual([request!.frames, request!.taskCount], [[10, 3], 2]);
});

test('with --json every line is an event', async (t) => {
  const { to, out } = await start(t, { refusals: [Code.OVERLOAD] });
  const args = ['submit', ...to, '--images', '2', '--size', '2x2', '--out', out, '--json'];
  const { exitCode, events } = await runRender(args);
  assert.equal(exitCode, 0);
  const told = events();
  assert.deepEqual(
    told.map(({ event }) => event),
    ['waiting', 'submitted', 'image', 'image', 'finished'],
  );
  assert.equal(told[2]!['file'], path.join(out, 'image-0001.png'));
  assert.deepEqual([told[4]!['code'], told[4]!['rendered'], told[4]!['job']], ['OK', 2, 1]);
});

test('a terminal sees a bar that fills', async (t) => {
  const { to, out } = await start(t);
  const args = ['submit', ...to, '--images', '4', '--size', '2x2', '--out', out];
  const { stdout } = await runRender(args, { isTTY: true });
  assert.match(stdout, /█+ {2}4\/4/);
});

test('images that are missing are named with their reason, and the exit code is 1', async (t) => {
  const { to, out } = await start(t, { missing: { 1: ErrCode.EC_OOM, 3: ErrCode.EC_TIMEOUT } });
  const args = ['submit', ...to, '--images', '5', '--size', '2x2', '--out', out];
  const { exitCode, stderr, stdout } = await runRender(args);
  assert.equal(exitCode, 1);
  assert.match(stderr, /image 1 is missing: EC_OOM: as the script says\nimage 3 is missing: EC_TIMEOUT/);
  assert.match(stdout, /3 of 5 images, 2 missing \(PARTIAL\)/);
  assert.deepEqual(images(out), ['image-0001.png', 'image-0003.png', 'image-0005.png']);
});

test('an animation has a frame for every image', async (t) => {
  const { to, out } = await start(t, { missing: { 1: ErrCode.EC_OOM } });
  const file = path.join(path.dirname(out), 'all.png');
  const args = ['--images', '3', '--size', '2x2', '--out', out, '--animation', file, '--fps', '10'];
  assert.equal((await runRender(['submit', ...to, ...args])).exitCode, 1);
  const { frames } = decodeApng(readFileSync(file));
  assert.deepEqual(
    frames.map(({ data }) => data[0]),
    [shadeOf(0, [], ORIGIN), 0, shadeOf(2, [], ORIGIN)],
  );
});

test('a folder with images of another job is refused before anything is rendered', async (t) => {
  const { main, to, out } = await start(t);
  const args = ['submit', ...to, '--images', '2', '--size', '2x2', '--out', out];
  assert.equal((await runRender(args)).exitCode, 0);
  const { exitCode, stderr } = await runRender(args);
  assert.equal(exitCode, 1);
  assert.match(stderr, /RENDER_STATE: .* has the images of job 1 already/);
  assert.equal(main.jobs.size, 1);
  assert.equal((await runRender([...args, '--overwrite'])).exitCode, 0);
});

test('a scene is sent once', async (t) => {
  const { main, to, out } = await start(t);
  const scene = path.join(temporaryFolder(t), 'cube.blend');
  writeFileSync(scene, 'BLENDER');
  const args = [
    'submit',
    ...to,
    '--images',
    '1',
    '--size',
    '2x2',
    '--scene',
    scene,
    '--overwrite',
    '--out',
    out,
  ];
  assert.equal((await runRender(args)).exitCode, 0);
  assert.equal((await runRender(args)).exitCode, 0);
  assert.equal(main.scenesPut, 1);
  assert.deepEqual([main.requests[1]!.scene], [...main.scenes.keys()]);
});

test('a job that is left goes on, and fetch brings its images', async (t) => {
  const { main, to, out } = await start(t);
  const left = await runRender(['submit', ...to, '--images', '3', '--size', '2x2', '--detach']);
  assert.deepEqual([left.exitCode, left.stderr], [0, '']);
  assert.match(left.stdout, /job 1; get its images by: render fetch 1/);
  assert.deepEqual([main.requests[0]!.detached, main.canceled], [true, []]);
  const { exitCode, stdout } = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.deepEqual([exitCode, images(out).length], [0, 3]);
  assert.match(stdout, /3 images fetched, 0 were there, 0 missing/);
});

test('what is in the folder is not fetched again, what is not whole is', async (t) => {
  const { main, to, out } = await start(t);
  await runRender(['submit', ...to, '--images', '40', '--size', '2x2', '--out', out]);
  rmSync(path.join(out, 'image-0002.png'));
  writeFileSync(path.join(out, 'image-0003.png'), 'torn');
  rmSync(path.join(out, 'image-0031.png'));
  const { exitCode, stdout } = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /3 images fetched, 37 were there, 0 missing/);
  assert.deepEqual(main.fetches, [1, 30]);
  const again = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.match(again.stdout, /0 images fetched, 40 were there/);
  assert.equal(main.fetches.length, 2);
});

test('fetch names what is missing, and does not mix jobs in a folder', async (t) => {
  const { to, out } = await start(t, { missing: { 2: ErrCode.EC_CRASHED } });
  await runRender(['submit', ...to, '--images', '3', '--size', '2x2', '--detach']);
  await runRender(['submit', ...to, '--images', '3', '--size', '2x2', '--detach']);
  const { exitCode, stderr } = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /image 2 is missing: EC_CRASHED/);
  const mixed = await runRender(['fetch', '2', ...to, '--out', out]);
  assert.deepEqual([mixed.exitCode, /images of job 1/.test(mixed.stderr)], [1, true]);
});

test('Ctrl-C cancels the job and exits with 130; a fetch goes on where submit was', async (t) => {
  const gate = deferred<void>();
  const { main, to, out } = await start(t, { before: (index) => (index === 3 ? gate.promise : undefined) });
  t.after(() => gate.resolve());
  const submit = new Command(t, [
    'render',
    'submit',
    ...to,
    '--images',
    '6',
    '--size',
    '2x2',
    '--out',
    out,
    '--json',
  ]);
  await submit.line((line) => line.includes('image-0003.png'));
  assert.equal(await submit.stop('SIGINT'), 130);
  assert.equal(main.canceled.length, 1);
  assert.equal(main.unregistered.length, 1);
  assert.equal(images(out).length, 3);
  gate.resolve();
  const { exitCode, stdout } = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.match(stdout, /3 images fetched, 3 were there, 0 missing/);
  assert.equal(exitCode, 0);
});

test('a fetch that was interrupted is begun again where it was', async (t) => {
  const gate = deferred<void>();
  const { main, to, out } = await start(t);
  await runRender(['submit', ...to, '--images', '20', '--size', '2x2', '--detach']);
  main.script.before = (index, _request, stream) => (stream === 1 && index === 12 ? gate.promise : undefined);
  const fetch = new Command(t, ['render', 'fetch', '1', ...to, '--out', out, '--json']);
  await fetch.line((line) => line.includes('image-0012.png'));
  assert.equal(await fetch.stop('SIGINT'), 130);
  const { stdout } = await runRender(['fetch', '1', ...to, '--out', out]);
  assert.match(stdout, /8 images fetched, 12 were there, 0 missing/);
  assert.deepEqual(main.fetches, [0, 12]);
  gate.resolve();
});

test('jobs and workers are listed, jobs are paused, moved and forgotten', async (t) => {
  const { main, to } = await start(t);
  assert.equal((await runRender(['jobs', ...to])).stdout, 'no jobs\n');
  await runRender(['submit', ...to, '--images', '2', '--size', '20x10', '--detach', '--name', 'me']);
  const { stdout } = await runRender(['jobs', ...to]);
  assert.match(stdout, /job +state +from.*\n1 +\w+ +me .*20x10/);
  assert.match((await runRender(['jobs', '1', ...to])).stdout, /image +state.*\n0 +rendered/);
  const [job] = (await runRender(['jobs', '1', ...to, '--json'])).events();
  assert.deepEqual([job!['event'], job!['id'], job!['width']], ['job', 1, 20]);
  assert.equal((await runRender(['pause', '1', ...to])).stdout, 'job 1: paused\n');
  assert.equal((await runRender(['priority', '1', '-5', ...to])).exitCode, 0);
  assert.match((await runRender(['workers', ...to])).stdout, /1 +one +127.0.0.1:7610 +2 of 4 .*50%/);
  assert.equal((await runRender(['workers', '--drain', '1', ...to])).exitCode, 0);
  assert.deepEqual(main.drained, [1]);
  assert.equal((await runRender(['logs', '1', '--image', '1', ...to])).stdout, 'image 1 of job 1\n');
  const mixed = await runRender(['delete', '1', '9', ...to]);
  assert.deepEqual([mixed.exitCode, mixed.stderr], [1, 'reactor-net: job 9: there is no job 9\n']);
});

test('nobody there is exit code 3, a job that is not there 1', async (t) => {
  const { to, out } = await start(t);
  const nowhere = ['--main', '127.0.0.1:1', '--timeout', '300ms'];
  const submit = ['submit', '--images', '1', '--size', '2x2', '--out', out];
  for (const args of [submit, ['jobs'], ['workers'], ['fetch', '1', '--out', out], ['cancel', '1']]) {
    const { exitCode, stderr } = await runRender([...args, ...nowhere]);
    assert.equal(exitCode, 3, args[0]);
    assert.match(stderr, /^reactor-net: could not reach the main node: [^\n]+\n$/);
  }
  const { exitCode, stderr } = await runRender(['jobs', '9', ...to]);
  assert.deepEqual([exitCode, stderr], [1, 'reactor-net: RENDER_NOT_FOUND: there is no job 9\n']);
});

test('a token is shown, from the command line or a file', async (t) => {
  const { main, to, out } = await start(t, { token: 'secret' });
  const submit = ['submit', ...to, '--images', '1', '--size', '2x2', '--overwrite', '--out', out];
  const { exitCode, stderr } = await runRender(submit);
  assert.deepEqual([exitCode, stderr], [1, 'reactor-net: RENDER_UNAUTHORIZED: wrong token\n']);
  assert.equal((await runRender([...submit, '--token', 'secret'])).exitCode, 0);
  const file = path.join(temporaryFolder(t), 'token');
  writeFileSync(file, 'secret\n');
  assert.equal((await runRender([...submit, '--token-file', file])).exitCode, 0);
  assert.equal(main.registered.length, 2);
});

test('wrong usage is one line that says what would be right, before anything is asked', async (t) => {
  const lights = path.join(temporaryFolder(t), 'lights.yaml');
  const wrong = async (args: readonly string[], expected: RegExp, text = ''): Promise<void> => {
    writeFileSync(lights, text);
    const { exitCode, stderr } = await runRender(args);
    assert.deepEqual([exitCode, stderr.split('\n').length], [2, 2], stderr);
    assert.match(stderr, expected);
  };
  const submit = ['submit', '--out', 'nowhere', '--size', '2x2'];
  const lit = [...submit, '--images', '2', '--lights', lights];
  await wrong(['submit', '--images', '1', '--out', 'nowhere'], /--size: must be given/);
  await wrong(['submit', '--images', '1', '--size', '2x2'], /--out: name a folder/);
  await wrong(submit, /--images: must be given/);
  await wrong([...submit, '--size', '0x2'], /--size: give it once/);
  await wrong(['submit', '--size', '0x2'], /--size: "0x2" should be such as 640x480/);
  await wrong([...submit, '--frames', '5-1'], /--frames: "5-1" should be a frame/);
  await wrong(
    [...submit, '--images', '3', '--frames', '1-2'],
    /--frames: there are 2 frames; 3 images need 3/,
  );
  await wrong([...submit, '--position', '1,2'], /--position: "1,2" should be three numbers/);
  await wrong([...submit, '--images', '1', '--animation', 'all.gif'], /--animation: "all.gif" should end in/);
  await wrong([...submit, '--images', '1', '--format', 'bmp'], /--format: "bmp" should be one of gray/);
  await wrong([...submit, '--lights', `${lights}.none`], /--lights: should be a file that can be read/);
  await wrong(['jobs', 'x'], /"x" should be the number of a job/);
  await wrong(['priority', '1'], /name a job and its new priority/);
  await wrong(
    lit,
    /lights.yaml:2:5: set 1, light 2: r is 300, and should be a whole number/,
    '- - 5\n  - { intensity: 1, r: 300, g: 0, b: 0 }\n',
  );
  await wrong(lit, /lights.yaml:1:4: set 1, light 1: b is missing/, '[[ {intensity: 1, r: 1, g: 1} ]]');
  await wrong(lit, /lights.yaml:1:3: set 1, light 1: "red" is none of/, '[[{"red": 1}]]');
  await wrong(lit, /lights.yaml:1:2: set 1 should be a list/, '[5, 6]');
  await wrong(lit, /lights.yaml:1:1: the file should be a list/, 'lights: 1');
  await wrong(lit, /lights.yaml:1:\d+: /, '[[1], [2');
  await wrong(lit, /--lights: there are 3 light sets; 2 images need 2/, '[[1], [2], [3]]');
  await wrong(lit, /--lights: set 2 has 2 lights, set 1 has 1/, '[[1], [2, 3]]');
});

test('nothing that is canceled waits for a main node that went away', async (t) => {
  const { main, to, out } = await start(t, {
    refusals: Array.from({ length: 10_000 }, () => Code.UNAVAILABLE),
  });
  const submit = new Command(t, [
    'render',
    'submit',
    ...to,
    '--images',
    '1',
    '--size',
    '2x2',
    '--out',
    out,
    '--json',
  ]);
  await submit.line((line) => line.includes('reconnecting'));
  await until(() => main.requests.length > 2);
  assert.equal(await submit.stop('SIGTERM'), 130);
});
