// A renderer process with the built-in renderer: what it does, every way in which it fails, and that nothing is left of it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { PYTHON_PEER } from '../../addon/jbus/index.js';
import {
  type BuiltinFault,
  builtinRenderer,
  ErrCode,
  PixelFormat,
  type Renderer,
  RENDERER_OPS,
  RendererProcess,
  rendererRequest,
} from '../../render/index.js';
import { pythonMissing } from '../support/python.js';
import { until } from '../support/until.js';
import {
  DIM,
  idle,
  imageRequest,
  leftovers,
  NOTHING_LEFT,
  PATIENT,
  START_TIMEOUT_MS,
  startRenderer,
  WHITE,
} from './support/renderers.js';

const failing = (fault: BuiltinFault, at: number): Renderer => builtinRenderer({ faults: [{ fault, at }] });

test('a renderer says READY and what it is, renders, and ends when it is stopped', async (t) => {
  const { process, states } = await startRenderer(t, builtinRenderer());
  const formats = ['GRAY8', 'RGB8', 'RGBA8', 'RGBA32F'];
  assert.deepEqual(process.facts, { renderer: 'builtin', version: '1', threads: 1, formats });
  assert.notEqual(process.pid, undefined);
  const outcome = await process.render(imageRequest(), PATIENT);
  assert.deepEqual([outcome.err, outcome.text], [ErrCode.EC_OK, '']);
  assert.equal(outcome.reply.body.length, 16 * 12);
  assert.equal(outcome.pid, process.pid);
  assert(outcome.usage!.rssBytes > 1e6);
  const again = await process.render(imageRequest(), PATIENT);
  assert.deepEqual(again.reply.body, outcome.reply.body);
  await process.stop();
  assert.deepEqual(states, ['starting', 'idle', 'busy', 'idle', 'busy', 'idle', 'ending', 'stopped']);
  assert.deepEqual(leftovers(), NOTHING_LEFT);
  await assert.rejects(process.render(imageRequest(), PATIENT), { code: 'RENDER_STATE' });
});

test('several images of one request come in their order, each with its lights', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer());
  const single = async (light: number): Promise<Uint8Array> =>
    (await process.render(imageRequest({ lights: [light] }), PATIENT)).reply.body;
  const { reply } = await process.render(
    imageRequest({ taskCount: 3, lights: [WHITE, DIM, WHITE] }),
    PATIENT,
  );
  const [white, dim] = [await single(WHITE), await single(DIM)];
  assert.deepEqual(Buffer.from(reply.body), Buffer.concat([white, dim, white]));
});

test('an image larger than the ring comes whole, and so does a ping', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer({ instant: true }), { capacityIn: 65_536 });
  const large = imageRequest({ width: 1024, height: 1024, format: PixelFormat.RGBA8 });
  const { err, reply } = await process.render(large, PATIENT);
  assert.equal(err, ErrCode.EC_OK);
  assert.equal(reply.body.length, 4 * 1024 * 1024);
  assert(reply.body.every((byte) => byte === 255));
  const ping = await process.render(rendererRequest({ op: RENDERER_OPS.ping, requestId: 5n }), PATIENT);
  assert.deepEqual([ping.err, ping.reply.requestId, ping.reply.body.length], [ErrCode.EC_OK, 5n, 0]);
});

test('one that crashes in mid-render fails its task with EC_PEER_DEAD and is started again', async (t) => {
  const { process, states } = await startRenderer(t, failing('crash', 2));
  const first = await process.render(imageRequest(), PATIENT);
  const outcome = await process.render(imageRequest(), PATIENT);
  assert.equal(outcome.err, ErrCode.EC_PEER_DEAD);
  assert.match(outcome.text, /ended by SIGKILL/);
  await idle(process);
  assert.notEqual(process.pid, outcome.pid);
  const afterwards = await process.render(imageRequest(), PATIENT);
  assert.deepEqual(afterwards.reply.body, first.reply.body);
  assert.deepEqual(states.slice(4, 9), ['busy', 'ending', 'waiting', 'starting', 'idle'].slice(0, 5));
  assert.deepEqual(
    {
      restarts: process.figures.restarts,
      failed: process.figures.failed,
      rendered: process.figures.rendered,
    },
    { restarts: 1, failed: 1, rendered: 2 },
  );
});

test('one that is killed while idle is started again, and no task is lost by it', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer());
  const before = process.pid!;
  globalThis.process.kill(before, 'SIGKILL');
  await until(() => process.state === 'idle' && process.pid !== before);
  assert.equal((await process.render(imageRequest(), PATIENT)).err, ErrCode.EC_OK);
});

test('one that hangs is killed after the deadline, although it is deaf to SIGTERM', async (t) => {
  const { process } = await startRenderer(t, failing('hang', 1));
  const outcome = await process.render(imageRequest(), { deadlineMs: 300 });
  assert.equal(outcome.err, ErrCode.EC_TIMEOUT);
  assert.match(outcome.text, /no image within 300 ms; it was ended by SIGKILL/);
  assert(outcome.tookMs >= 299, `${outcome.tookMs} ms`);
  await idle(process);
});

for (const fault of ['garbage', 'stray'] as const) {
  test(`a reply that is ${fault} fails the task with EC_BAD_MESSAGE, and its sender is replaced`, async (t) => {
    const { process } = await startRenderer(t, failing(fault, 1));
    const outcome = await process.render(imageRequest(), PATIENT);
    assert.equal(outcome.err, ErrCode.EC_BAD_MESSAGE);
    assert.match(
      outcome.text,
      fault === 'garbage' ? /a reply has at least 48 bytes/ : /a reply to request .* version 2/,
    );
    await idle(process);
    assert.notEqual(process.pid, outcome.pid);
  });
}

test('an error that the renderer tells is the outcome, and the same process goes on', async (t) => {
  const { process } = await startRenderer(t, failing('error', 1));
  const outcome = await process.render(imageRequest(), PATIENT);
  assert.deepEqual([outcome.err, outcome.text], [ErrCode.EC_RENDER_FAILED, 'as it was told to']);
  const png = await process.render(imageRequest({ format: PixelFormat.PNG }), PATIENT);
  assert.equal(png.err, ErrCode.EC_BAD_MESSAGE);
  const { err, pid } = await process.render(imageRequest(), PATIENT);
  assert.deepEqual([err, pid], [ErrCode.EC_OK, outcome.pid]);
});

test('after as many deaths in a minute as it may have, it has failed and says why', async (t) => {
  const { process } = await startRenderer(t, failing('crash', 1), { restartsPerMinute: 2 });
  for (let death = 1; death <= 3; death += 1) {
    await idle(process);
    assert.equal((await process.render(imageRequest(), PATIENT)).err, ErrCode.EC_PEER_DEAD);
  }
  await until(() => process.state === 'failed');
  assert.equal(process.failure?.code, 'RENDER_RENDERER_DIED');
  assert.equal(process.figures.restarts, 2);
});

test('one that never becomes ready, ends, or is not there fails to start, with the reason', async () => {
  const start = async (renderer: Renderer, startTimeoutMs = START_TIMEOUT_MS): Promise<void> => {
    const process = new RendererProcess(renderer, { startTimeoutMs });
    try {
      await process.start();
    } finally {
      assert.equal(process.state, 'failed');
      await process.stop();
      assert.deepEqual(leftovers(), NOTHING_LEFT);
    }
  };
  const failed = (message: RegExp): object => ({ code: 'RENDER_START_FAILED', message });
  await assert.rejects(start(failing('crash', 0)), failed(/ended by SIGKILL/));
  await assert.rejects(start(failing('hang', 0), 1500), failed(/in time.*ended by SIGKILL/));
  const missing = { name: 'missing', command: '/nowhere/at/all', args: [], environment: {} };
  await assert.rejects(start(missing), failed(/ENOENT/));
  const ending = { ...missing, command: '/bin/sh', args: ['-c', 'echo no scene >&2; exit 7', '--'] };
  await assert.rejects(start(ending), failed(/exit code 7.*output: no scene/));
});

test('a task that is canceled is over at once, and the process goes on with the next one', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer({ sleepMs: 60_000 }), { cancelGraceMs: 30_000 });
  const abort = new AbortController();
  const rendering = process.render(imageRequest(), { ...PATIENT, signal: abort.signal });
  const pid = process.pid;
  abort.abort();
  assert.equal((await rendering).err, ErrCode.EC_CANCELED);
  await idle(process);
  assert.equal(process.pid, pid);
  assert.deepEqual(process.figures, { rendered: 0, failed: 1, restarts: 0, recycled: 0, stale: 1 });
});

test('one that does not give a canceled task up is killed, which is no crash', async (t) => {
  // Instant: one that traces slowly looks between two slices of time whether it is canceled, before it hangs.
  const deaf = builtinRenderer({ instant: true, faults: [{ fault: 'hang', at: 1 }] });
  const { process } = await startRenderer(t, deaf, { cancelGraceMs: 50 });
  const before = process.pid;
  const { err } = await process.render(imageRequest(), { ...PATIENT, signal: AbortSignal.abort() });
  assert.equal(err, ErrCode.EC_CANCELED);
  await until(() => process.state === 'idle' && process.pid !== before);
  assert.equal(process.figures.restarts, 0);
});

test('after so many renders, or with so much memory, it is replaced by a new one', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer(), { rendersMax: 2 });
  const pids = new Set<number>();
  for (let count = 1; count <= 4; count += 1) {
    const { err, pid } = await process.render(imageRequest(), PATIENT);
    assert.equal(err, ErrCode.EC_OK);
    pids.add(pid);
    await idle(process);
  }
  assert.equal(pids.size, 2);
  assert.deepEqual([process.figures.recycled, process.figures.restarts], [2, 0]);
  const { process: heavy } = await startRenderer(t, builtinRenderer(), { rssBytesMax: 1 });
  await heavy.render(imageRequest(), PATIENT);
  await idle(heavy);
  assert.equal(heavy.figures.recycled, 1);
});

test('of what it prints, the end is kept with the task that it printed it for', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer({ chatterLines: 2000 }), { logBytesMax: 2048 });
  for (const requestId of [11n, 22n]) {
    const { log } = await process.render(imageRequest({ requestId }), PATIENT);
    assert(log.length < 2200, `${log.length} characters`);
    assert.match(log, /^\[\d+ bytes before this were dropped\]\n/);
    assert(log.endsWith(`request ${requestId}, line 2000 of 2000\n`), log.slice(-100));
    assert.equal(log.includes(`request ${requestId === 11n ? 22n : 11n}`), false);
  }
});

test('stopping cancels the task it has, and one that is starting is stopped too', async (t) => {
  const { process } = await startRenderer(t, failing('hang', 1), { graceMs: 60_000 });
  const rendering = process.render(imageRequest(), PATIENT);
  await process.stop();
  assert.equal((await rendering).err, ErrCode.EC_CANCELED);
  const starting = new RendererProcess(failing('hang', 0));
  const rejected = assert.rejects(starting.start(), { code: 'RENDER_CLOSED' });
  await starting.stop();
  await rejected;
  assert.equal(starting.state, 'stopped');
  assert.deepEqual(leftovers(), NOTHING_LEFT);
});

test('it takes one task at a time, and refuses what is no request', async (t) => {
  const { process } = await startRenderer(t, builtinRenderer({ sleepMs: 100 }));
  const rendering = process.render(imageRequest(), PATIENT);
  await assert.rejects(process.render(imageRequest(), PATIENT), { code: 'RENDER_STATE' });
  assert.equal((await rendering).err, ErrCode.EC_OK);
  await assert.rejects(process.render(imageRequest({ width: 0 }), PATIENT), {
    code: 'RENDER_REQUEST_INVALID',
  });
  assert.equal(process.state, 'idle');
});

test('a renderer sees none of our variables, and has a folder in memory of its own', async (t) => {
  t.after(() => delete globalThis.process.env['REACTOR_NET_SECRET']);
  globalThis.process.env['REACTOR_NET_SECRET'] = 'x';
  const { process } = await startRenderer(t, builtinRenderer());
  const environment = readFileSync(`/proc/${process.pid}/environ`, 'latin1').split('\0');
  assert.equal(
    environment.some((line) => line.startsWith('REACTOR_NET_SECRET')),
    false,
  );
  assert(environment.some((line) => /^TMPDIR=\/.*\/reactor-net-render-\d+-\d+-/.test(line)));
});

test('a third renderer is a command line: one in Python, of which errors are told too', {
  skip: pythonMissing,
}, async (t) => {
  const script = fileURLToPath(new URL('../../../test/render/python/flat_renderer.py', import.meta.url));
  const jbus = fileURLToPath(new URL('.', PYTHON_PEER));
  const flat = (...more: string[]): Renderer => ({
    name: 'flat',
    command: 'python3',
    args: ['-B', script, '--jbus', jbus, ...more],
    environment: {},
  });
  const { process } = await startRenderer(t, flat());
  assert.equal(process.facts?.renderer, 'flat');
  const outcome = await process.render(imageRequest({ lights: [DIM], position: [1, 2, 3] }), PATIENT);
  assert.deepEqual(Buffer.from(outcome.reply.body), Buffer.alloc(16 * 12, 60));
  assert.equal(outcome.log, 'at (1.0, 2.0, 3.0)\n');
  const wrong = await process.render(imageRequest({ format: PixelFormat.RGB8 }), PATIENT);
  assert.deepEqual([wrong.err, wrong.text], [ErrCode.EC_BAD_MESSAGE, 'grey only']);
  const { process: failing } = await startRenderer(t, flat('--fail'));
  const failure = await failing.render(imageRequest(), PATIENT);
  assert.equal(failure.err, ErrCode.EC_PYTHON_ERROR);
  assert.match(failure.text, /ValueError: flat on its face/);
  assert.match(failure.log, /Traceback/);
  assert.equal(failing.state, 'idle');
});
