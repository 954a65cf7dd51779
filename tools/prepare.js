// Compiles the TypeScript sources when a compiler is at hand; npm runs it after `npm ci`.
// An installed package carries dist/ already and has no compiler: then there is nothing to do.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));

if (existsSync(tsc) && existsSync(new URL('../tsconfig.json', import.meta.url))) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', '.'], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
