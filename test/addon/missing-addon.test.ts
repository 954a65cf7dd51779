// Without the binary: loadAddon answers null, one line says why, and the install script fails only under CI.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const DOOR = new URL('../../addon/index.js', import.meta.url);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const folders: string[] = [];

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'reactor-net-addon-'));
  folders.push(folder);
  return folder;
}

interface Told {
  readonly stderr: string;
  readonly stdout: string;
}

/** Runs `code` in a process of its own; the names of the door are in scope. */
function runWith(binary: string, code: string, door: string = DOOR.href): Told {
  const source = `import { addonMissingReason, loadAddon, requireAddon } from ${JSON.stringify(door)}; ${code}`;
  const { REACTOR_NET_ADDON: _, ...rest } = process.env;
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    encoding: 'utf8',
    env: binary === '' ? rest : { ...rest, REACTOR_NET_ADDON: binary },
  });
  assert.equal(status, 0, stderr);
  return { stderr, stdout };
}

test('a missing binary is null, told in one line however often it is asked for', () => {
  const { stderr, stdout } = runWith(
    '/nowhere/reactor_net.node',
    'loadAddon(); loadAddon(); console.log(loadAddon(), addonMissingReason());',
  );
  const line = 'reactor-net: the native addon is missing: /nowhere/reactor_net.node does not exist';
  assert.equal(stderr.split('\n').length, 2);
  assert(stderr.startsWith(line));
  assert(stdout.startsWith(`null ${line}`));
});

test('a worker does not repeat the line', () => {
  const worker = `import { loadAddon } from ${JSON.stringify(DOOR.href)}; if (loadAddon() !== null) throw new Error();`;
  const { stderr } = runWith(
    '/nowhere/reactor_net.node',
    `import { Worker } from 'node:worker_threads';
     loadAddon();
     new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));`,
  );
  assert.equal(stderr.split('\n').length, 2);
});

test('a file that is not an addon is told apart from a missing one', () => {
  const file = join(emptyFolder(), 'reactor_net.node');
  writeFileSync(file, 'not a library');
  const { stderr } = runWith(file, 'loadAddon();');
  assert.match(stderr, /^reactor-net: the native addon does not load: .+\n$/);
});

test('requireAddon throws ADDON_MISSING with the reason', () => {
  const { stdout } = runWith(
    '/nowhere/reactor_net.node',
    `try { requireAddon(); } catch (error) { console.log(error.name, error.code, error.message === addonMissingReason()); }`,
  );
  assert.equal(stdout, 'AddonError ADDON_MISSING true\n');
});

/** A copy of what the install script needs, with no compiler, make or python on its PATH. */
function installWithoutTools(ci: string): { folder: string; status: number | null; stderr: string } {
  const folder = emptyFolder();
  mkdirSync(join(folder, 'bin'));
  cpSync(join(ROOT, 'addon'), join(folder, 'addon'), { recursive: true });
  cpSync(join(ROOT, 'binding.gyp'), join(folder, 'binding.gyp'));
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'addon/install.js')], {
    encoding: 'utf8',
    env: {
      ...process.env,
      CI: ci,
      CXX: 'g++',
      PATH: join(folder, 'bin'),
      npm_config_nodedir: fakeHeaders(folder),
    },
  });
  return { folder, status, stderr };
}

/** Headers that satisfy the look-up also where the running Node has none beside it. */
function fakeHeaders(folder: string): string {
  mkdirSync(join(folder, 'include/node'), { recursive: true });
  writeFileSync(join(folder, 'include/node/node_version.h'), '');
  return folder;
}

const NOT_FOUND =
  /^reactor-net: the native addon was not built: (not found: g\+\+, make, python3|node-gyp .+)\n$/;

test('an install without a compiler succeeds and says what is missing', () => {
  const { folder, status, stderr } = installWithoutTools('');
  assert.equal(status, 0);
  assert.match(stderr, NOT_FOUND);
  assert.equal(readFileSync(join(folder, 'build/addon-missing.txt'), 'utf8'), stderr);
});

test('the first load repeats what the install script recorded', () => {
  const { folder, stderr: recorded } = installWithoutTools('');
  assert(!existsSync(join(folder, 'build/Release')));
  cpSync(fileURLToPath(new URL('.', DOOR)), join(folder, 'dist/addon'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const { stderr } = runWith('', 'loadAddon();', new URL(`file://${folder}/dist/addon/index.js`).href);
  assert.equal(stderr, recorded);
});

test('with CI=true an install without a compiler fails', () => {
  const { status, stderr } = installWithoutTools('true');
  assert.equal(status, 1);
  assert.match(stderr, NOT_FOUND);
});
