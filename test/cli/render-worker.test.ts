// `render worker` as a process of its own: ready when the main node knows of it, drained by SIGTERM, exit codes.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { Code } from '../../render/index.js';
import { ScriptedMain } from '../render/worker/support/scripted-main.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from '../support/until.js';

function worker(t: TestContext, main: ScriptedMain, ...more: string[]): Command {
  const where = ['--main', main.address, '--listen', '127.0.0.1:0'];
  const min = more.includes('--min') ? [] : ['--min', '1'];
  return new Command(t, ['render', 'worker', ...where, ...min, '--json', ...more]);
}

test('a worker is ready once its main node knows of it, and renders until it is told to stop', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(
    t,
    main,
    '--weight',
    '7',
    '--name',
    'beta',
    '--tags',
    'a,b',
    '--metrics',
    '127.0.0.1:0',
  );
  const { listen, pid } = await command.ready();
  assert.equal(pid, command.child.pid);
  const { accessUrl, accessPort, weight, name, tags } = main.infos[0]!;
  assert.deepEqual([weight, name, tags], [7, 'beta', ['a', 'b']]);
  assert.equal(`${accessUrl}:${accessPort}`, listen['rpc']);
  assert.equal((await main.render(main.request({ taskCount: 3 }))).code, Code.OK);
  const metrics = await (await fetch(`http://${listen['metrics']}/metrics`)).text();
  assert.match(metrics, /^reactor_net_render_worker_images_rendered_total 3$/m);
  assert.equal((await fetch(`http://${listen['metrics']}/readyz`)).status, 200);
  assert.equal(await command.stop(), 0);
  assert.deepEqual(main.gone, [main.serial]);
  assert.equal(command.lines.length, 1);
});

test('SIGTERM in the middle of an image: it is finished first', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(t, main, '--builtin-sleep', '500ms');
  await command.ready();
  const answer = main.render(main.request({ taskCount: 2 }));
  await main.beatThat(({ load }) => load?.running === 1);
  const stopping = command.stop();
  await main.beatThat(({ load }) => load?.draining === true);
  assert.equal((await main.render(main.request())).code, Code.OVERLOAD);
  const { code, images } = await answer;
  assert.deepEqual([code, images.size], [Code.OK, 2]);
  assert.equal(await stopping, 0);
});

test('a drain that takes too long is cut, and ends with 1', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(t, main, '--builtin-sleep', '1h', '--drain-timeout', '200ms');
  await command.ready();
  const answer = main.render(main.request());
  await main.beatThat(({ load }) => load?.running === 1);
  assert.equal(await command.stop(), 1);
  assert.equal((await answer).code, Code.CANCELED);
});

test('a node that is killed takes its renderers along', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(t, main, '--builtin-sleep', '1h', '--min', '2');
  await command.ready();
  const { processes } = await main.beatThat((beat) => beat.processes.length === 2);
  const answer = main.render(main.request({ taskCount: 2 }));
  await main.beatThat(({ load }) => load?.running === 2);
  command.child.kill('SIGKILL');
  await assert.rejects(answer);
  await until(() => processes.every(({ pid }) => !isAlive(pid)));
});

test('a node that was frozen is known again when it thaws, and answers', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(t, main);
  await command.ready();
  command.child.kill('SIGSTOP');
  main.forget(); // as a main node does that hears no beats
  const answer = main.render(main.request());
  command.child.kill('SIGCONT');
  await until(() => main.infos.length === 2);
  await main.beatThat(({ serial }) => serial?.epoch === main.serial.epoch);
  await answer.catch(() => {}); // before or after it registered again: either is right
  assert.equal((await main.render(main.request())).code, Code.OK);
  assert.equal(await command.stop(), 0);
});

test('a main node that asks it to drain ends it', async (t) => {
  const main = await ScriptedMain.start(t);
  const command = worker(t, main);
  await command.ready();
  await main.node().slave.drain(main.serial);
  assert.equal(await command.exitCode, 0);
});

test('what cannot be is said in one line that names the flag', async (t) => {
  const main = await ScriptedMain.start(t);
  await main.stop();
  const unreached = worker(t, main, '--connect-timeout', '500ms', '--log-level', 'silent');
  assert.equal(await unreached.exitCode, 3);
  assert.match(unreached.stderr, /^reactor-net: --main: no main node .* within 500 ms\n$/);

  await main.listen();
  main.registering = Code.UNAUTHORIZED;
  const stranger = worker(t, main, '--token', 'wrong', '--log-level', 'silent');
  assert.equal(await stranger.exitCode, 1);
  assert.match(stranger.stderr, /^reactor-net: --token-file: .*as the script says\n$/);
  assert.equal(main.infos.at(-1)?.token, 'wrong');

  const usages: [string[], RegExp][] = [
    [[], /--main: say where the main node is/],
    [['--main', 'nowhere'], /--main: "nowhere" should be HOST:PORT/],
    [['--main', '127.0.0.1:1', '--min', '3', '--max', '2'], /--max: should be at least --min, which is 3/],
    [['--main', '127.0.0.1:1', '--scene', '/tmp/x.blend'], /--scene: needs --backend blender/],
    [['--main', '127.0.0.1:1', '--backend', 'maya'], /--backend: "maya" should be one of builtin, blender/],
    [['--main', '127.0.0.1:1', '--weight', '0'], /--weight: "0" should be a whole number from 1 to 1000/],
    [['--main', '127.0.0.1:1', '--token-file', '/nowhere'], /--token-file: should be a file/],
  ];
  for (const [args, why] of usages) {
    const command = new Command(t, ['render', 'worker', ...args]);
    assert.equal(await command.exitCode, 2);
    assert.match(command.stderr, why);
  }
});

test('a renderer that does not start is told with the reason', async (t) => {
  const main = await ScriptedMain.start(t);
  const folder = temporaryFolder(t);
  const command = new Command(
    t,
    [
      'render',
      'worker',
      '--main',
      main.address,
      '--listen',
      '127.0.0.1:0',
      '--backend',
      'blender',
      '--log-level',
      'silent',
    ],
    { PATH: folder },
  );
  assert.equal(await command.exitCode, 1);
  assert.match(command.stderr, /^reactor-net: --backend blender: .*ENOENT/);
  assert.deepEqual(main.infos, []);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // it is gone
  }
}
