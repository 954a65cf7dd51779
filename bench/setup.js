// Gets what the benches need beside npm's packages: builds bench/native into build-bench/ and sees to wrk.
// As root on Debian it installs what is missing; otherwise it says what to install. `--native-only` stops
// after the build and installs nothing.
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = ['tlv-load', 'epoll-echo', 'file-server', 'udp-echo'];
const nativeOnly = process.argv.includes('--native-only');

function isInstalled(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function run(program, args) {
  return spawnSync(program, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** True once every program is there; installs the packages when it may. */
function need(programs, packages) {
  const missing = () => programs.filter((program) => !isInstalled(program));
  if (missing().length === 0) return true;
  const mayInstall = !nativeOnly && process.getuid?.() === 0 && isInstalled('apt-get');
  if (mayInstall) run('apt-get', ['install', '-y', '--no-install-recommends', ...packages]);
  if (missing().length === 0) return true;
  console.error(`bench: ${missing().join(', ')} missing; apt-get install ${packages.join(' ')}`);
  return false;
}

// Built in a directory of its own and moved into place: several benches may find it missing at once.
function buildNative() {
  if (!need(['cmake', 'c++', 'make'], ['cmake', 'g++', 'make'])) return false;
  const place = join(root, 'build-bench');
  const workshop = join(place, String(process.pid));
  try {
    const configure = ['-S', 'bench/native', '-B', workshop, '-DCMAKE_BUILD_TYPE=Release'];
    if (!run('cmake', configure) || !run('cmake', ['--build', workshop, '--parallel', '2'])) return false;
    for (const program of PROGRAMS) renameSync(join(workshop, program), join(place, program));
    return true;
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

const built = buildNative();
const equipped = nativeOnly || need(['wrk'], ['wrk']);
process.exitCode = built && equipped ? 0 : 1;
