// Strangers at a farm of processes that asks for tokens: wrong ones and none, serials that are foreign, guessed or expired,
// over RPC, over gRPC and on the web page. Each is told so by a code, and nothing is done for any of them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { addonMissingReason } from '../../addon/index.js';
import {
  Code,
  EmulateClient,
  FarmClient,
  RenderDriver,
  RenderError,
  SlaveEmulateClient,
} from '../../render/index.js';
import type { Serial } from '../../render/proto/render.js';
import { RpcError } from '../../rpc/index.js';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TestDriver } from './main/support/test-farm.js';
import { figure } from './support/farm-figures.js';
import { eventually, startMain, startWorker } from './support/farm-processes.js';
import { plainGrpc } from './support/plain-grpc.js';
import { OneResultEach, takeAll } from './support/one-result.js';
import { askFor, plainClient, plainDriver } from './support/plain-driver.js';
import { LIGHTS, SIZE } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const DRIVERS = 'for-drivers-and-people';
const NODES = 'for-worker-nodes';
const HERE = { x: 0.25, y: 0.5, z: 0 };

function isUnauthorized(error: unknown): boolean {
  return error instanceof RenderError && error.code === 'RENDER_UNAUTHORIZED';
}

function isUnauthenticated(error: unknown): boolean {
  return error instanceof RpcError && error.status === 'UNAUTHENTICATED';
}

test('whoever has no right token, or another one’s serial, is told so, and gets nothing done', {
  skip,
}, async (t) => {
  const folder = temporaryFolder(t);
  const fileWith = (name: string, secret: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, secret);
    return file;
  };
  const nodeToken = ['--token-file', fileWith('nodes', NODES)];
  const { main, target } = await startMain(
    t,
    '--token-file',
    fileWith('drivers', DRIVERS),
    '--node-token-file',
    fileWith('nodes', NODES),
    '--http',
    '127.0.0.1:0',
    '--grpc',
    '127.0.0.1:0',
    '--metrics',
    '127.0.0.1:0',
  );
  const { listen } = await main.ready();
  await startWorker(t, target, '--name', 'ours', ...nodeToken);
  const farm = new FarmClient({ main: target, token: DRIVERS });
  t.after(() => farm.close());
  const ours = await plainDriver(
    t,
    target,
    { name: 'ours', token: DRIVERS },
    plainClient(t, target, DRIVERS),
  );
  await ours.emulate.move({ id: ours.serial, position: HERE });
  const wrongTokens = ['', 'guess', DRIVERS.slice(1), `${DRIVERS} `];

  await t.test('drivers and people', async () => {
    for (const token of [...wrongTokens, NODES])
      await assert.rejects(RenderDriver.connect({ main: target, token }), isUnauthorized, token);
    for (const token of wrongTokens) {
      const strange = new FarmClient({ main: target, token });
      for (const ask of [
        () => strange.jobs(),
        () => strange.workers(),
        () => strange.cancel([1n]),
        () => strange.drainWorker(1),
        () => strange.putScene(Buffer.from('BLENDER')),
      ])
        await assert.rejects(ask(), isUnauthorized);
      await strange.close();
    }
    const out = path.join(folder, 'out');
    for (const token of [[], ['--token', 'guess']]) {
      const where = ['--main', target, '--images', '1', '--size', '24x16', '--out', out, ...token];
      const submit = new Command(t, ['render', 'submit', ...where]);
      assert.equal(await submit.exitCode, 1);
      assert.match(submit.stderr, /token/);
    }
  });

  await t.test('worker nodes', async () => {
    for (const [name, secret] of [
      ['none', null],
      ['wrong', 'guess'],
      ['of-drivers', DRIVERS],
    ] as const) {
      const token = secret === null ? [] : ['--token-file', fileWith(name, secret)];
      const node = new Command(t, [
        'render',
        'worker',
        '--main',
        target,
        '--listen',
        '127.0.0.1:0',
        '--name',
        name,
        '--min',
        '1',
        '--max',
        '1',
        ...token,
      ]);
      assert.equal(await node.exitCode, 1, name);
      assert.match(node.stderr, /token/);
    }
  });

  await t.test('a worker node renders for its main node alone', async () => {
    const [{ address } = { address: '' }] = await farm.workers();
    for (const token of ['', 'guess', DRIVERS]) {
      const slave = new SlaveEmulateClient(plainClient(t, address, token));
      await assert.rejects(slave.render({ ...SIZE, taskCount: 1, requestId: 1n }), isUnauthenticated);
      await assert.rejects(slave.drain({ serial: 1 }), isUnauthenticated);
      await assert.rejects(slave.cancel({ requestId: 1n }), isUnauthenticated);
    }
  });

  const expired = await plainDriver(t, target, { token: DRIVERS });
  await expired.emulate.unRegisterDriver(expired.serial);
  const silent = new TestDriver(new EmulateClient(plainClient(t, target, DRIVERS)));
  await silent.register({ name: 'silent', token: DRIVERS });
  await eventually(
    async () => (await silent.emulate.getPosition({ id: silent.serial })).status?.code !== Code.OK,
  );
  const { serial } = ours.serial;
  const foreign: [string, Serial][] = [
    ['no epoch', { serial, epoch: 0n }],
    ['a guessed epoch', { serial, epoch: 1n }],
    ['nobody’s', { serial: 900, epoch: ours.serial.epoch }],
    ['none', { serial: 0, epoch: 0n }],
    ['one that left', expired.serial],
    ['one that fell silent', silent.serial],
  ];

  await t.test('serials that are not theirs, with the right token and without', async () => {
    for (const token of ['', DRIVERS]) {
      const stranger = new TestDriver(new EmulateClient(plainClient(t, target, token)));
      const { emulate } = stranger;
      for (const [whose, id] of foreign) {
        stranger.serial = id;
        const request = { ...askFor(LIGHTS), requestId: 1n };
        const codes = [
          (await emulate.move({ id, position: { x: 9, y: 9, z: 9 } })).status?.code,
          (await emulate.getPosition({ id })).status?.code,
          (await emulate.heartBeatUser(id)).code,
          (await stranger.render(request)).status?.code,
          (await stranger.stream(request)).status.code,
          (await emulate.cancel({ id, requestId: 1n })).code,
          (await emulate.unRegisterDriver(id)).code,
          (await emulate.heartBeatNode({ serial: id })).code,
          (await emulate.unRegisterNode(id)).code,
        ];
        assert.deepEqual(new Set(codes), new Set([Code.UNAUTHORIZED]), whose);
      }
    }
  });

  await t.test('the same over gRPC', async () => {
    const grpc = plainGrpc(t, listen['grpc']!);
    for (const token of [...wrongTokens, NODES]) {
      const { status } = await grpc.call('RegisterDriver', { name: 'strange', token });
      assert.equal(status?.code, 'UNAUTHORIZED');
    }
    for (const [whose, { serial: number, epoch }] of foreign) {
      const id = { serial: number, epoch: String(epoch) };
      const { status } = await grpc.call('Render', { id, task_count: 1, ...SIZE });
      assert.equal(status?.code, 'UNAUTHORIZED', whose);
      assert.equal((await grpc.call('HeartBeatUser', id)).code, 'UNAUTHORIZED', whose);
      assert.equal((await grpc.call('UnRegisterNode', id)).code, 'UNAUTHORIZED', whose);
    }
  });

  await t.test('the web page', async () => {
    const base = `http://${listen['http']}`;
    const pause = { method: 'POST', body: JSON.stringify({ action: 'cancel', ids: [1] }) };
    for (const headers of [{}, { authorization: 'Bearer guess' }, { authorization: `Bearer ${NODES}` }]) {
      const script = { 'content-type': 'application/json', 'x-reactor-net': '1', ...headers };
      for (const [where, options] of [
        ['/api/v1/farm', {}],
        ['/api/v1/jobs', {}],
        ['/api/v1/jobs/actions', pause],
        ['/api/v1/workers/1/drain', { method: 'POST' }],
      ] as const) {
        const answer = await fetch(`${base}${where}`, { ...options, headers: script });
        assert.equal(answer.status, 401, where);
        assert.equal(((await answer.json()) as { code: string }).code, 'RENDER_UNAUTHORIZED');
      }
    }
    const right = await fetch(`${base}/api/v1/farm`, { headers: { authorization: `Bearer ${DRIVERS}` } });
    assert.equal(right.status, 200);
  });

  // After all of this the farm has done nothing, and those who may come find it as it was.
  assert.equal((await farm.jobs()).total, 0);
  assert.equal(await figure(main, 'dispatched_total'), 0);
  const workers = await farm.workers();
  assert.deepEqual(
    workers.map(({ name, draining }) => [name, draining]),
    [['ours', false]],
  );
  assert.equal(await ours.beat(), Code.OK);
  assert.deepEqual((await ours.emulate.getPosition({ id: ours.serial })).position, HERE);
  await using driver = await RenderDriver.connect({ main: target, token: DRIVERS });
  await takeAll(driver.render({ ...SIZE, lights: LIGHTS }), new OneResultEach(LIGHTS));
});
