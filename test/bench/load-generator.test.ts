// The generator must notice every way a server can be wrong, and never hang.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, test } from 'node:test';
import { ROOT, TLV_LOAD } from '../../bench/paths.js';

let buildProblem: string | null = null;

before(() => {
  const build = spawnSync(process.execPath, [join(ROOT, 'bench/setup.js'), '--native-only'], {
    encoding: 'utf8',
  });
  if (build.status !== 0 || !existsSync(TLV_LOAD)) buildProblem = build.stderr.trim();
});

interface Outcome {
  code: number | null;
  errors: Record<string, number>;
  stalled: boolean;
  replies_total: number;
  sent: number;
  p50_us: number;
  p99_us: number;
}

async function load(server: Server, args: string[]): Promise<Outcome> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(TLV_LOAD, ['--port', String(port), '--warmup', '0', '--duration', '0.2', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const output = await text(child.stdout);
  const [code] = (await exited) as [number | null];
  for (const socket of sockets) socket.destroy();
  server.close();
  const result = output.trim().split('\n').at(-1) ?? '';
  return { ...(JSON.parse(result) as Outcome), code };
}

function echo(change: (reply: Buffer) => Buffer): Server {
  return createServer({ noDelay: true }, (socket) => {
    socket.on('data', (chunk) => socket.write(change(chunk)));
  });
}

const same = (reply: Buffer): Buffer => reply;
const twice = (reply: Buffer): Buffer => Buffer.concat([reply, reply]);

test('an echo server is served without an error, in every mode', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  const modes = [
    ['--connections', '7', '--depth', '5', '--payload', '1000', '--threads', '2'],
    ['--mode', 'rate', '--rate', '2000', '--payload', '0'],
    ['--mode', 'churn', '--connections', '3', '--payload', '3'],
    ['--mode', 'idle', '--connections', '50'],
    ['--connections', '2', '--payload', '300000'],
  ];
  for (const args of modes) {
    const outcome = await load(echo(same), args);
    assert.deepEqual(outcome.errors, { connect: 0, io: 0, closed: 0, mismatch: 0 }, args.join(' '));
    assert.ok(outcome.replies_total > 0);
    assert.equal(outcome.sent, outcome.replies_total);
    assert.equal(outcome.code, 0);
  }
});

test('one flipped bit in a body, an id or a length is a mismatch', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  for (const position of [0, 4, 8, 71]) {
    const flip = (reply: Buffer): Buffer => {
      const wrong = Buffer.from(reply);
      wrong.writeUInt8(wrong.readUInt8(position) ^ 1, position);
      return wrong;
    };
    const outcome = await load(echo(flip), ['--connections', '1']);
    assert.equal(outcome.errors['mismatch'], 1, `byte ${position}`);
    assert.equal(outcome.code, 1);
  }
});

test('a reply that nobody asked for is a mismatch', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  const outcome = await load(echo(twice), ['--connections', '1']);
  assert.equal(outcome.errors['mismatch'], 1);
});

test('a server that closes while a reply is due is counted', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  const closing = createServer((socket) => {
    socket.on('data', () => socket.end());
  });
  const outcome = await load(closing, ['--connections', '3']);
  assert.equal(outcome.errors['closed'], 3);
  assert.equal(outcome.code, 1);
});

test('a server that never answers is reported as stalled within the deadline', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  for (const mode of ['closed', 'rate', 'churn', 'idle']) {
    const silent = createServer((socket) => {
      socket.resume();
    });
    const args = ['--mode', mode, '--connections', '4', '--stall-timeout', '0.3'];
    const outcome = await load(silent, mode === 'rate' ? [...args, '--rate', '100'] : args);
    assert.equal(outcome.stalled, true, mode);
    assert.equal(outcome.code, 1, mode);
  }
});

test('at a fixed rate a pause of the server is charged to every request that was due in it', async (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  // Depth 1: a closed loop would have had one slow reply per connection and a fast median.
  const pausing = createServer({ noDelay: true }, (socket) => {
    const waiting: Buffer[] = [];
    let paused = true;
    setTimeout(() => {
      paused = false;
      for (const reply of waiting) socket.write(reply);
    }, 300);
    socket.on('data', (chunk) => (paused ? waiting.push(chunk) : socket.write(chunk)));
  });
  const args = ['--mode', 'rate', '--rate', '500', '--connections', '1', '--duration', '0.4'];
  const outcome = await load(pausing, args);
  assert.ok(outcome.p50_us > 50_000, `p50 ${outcome.p50_us} us`);
  assert.ok(outcome.p99_us >= outcome.p50_us);
});

test('wrong usage ends with one line that names the flag', (t) => {
  if (buildProblem !== null) return t.skip(buildProblem);
  for (const args of [
    ['--port', 'x'],
    ['--port', '1', '--depth', '0'],
    ['--wrong', '1'],
    ['--mode', 'rate'],
  ]) {
    const { status, stderr } = spawnSync(TLV_LOAD, args, { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /^tlv-load: --[a-z]+: .+\n$/);
  }
});
