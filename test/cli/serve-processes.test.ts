import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadAddon } from '../../addon/index.js';
import { Command, type Ready } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TlvClient, tlvFrame } from '../support/tlv.js';

const LOCAL = '127.0.0.1:0';
const skip = loadAddon() === null ? 'the addon binds the shared sockets' : false;
const isRoot = process.getuid?.() === 0;

function start(t: TestContext, ...args: string[]): Command {
  const common = ['--json', '--processes', '2', '--threads', '1', '--metrics', LOCAL];
  return new Command(t, ['serve', ...common, ...args]);
}

async function get(ready: Ready, path: string): Promise<string> {
  const url = `http://${ready.listen['metrics']}${path}`;
  return (await fetch(url, { headers: { connection: 'close' } })).text();
}

/** The processes the master started and that still run. */
function children(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    assert(Date.now() < deadline, 'the condition did not come true in 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('two processes serve one port, and the metrics tell them apart', { skip }, async (t) => {
  const unix = join(temporaryFolder(t), 'socket');
  const command = start(t, '--tcp', LOCAL, '--http', LOCAL, '--udp', LOCAL, '--unix', unix);
  const ready = await command.ready();
  assert.equal(children(ready.pid).length, 2);
  for (const address of [ready.listen['tcp']!, ready.listen['unix']!]) {
    const client = await TlvClient.connect(address);
    assert.equal((await client.ask(1, 'hello')).body.toString(), 'hello');
    client.socket.destroy();
  }
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  const [host, port] = ready.listen['udp']!.split(':');
  socket.send(tlvFrame(1, 'hello'), Number(port), host);
  const [answer] = (await once(socket, 'message')) as [Buffer];
  assert.deepEqual(answer, tlvFrame(1, 'hello'));
  const metrics = await get(ready, '/metrics');
  for (const process of [0, 1]) {
    assert.match(
      metrics,
      new RegExp(`^reactor_net_frames_received_total\\{thread="0",process="${process}"\\} \\d`, 'm'),
    );
    assert.match(
      metrics,
      new RegExp(`^reactor_net_process_restarts_total\\{process="${process}"\\} 0$`, 'm'),
    );
  }
  assert.equal((JSON.parse(await get(ready, '/requests')) as { seen: number }).seen, 2);
  assert.equal(await command.stop(), 0);
});

test('a killed process is replaced, and the other one answers meanwhile', { skip }, async (t) => {
  const command = start(t, '--tcp', LOCAL);
  const ready = await command.ready();
  const [victim] = children(ready.pid);
  process.kill(victim!, 'SIGKILL');
  const client = await TlvClient.connect(ready.listen['tcp']!);
  assert.equal((await client.ask(1, 'x')).body.toString(), 'x');
  client.socket.destroy();
  await until(async () => /process_restarts_total\{process="\d"\} 1$/m.test(await get(ready, '/metrics')));
  await until(() => children(ready.pid).length === 2);
  assert.equal(await get(ready, '/readyz'), 'ready\n');
  assert.equal(await command.stop(), 0);
});

test('SIGHUP replaces every process without refusing a connection', { skip }, async (t) => {
  const command = start(t, '--tcp', LOCAL);
  const ready = await command.ready();
  const before = children(ready.pid);
  command.child.kill('SIGHUP');
  await until(async () => {
    const client = await TlvClient.connect(ready.listen['tcp']!);
    assert.equal((await client.ask(1, 'x')).body.toString(), 'x');
    client.socket.destroy();
    const now = children(ready.pid);
    return now.length === 2 && now.every((pid) => !before.includes(pid));
  });
  assert.equal(await command.stop(), 0);
});

test('processes get their options as flags, not from the environment', { skip }, async (t) => {
  const command = new Command(t, ['serve', '--tcp', LOCAL, '--stats-interval', '20ms'], {
    REACTOR_NET_JSON: 'true',
    REACTOR_NET_PROCESSES: '1',
    REACTOR_NET_THREADS: '2',
  });
  const ready = await command.ready();
  const [child] = children(ready.pid);
  assert.doesNotMatch(readFileSync(`/proc/${child}/environ`, 'utf8'), /REACTOR_NET_(JSON|PROCESSES|THREADS)/);
  const line = await command.line((text) => text.includes('"stats"'));
  const { threads } = JSON.parse(line) as { threads: { thread: number | 'main' }[] };
  assert.deepEqual(
    threads.map(({ thread }) => thread),
    [0, 1, 'main'],
  );
  assert.equal(await command.stop(), 0);
});

test('the processes drop to the user, the master keeps the right to start more', {
  skip: skip || (!isRoot && 'only root can'),
}, async (t) => {
  const command = start(t, '--tcp', LOCAL, '--user', 'nobody');
  const { pid } = await command.ready();
  for (const child of children(pid)) {
    assert.doesNotMatch(readFileSync(`/proc/${child}/status`, 'utf8'), /^Uid:.*\b0\b/m);
  }
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\s+0\b/m);
});

test('a handler module that does not load fails the start with one line', { skip }, async (t) => {
  const module = join(temporaryFolder(t), 'broken.mjs');
  writeFileSync(module, 'export default 42;');
  const command = start(t, '--tcp', LOCAL, '--handlers', module);
  assert.equal(await command.exitCode, 1);
  assert.match(command.stderr, /^reactor-net: --handlers: .*broken\.mjs.*\n$/);
});

test('a second signal ends the processes as well', { skip }, async (t) => {
  const module = join(temporaryFolder(t), 'endless.mjs');
  writeFileSync(
    module,
    `export default () => ({ onFrame: {
       1: (connection) => { connection.send(1, 'begun'); return new Promise(() => {}); },
     } });`,
  );
  const command = start(t, '--tcp', LOCAL, '--drain-timeout', '60s', '--handlers', module);
  const ready = await command.ready();
  const client = await TlvClient.connect(ready.listen['tcp']!);
  await client.ask(1, '');
  const started = children(ready.pid);
  command.child.kill('SIGTERM');
  await until(async () => (await get(ready, '/readyz')) !== 'ready\n');
  await new Promise((resolve) => setTimeout(resolve, 60)); // two signals within 50 ms count as one
  assert.equal(await command.stop(), 130);
  await until(() => started.every((pid) => !isAlive(pid)));
  client.socket.destroy();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH is the answer: there is no such process
  }
}
