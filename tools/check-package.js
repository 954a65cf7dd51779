// Packs the package as npm would publish it, installs it into an empty project and uses it there:
// every door imports, the types resolve, the command line serves one request. Leaves nothing behind.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 30_000;
const root = fileURLToPath(new URL('..', import.meta.url));
const project = mkdtempSync(path.join(tmpdir(), 'reactor-net-package-'));
const bin = path.join(project, 'node_modules/.bin/reactor-net');

try {
  await check();
  console.log('the packed package installs, imports and serves');
} finally {
  rmSync(project, { recursive: true, force: true });
}

async function check() {
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], root);
  const [{ filename }] = JSON.parse(packed);
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'empty', private: true, type: 'module' }),
  );
  run('npm', ['install', '--omit=dev', `./${filename}`], project);
  const doors = Object.keys(manifest.exports).filter((door) => !door.endsWith('.json'));
  const specifiers = doors.map((door) => path.posix.join(manifest.name, door));
  const lines = specifiers.map(
    (specifier) => `console.log(Object.keys(await import('${specifier}')).length);`,
  );
  writeFileSync(path.join(project, 'doors.js'), lines.join('\n'));
  console.log(
    `doors: ${specifiers.join(', ')} (${run('node', ['doors.js'], project).trim().split('\n').join(', ')} names)`,
  );
  const peer = `import { existsSync } from 'node:fs'; import { PYTHON_PEER } from '${manifest.name}/jbus';
    if (!existsSync(PYTHON_PEER)) throw new Error(PYTHON_PEER + ' is not in the package');`;
  run('node', ['--input-type=module', '--eval', peer], project);
  const version = run(bin, ['--version'], project).trim();
  if (version !== manifest.version) throw new Error(`reactor-net --version says '${version}'`);
  await serveOnce();
}

/** Starts the installed command line, asks it once, stops it. */
async function serveOnce() {
  const server = spawn(bin, ['serve', '--http', '127.0.0.1:0', '--threads', '2', '--json'], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const deadline = setTimeout(() => server.kill('SIGKILL'), READY_TIMEOUT_MS);
  const exited = once(server, 'exit');
  const [line] = await Promise.race([
    once(createInterface({ input: server.stdout }), 'line'),
    exited.then(() => ['']),
  ]);
  const ready = JSON.parse(line);
  const answer = await (await fetch(`http://${ready.listen.http}/`)).text();
  server.kill('SIGTERM');
  const [exitCode] = await exited;
  clearTimeout(deadline);
  if (answer.trim() !== 'hello world' || exitCode !== 0) {
    throw new Error(`the installed server answered '${answer}' and ended with ${exitCode}`);
  }
}

function run(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
