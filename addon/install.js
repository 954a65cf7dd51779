// The npm `install` script: builds the addon with npm's own node-gyp and Node's own headers, downloading nothing.
// Where that is impossible it says in one line what is missing, leaves the line in build/addon-missing.txt
// (native.ts repeats it at the first load, since npm hides it) and succeeds; with CI=true it fails.
// A binary newer than everything it is made of is left alone.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BINARY = join(ROOT, 'build/Release/reactor_net.node');
const MADE_OF = ['binding.gyp', 'addon/sources.txt', 'addon/src'];

/** Milliseconds of the newest file at or below `path`. */
function newest(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isFresh() {
  if (!existsSync(BINARY)) return false;
  return statSync(BINARY).mtimeMs > Math.max(...MADE_OF.map((path) => newest(join(ROOT, path))));
}

/**
 * The prefix whose include/node holds the headers: beside the running binary, where npm was told, or where systems
 * keep them. Those of another Node serve too: the addon uses Node-API and what is stable within libuv 1.
 */
function findNodeDir() {
  const beside = dirname(dirname(realpathSync(process.execPath)));
  const candidates = [beside, process.env.npm_config_nodedir, '/usr/local', '/usr'];
  return candidates.find((prefix) => prefix && existsSync(join(prefix, 'include/node/node_version.h')));
}

function onPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/** Command and first arguments that run node-gyp: the one npm names, the one in npm beside Node, or PATH's. */
function findNodeGyp() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const script = [
    process.env.npm_config_node_gyp,
    join(prefix, 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  ].find((path) => path && existsSync(path));
  if (script) return [process.execPath, script];
  return onPath('node-gyp') ? ['node-gyp'] : undefined;
}

/** What this computer lacks, or undefined when nothing is known to be missing. */
function findMissing() {
  const compiler = process.env.CXX?.split(' ')[0] ?? 'g++';
  const programs = [compiler, 'make', 'python3'].filter(
    (program) => !existsSync(program) && !onPath(program),
  );
  return programs.length > 0 ? `not found: ${programs.join(', ')}` : undefined;
}

/** Builds; returns undefined, or the reason in one line. */
function build() {
  const nodeDir = findNodeDir();
  if (!nodeDir) return `not found: Node's headers (include/node beside ${process.execPath})`;
  const nodeGyp = findNodeGyp();
  if (!nodeGyp) return 'node-gyp is not found; run the install through npm';
  const missing = findMissing();
  if (missing) return missing;
  const [command, ...first] = nodeGyp;
  const run = spawnSync(command, [...first, 'rebuild', '--jobs=max', `--nodedir=${nodeDir}`], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status === 0 && existsSync(BINARY)) return undefined;
  process.stderr.write(`${run.stdout ?? ''}${run.stderr ?? ''}`);
  return `node-gyp failed (${run.error?.message ?? `exit code ${run.status}`})`;
}

function main() {
  if (process.platform !== 'linux') {
    return report(`it needs Linux, this is ${process.platform}`, 0);
  }
  if (isFresh()) return 0;
  const reason = build();
  return reason ? report(reason, process.env.CI === 'true' ? 1 : 0) : 0;
}

/** Says and records why there is no addon; returns the exit code it was given. */
function report(reason, exitCode) {
  const line = `reactor-net: the native addon was not built: ${reason}`;
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  writeFileSync(join(ROOT, 'build/addon-missing.txt'), `${line}\n`);
  process.stderr.write(`${line}\n`);
  return exitCode;
}

process.exitCode = main();
