import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../addon/index.js';
import { ReactorError } from '../../reactor/errors.js';
import type { Logger } from '../../reactor/logger.js';
import { ProcessMaster, type ProcessMasterOptions } from '../../reactor/process-master.js';
import { until } from '../support/until.js';

const PROGRAM = fileURLToPath(new URL('fixtures/supervised-process.js', import.meta.url));
const addon = loadAddon();
const skip = addon === null ? 'the addon binds the shared socket' : false;

const ignore = (): void => {};
const quiet: Logger = {
  level: 'silent',
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
};

interface Bench {
  readonly master: ProcessMaster;
  readonly port: number;
}

function bench(t: TestContext, manner: string, options: Partial<ProcessMasterOptions> = {}): Bench {
  assert(addon !== null);
  const { fd, port } = addon.listenTcp({ host: '127.0.0.1', port: 0, backlog: 128 });
  const master = new ProcessMaster(quiet, () => 0.5, {
    processes: 2,
    command: () => ({ args: [PROGRAM, manner], environment: {}, inherit: [fd] }),
    backoff: { firstMs: 5, capMs: 50 },
    ...options,
  });
  t.after(async () => {
    master.kill();
    await master.close(0);
    addon.closeFd(fd);
  });
  return { master, port };
}

/** Connects once and returns the pid of the process that accepted. */
async function servedBy(port: number): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  return Number(text);
}

function pids(master: ProcessMaster): (number | undefined)[] {
  return master.processes.map(({ pid }) => pid);
}

test('every process accepts on the one socket that the master bound', { skip }, async (t) => {
  const { master, port } = bench(t, 'serves');
  await master.start();
  assert.equal(master.ready, true);
  for (let i = 0; i < 20; i += 1) assert(pids(master).includes(await servedBy(port)));
  assert.deepEqual(await master.close(5000), { drained: true });
  assert.equal(master.ready, false);
});

test('a killed process is started again and the other one serves meanwhile', { skip }, async (t) => {
  const { master, port } = bench(t, 'serves');
  await master.start();
  const [victim, survivor] = pids(master);
  assert(victim !== undefined && survivor !== undefined);
  process.kill(victim, 'SIGKILL');
  await until(() => master.processes[0]!.restarts === 1 && master.processes[0]!.state === 'ready');
  assert.equal(master.ready, true);
  assert.equal(pids(master)[1], survivor);
  assert.notEqual(pids(master)[0], victim);
  assert.equal(master.processes[1]!.restarts, 0);
  assert(pids(master).includes(await servedBy(port)));
});

test('a reload replaces every process without refusing a connection', { skip }, async (t) => {
  const { master, port } = bench(t, 'serves');
  await master.start();
  const before = pids(master);
  const reload = master.reload(5000).then(() => 'reloaded');
  let served = 0;
  while ((await Promise.race([reload, servedBy(port)])) !== 'reloaded') served += 1;
  assert(served > 0);
  for (const pid of pids(master)) assert(!before.includes(pid));
  assert.equal(master.ready, true);
});

test('a reload asked for during another runs after it, for code that is newer still', { skip }, async (t) => {
  const { master } = bench(t, 'serves');
  await master.start();
  const first = master.reload(5000);
  await new Promise((resolve) => setImmediate(resolve));
  const second = master.reload(5000);
  assert.equal(master.reload(5000), second);
  await first;
  const between = pids(master);
  await second;
  for (const pid of pids(master)) assert(!between.includes(pid));
});

test('questions are answered by every process, and one that fails is left out', { skip }, async (t) => {
  const { master } = bench(t, 'serves');
  await master.start();
  const answers = await master.ask('pid');
  assert.deepEqual(
    answers.map(({ value }) => value),
    pids(master),
  );
  assert.deepEqual(await master.ask('failing'), []);
  assert.deepEqual(await master.ask('unheard of'), []);
});

test('a process that ends before it is ready fails the start and leaves none behind', { skip }, async (t) => {
  const { master } = bench(t, 'dies');
  await assert.rejects(master.start(), (error: unknown) => {
    assert(error instanceof ReactorError);
    assert.equal(error.code, 'REACTOR_PROCESS_LOST');
    assert.match(error.message, /exit code 3/);
    return true;
  });
});

test('a process that does not drain is killed at the deadline, and close says so', { skip }, async (t) => {
  const { master } = bench(t, 'hangs', { processes: 1 });
  await master.start();
  assert.deepEqual(await master.close(0), { drained: false });
});

test('processes end when their master is killed', { skip }, async (t) => {
  assert(addon !== null);
  const script = `
    import { loadAddon } from ${JSON.stringify(new URL('../../addon/index.js', import.meta.url).href)};
    import { ProcessMaster } from ${JSON.stringify(new URL('../../reactor/process-master.js', import.meta.url).href)};
    const ignore = () => {};
    const quiet = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };
    const { fd } = loadAddon().listenTcp({ host: '127.0.0.1', port: 0, backlog: 128 });
    const command = () => ({ args: [${JSON.stringify(PROGRAM)}], environment: {}, inherit: [fd] });
    const master = new ProcessMaster(quiet, Math.random, { processes: 1, command });
    await master.start();
    console.log(master.processes[0].pid);`;
  const master = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => master.kill('SIGKILL'));
  const [line] = (await once(master.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  assert(pid > 0);
  master.kill('SIGKILL');
  await until(() => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH is the answer: there is no such process
  }
}
