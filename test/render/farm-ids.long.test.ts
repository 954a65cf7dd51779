// Ids that run out and are given again, to drivers and worker nodes that are processes of their own: who had an id before
// reaches nobody who has it now.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import { Code, EmulateClient, JobStates, RenderDriver, RenderError } from '../../render/index.js';
import type { Serial, Status } from '../../render/proto/render.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TestDriver } from './main/support/test-farm.js';
import { figure } from './support/farm-figures.js';
import { eventually, jobState, startFarm, startWorker, workerNames } from './support/farm-processes.js';
import { checkReceived, OneResultEach, takeAll } from './support/one-result.js';
import { askFor, plainClient, plainDriver } from './support/plain-driver.js';
import { LIGHTS, lightsFor, SIZE } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const METRICS = ['--metrics', '127.0.0.1:0'];
const ELSEWHERE = { x: 0.5, y: -0.5, z: 0.25 };

function isExhausted(error: unknown): boolean {
  return (
    error instanceof RenderError && error.code === 'RENDER_IDS_EXHAUSTED' && (error.retryAfterMs ?? 0) > 0
  );
}

/** Everything that a driver can say under this id, and what is answered. */
async function allCalls(
  emulate: EmulateClient,
  id: Serial,
  requestId: bigint,
): Promise<(Code | undefined)[]> {
  const asked = new TestDriver(emulate);
  asked.serial = id;
  const codeOf = ({ status }: { status?: Status | undefined }): Code | undefined => status?.code;
  return [
    (await emulate.heartBeatUser(id)).code,
    codeOf(await emulate.move({ id, position: { x: 9, y: 9, z: 9 } })),
    codeOf(await emulate.getPosition({ id })),
    codeOf(await asked.render({ ...askFor(LIGHTS), requestId })),
    codeOf(await asked.stream({ ...askFor(LIGHTS), requestId })),
    (await emulate.cancel({ id, requestId })).code,
    (await emulate.unRegisterDriver(id)).code,
  ];
}

test('ids of drivers run out, and are given again with nothing of their old owner', { skip }, async (t) => {
  const { target, main, farm } = await startFarm(t, {
    mainFlags: ['--drivers', '2', ...METRICS],
    workerFlags: ['--builtin-sleep', '50ms'],
  });
  const old = await plainDriver(t, target, { name: 'old' });
  await using stays = await RenderDriver.connect({ main: target, name: 'stays' });
  const { emulate, serial: oldSerial } = old;
  await emulate.move({ id: oldSerial, position: ELSEWHERE });
  const requestId = 7n;

  await t.test('the third of two drivers is refused with a code and when to come again', async () => {
    await assert.rejects(RenderDriver.connect({ main: target }), isExhausted);
    const out = temporaryFolder(t);
    const submit = new Command(t, [
      'render',
      'submit',
      '--main',
      target,
      '--images',
      '1',
      '--size',
      '24x16',
      '--out',
      `${out}/images`,
      '--json',
    ]);
    assert.notEqual(await submit.exitCode, 0);
    assert.match(submit.stderr, /2 drivers already/);
    assert.equal((await farm.jobs()).total, 0);
  });

  await t.test(
    'one leaves in the middle of its job: the next has its id, and a life of its own',
    async () => {
      const left = old.stream({ ...askFor(lightsFor(200)), requestId });
      await eventually(async () => (await farm.jobs()).jobs.some(({ done }) => done > 3));
      assert.equal((await emulate.unRegisterDriver(oldSerial)).code, Code.OK);
      const owner = await plainDriver(t, target, { name: 'new' });
      assert.equal(owner.serial.serial, oldSerial.serial);
      assert.notEqual(owner.serial.epoch, oldSerial.epoch);
      assert.equal((await left).status.code, Code.CANCELED);
      assert.equal(await jobState(farm, 1n), JobStates.CANCELED);

      const { position } = await emulate.getPosition({ id: owner.serial });
      assert.deepEqual(position, { x: 0, y: 0, z: 0 }, 'where the old one was is forgotten');
      // The same request id is another request: it is this owner's first.
      const lights = lightsFor(60).toReversed();
      const mine = owner.stream({ ...askFor(lights), requestId });
      await eventually(async () => (await farm.jobs()).jobs.some(({ id, done }) => id === 2n && done > 3));
      for (const id of [
        oldSerial,
        { ...oldSerial, epoch: 0n },
        { ...oldSerial, epoch: oldSerial.epoch + 1n },
      ])
        assert.deepEqual(
          new Set(await allCalls(emulate, id, requestId)),
          new Set([Code.UNAUTHORIZED]),
          `epoch ${id.epoch}`,
        );
      checkReceived(await mine, new OneResultEach(lights));
      assert.equal(await owner.beat(), Code.OK);
      assert.equal((await farm.jobs()).total, 2);
      assert.equal((await emulate.unRegisterDriver(owner.serial)).code, Code.OK);
    },
  );

  await t.test('one is killed: its id is given again once its beats are missed', async () => {
    const what = ['--images', '500', '--size', '24x16', '--out', `${temporaryFolder(t)}/images`];
    const killed = new Command(t, ['render', 'submit', '--main', target, ...what, '--json']);
    await killed.line((line) => line.includes('"image"'));
    killed.child.kill('SIGKILL');
    await assert.rejects(RenderDriver.connect({ main: target }), isExhausted);
    let next: RenderDriver | null = null;
    await eventually(async () => {
      next = await RenderDriver.connect({ main: target, name: 'next' }).catch((error: unknown) => {
        if (!isExhausted(error)) throw error;
        return null;
      });
      return next !== null;
    });
    await using driver = next!;
    assert.equal((await driver.serial()).serial, oldSerial.serial);
    assert.equal(await jobState(farm, 3n), JobStates.CANCELED);
    const lights = lightsFor(10);
    await takeAll(driver.render({ ...SIZE, lights }), new OneResultEach(lights));
    assert.equal(await figure(main, 'drivers_expired_total'), 1);
  });

  assert.equal(stays.registrations, 1, 'the other one was never troubled');
});

test('ids of worker nodes run out, and a new owner is not taken for the old one', { skip }, async (t) => {
  const { target, main, farm } = await startFarm(t, { workers: 0, mainFlags: ['--nodes', '2', ...METRICS] });
  const slow = ['--builtin-sleep', '100ms'];
  const first = await startWorker(t, target, '--name', 'first', ...slow);
  const second = await startWorker(t, target, '--name', 'second', ...slow);
  const before = (await farm.workers()).find(({ name }) => name === 'first');

  const refused = new Command(t, [
    'render',
    'worker',
    '--main',
    target,
    '--listen',
    '127.0.0.1:0',
    '--name',
    'refused',
    '--min',
    '1',
    '--max',
    '1',
    '--connect-timeout',
    '2s',
    '--json',
  ]);
  assert.equal(await refused.exitCode, 3);
  assert.match(refused.stderr, /no main node took this node/);
  assert.deepEqual(await workerNames(farm), ['first', 'second']);
  const emulate = new EmulateClient(plainClient(t, target));
  const { status } = await emulate.registerNode({ accessUrl: '127.0.0.1', accessPort: 1, slots: 1 });
  assert.equal(status?.code, Code.VERSION_MISMATCH, 'a stranger is no node, whatever room there is');

  // The third waits until there is room, in the middle of a job, and takes the id of the one that fell silent.
  await using driver = await RenderDriver.connect({ main: target });
  const lights = lightsFor(80);
  const waiting = startWorker(t, target, '--name', 'third', ...slow);
  await takeAll(driver.render({ ...SIZE, lights }), new OneResultEach(lights), async (taken) => {
    if (taken !== 5) return;
    await eventually(async () => (await figure(main, 'registrations_refused_total')) > 1);
    first.child.kill('SIGSTOP');
    await waiting;
    first.child.kill('SIGCONT');
  });
  const after = (await farm.workers()).find(({ name }) => name === 'third');
  assert.equal(after?.serial, before?.serial);
  for (const epoch of [0n, 1n]) {
    const old = { serial: before!.serial, epoch };
    assert.equal((await emulate.heartBeatNode({ serial: old })).code, Code.UNAUTHORIZED);
    assert.equal((await emulate.unRegisterNode(old)).code, Code.UNAUTHORIZED);
  }
  assert.deepEqual(await workerNames(farm), ['second', 'third']);

  // What thawed is told that its id is another's now, and finds no room until somebody goes.
  const refusals = await figure(main, 'registrations_refused_total');
  await eventually(async () => (await figure(main, 'registrations_refused_total')) > refusals);
  assert.equal(await second.stop('SIGTERM'), 0);
  await eventually(async () => (await workerNames(farm)).join() === 'first,third');
});
