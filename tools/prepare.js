// Brings a checkout up to date: builds the addon again when its sources are newer than the binary, and compiles
// the TypeScript. npm runs it after `npm ci` and before start, test and bench, so that a pull needs no thought.
// An installed package carries dist/ already and has no compiler: then there is nothing to do.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));

const run = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;

if (existsSync(tsc) && existsSync(new URL('../tsconfig.json', import.meta.url))) {
  const isAddonBuilt = existsSync(new URL('../build/Release/reactor_net.node', import.meta.url));
  const addonStatus = isAddonBuilt ? run('addon/install.js') : 0; // a fresh binary is left alone
  process.exitCode = addonStatus === 0 ? run(tsc, '-p', '.') : addonStatus;
}
