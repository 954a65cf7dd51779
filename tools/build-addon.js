// Builds the addon and its C++ tests with cmake-js from the same sources as `npm ci`, then runs the C++ tests.
//   node tools/build-addon.js [--sanitize=address|thread | --stop-at-step] [--test [FILE…]]
// --sanitize adds AddressSanitizer with UBSan (build-asan/) or ThreadSanitizer (build-tsan/); without it: build-cmake/.
// --stop-at-step builds the addon whose ring writers stop in mid-write, for crash tests (build-stop/).
// --test then runs compiled test files (default: all of dist/test/addon) against that very binary.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TEST_FOLDER = 'dist/test/addon';

/** How each build is made and run: its folder, -fsanitize value, run-time library and that library's options. */
const KINDS = {
  none: { folder: 'build-cmake', flags: '', library: '', environment: {} },
  stop: { folder: 'build-stop', flags: '', library: '', environment: {} },
  address: {
    folder: 'build-asan',
    flags: 'address,undefined',
    library: 'libasan.so',
    environment: { ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  thread: {
    folder: 'build-tsan',
    flags: 'thread',
    library: 'libtsan.so',
    // Node, V8 and libuv are not instrumented: without this option TSan reports races that are not there.
    environment: { TSAN_OPTIONS: 'ignore_noninstrumented_modules=1' },
  },
};

function run(command, args, environment = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed (exit code ${status})`);
}

/** The folder with uv.h, looked for where addon/install.js looks for headers. */
function findNodeHeaders() {
  const beside = dirname(dirname(realpathSync(process.execPath)));
  const folders = [beside, process.env.npm_config_nodedir, '/usr/local', '/usr'].map((prefix) =>
    join(prefix ?? '', 'include/node'),
  );
  const found = folders.find((folder) => existsSync(join(folder, 'uv.h')));
  if (!found) throw new Error(`uv.h is in none of ${folders.join(', ')}`);
  return found;
}

function build(kind) {
  const cmakeJs = fileURLToPath(import.meta.resolve('cmake-js/bin/cmake-js'));
  run(process.execPath, [
    cmakeJs,
    'build',
    '--debug',
    `--out=${kind.folder}`,
    `--CDSANITIZE=${kind.flags}`,
    `--CDSTOP_AT_STEP=${kind === KINDS.stop ? 'ON' : 'OFF'}`,
    `--CDNODE_INC=${findNodeHeaders()}`,
  ]);
  run('ctest', ['--test-dir', kind.folder, '--output-on-failure'], kind.environment);
}

function defaultTests() {
  const folder = join(ROOT, TEST_FOLDER);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.test.js')) : [];
  if (names.length === 0) throw new Error(`no compiled tests in ${TEST_FOLDER}; run npm run build first`);
  return names.map((name) => join(folder, name));
}

function runtimeLibrary(name) {
  const { stdout } = spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  return realpathSync(stdout.trim());
}

function test(kind, files) {
  run(process.execPath, ['--test', '--test-concurrency=1', ...(files.length > 0 ? files : defaultTests())], {
    ...kind.environment,
    ...(kind.library ? { LD_PRELOAD: runtimeLibrary(kind.library) } : {}),
    REACTOR_NET_ADDON: join(ROOT, kind.folder, 'Debug/reactor_net.node'),
  });
}

function kindOf(sanitize, isStopping) {
  if (sanitize === undefined) return isStopping ? KINDS.stop : KINDS.none;
  if (isStopping) throw new Error('--sanitize and --stop-at-step are two builds');
  if (sanitize !== 'address' && sanitize !== 'thread') {
    throw new Error(`--sanitize must be address or thread, not ${sanitize}`);
  }
  return KINDS[sanitize];
}

function main() {
  const { values, positionals } = parseArgs({
    options: {
      sanitize: { type: 'string' },
      'stop-at-step': { type: 'boolean', default: false },
      test: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const kind = kindOf(values.sanitize, values['stop-at-step']);
  if (positionals.length > 0 && !values.test) throw new Error('test files need --test');
  build(kind);
  if (values.test) test(kind, positionals);
}

try {
  main();
} catch (error) {
  process.stderr.write(`build-addon: ${error.message}\n`);
  process.exitCode = 1;
}
