import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { takeActivatedSockets } from '../../reactor/socket-activation.js';

test('descriptors count from 3 and carry their names', () => {
  const env = { LISTEN_PID: '77', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:metrics', HOME: '/' };
  assert.deepEqual(takeActivatedSockets(env, 77), [
    { name: 'web', fd: 3 },
    { name: 'metrics', fd: 4 },
  ]);
  assert.deepEqual(env, { HOME: '/' }, 'children must not take the sockets for theirs');
  assert.deepEqual(takeActivatedSockets(env, 77), []);
});

test('sockets without names are called unknown', () => {
  assert.deepEqual(takeActivatedSockets({ LISTEN_PID: '77', LISTEN_FDS: '1' }, 77), [
    { name: 'unknown', fd: 3 },
  ]);
});

test('nothing is taken when there is nothing or it is meant for another process', () => {
  assert.deepEqual(takeActivatedSockets({}, 77), []);
  assert.deepEqual(takeActivatedSockets({ LISTEN_PID: '77' }, 77), []);
  assert.deepEqual(takeActivatedSockets({ LISTEN_PID: '76', LISTEN_FDS: '1' }, 77), []);
  assert.deepEqual(takeActivatedSockets({ LISTEN_PID: '77', LISTEN_FDS: '0' }, 77), []);
});

test('a variable that cannot be right is refused with its name', () => {
  const bad = [
    [{ LISTEN_PID: 'me', LISTEN_FDS: '1' }, /LISTEN_PID/],
    [{ LISTEN_PID: '77', LISTEN_FDS: '-1' }, /LISTEN_FDS/],
    [{ LISTEN_PID: '77', LISTEN_FDS: '99999' }, /LISTEN_FDS/],
    [{ LISTEN_PID: '77', LISTEN_FDS: '2', LISTEN_FDNAMES: 'one' }, /LISTEN_FDNAMES/],
  ] as const;
  for (const [env, named] of bad) {
    assert.throws(() => takeActivatedSockets({ ...env }, 77), {
      code: 'REACTOR_OPTION_INVALID',
      message: named,
    });
  }
});

test('a process started as systemd starts one serves the socket that was opened for it', async (t) => {
  const opened = net.createServer().listen(0, '127.0.0.1');
  await once(opened, 'listening');
  const { port } = opened.address() as net.AddressInfo;
  const program = fileURLToPath(new URL('./fixtures/activated-server.js', import.meta.url));
  // The shell knows its own pid before it becomes the program, which is how systemd names it.
  const child = spawn('sh', ['-c', `LISTEN_PID=$$ exec "${process.execPath}" "${program}"`], {
    env: { ...process.env, LISTEN_FDS: '1', LISTEN_FDNAMES: 'web' },
    stdio: ['ignore', 'pipe', 'inherit', (opened as unknown as { _handle: { fd: number } })._handle.fd],
  });
  opened.close(); // the child has a copy; this one would take connections away from it
  t.after(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child.stdout!, 'data');
  const client = net.connect(port, '127.0.0.1');
  let answer = '';
  for await (const chunk of client) answer += String(chunk);
  assert.deepEqual(JSON.parse(answer), { sockets: [{ name: 'web', fd: 3 }], again: [] });
});
