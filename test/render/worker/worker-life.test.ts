// The life of a worker node beside its main node: registered, forgotten, alone, draining, growing and shrinking.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { createLogger } from '../../../reactor/index.js';
import {
  builtinRenderer,
  Code,
  type LoadSource,
  SlaveEmulateClient,
  WorkerNode,
} from '../../../render/index.js';
import { connectRegistry, RegistryServer, RpcClient, RpcError } from '../../../rpc/index.js';
import { AUTHORITY, SERVER_CERT, SERVER_KEY } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { ScriptedMain } from './support/scripted-main.js';
import { QUIET, startNode } from './support/started-node.js';

test('a node that the main node has forgotten gives up what it had, and registers again', async (t) => {
  const { main, node } = await startNode(t, { renderer: builtinRenderer({ sleepMs: 600_000 }) });
  const before = main.serial;
  const request = main.request();
  const answer = main.render(request);
  await main.beatThat(({ runningTasks }) => runningTasks.includes(request.requestId));
  main.forget();
  assert.equal((await answer).code, Code.CANCELED);
  await until(() => main.infos.length === 2);
  const beat = await main.beatThat(({ serial }) => serial?.epoch === main.serial.epoch);
  assert.deepEqual(beat.runningTasks, []);
  assert.notEqual(main.serial.epoch, before.epoch);
  // The same number may be that of another attempt now.
  const again = main.render(request);
  await until(() => node.figures().desk.running === 1);
  await main.node().slave.cancel({ id: main.serial, requestId: request.requestId });
  assert.equal((await again).code, Code.CANCELED);
  assert.equal(node.figures().registrations, 2);
});

test('a main node that is away is asked again until it is there, and told anew who this is', async (t) => {
  const { main, node } = await startNode(t);
  await main.stop();
  await until(() => !node.figures().isRegistered);
  await main.listen();
  await until(() => main.infos.length === 2);
  await until(() => node.figures().isRegistered);
  assert.equal((await main.render(main.request())).code, Code.OK);
});

test('a node waits at its start for a main node that comes later, or has no room yet', async (t) => {
  const main = await ScriptedMain.start(t);
  await main.stop();
  main.registering = Code.EXHAUSTED;
  const starting = startNode(t, {}, main);
  await main.listen();
  await until(() => main.infos.length >= 2);
  main.registering = Code.OK;
  const { node } = await starting;
  assert.equal(node.figures().isRegistered, true);
});

test('a node that the main node does not want fails to start', async (t) => {
  const main = await ScriptedMain.start(t);
  main.registering = Code.UNAUTHORIZED;
  await assert.rejects(startNode(t, {}, main), {
    code: 'RENDER_UNAUTHORIZED',
    message: /as the script says/,
  });
  main.registering = Code.VERSION_MISMATCH;
  await assert.rejects(startNode(t, {}, main), { code: 'RENDER_VERSION_MISMATCH' });
  const logger = await createLogger({ level: 'silent' });
  const neither = WorkerNode.start(logger, builtinRenderer(), {});
  await assert.rejects(neither, { code: 'RENDER_OPTION_INVALID', message: /main/ });
});

test('a start can be broken off while nobody answers', async (t) => {
  const main = await ScriptedMain.start(t);
  await main.stop();
  const stop = new AbortController();
  const logger = await createLogger({ level: 'silent' });
  const options = { main: main.address, listen: { host: '127.0.0.1', port: 0 }, pool: { min: 1 } };
  const starting = WorkerNode.start(logger, builtinRenderer(), options, stop.signal);
  stop.abort();
  await assert.rejects(starting, { code: 'RENDER_CLOSED' });
});

test('a draining node finishes what it has, takes nothing new, and says so', async (t) => {
  const { main, node } = await startNode(t, { renderer: builtinRenderer({ sleepMs: 300 }) });
  const { slave } = main.node();
  const request = main.request({ taskCount: 2 });
  const answer = main.render(request, slave);
  await until(() => node.figures().desk.running === 1);
  const closing = node.close(60_000);
  await main.beatThat(({ load }) => load?.draining === true);
  const refused = await main.render(main.request(), slave);
  assert.deepEqual([refused.code, refused.message], [Code.OVERLOAD, 'this node is draining']);
  const { code, images } = await answer;
  assert.deepEqual([code, images.size], [Code.OK, 2]);
  assert.equal(await closing, true);
  assert.deepEqual(main.gone, [main.serial]);
});

test('what is not finished when the drain ends is cut, and that is said', async (t) => {
  const { main, node } = await startNode(t, { renderer: builtinRenderer({ sleepMs: 600_000 }) });
  const answer = main.render(main.request());
  await until(() => node.figures().desk.running === 1);
  assert.equal(await node.close(100), false);
  assert.equal((await answer).code, Code.CANCELED);
});

test('the main node may ask a node to drain: it ends when it has', async (t) => {
  const { main, node } = await startNode(t);
  const { slave } = main.node();
  const { serial, epoch } = main.serial;
  assert.equal((await slave.drain({ serial, epoch: epoch + 1n })).code, Code.UNAUTHORIZED);
  assert.equal((await slave.drain(main.serial)).code, Code.OK);
  assert.deepEqual(await node.ended, { kind: 'drained' });
  assert.equal((await main.render(main.request(), slave)).code, Code.OVERLOAD);
});

test('whoever shows no token is turned away', async (t) => {
  const { main } = await startNode(t, { token: 'open sesame' });
  assert.equal(main.infos[0]?.token, 'open sesame');
  await assert.rejects(main.render(main.request(), main.node('').slave), /token|authenticat/i);
  assert.equal((await main.render(main.request(), main.node('open sesame').slave)).code, Code.OK);
});

test('with certificates both ways, strangers get nowhere', async (t) => {
  const folder = temporaryFolder(t);
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const tls = {
    certFile: write('cert.pem', SERVER_CERT),
    keyFile: write('key.pem', SERVER_KEY),
    caFile: write('ca.pem', AUTHORITY),
  };
  const main = await ScriptedMain.start(t, tls);
  await startNode(t, { tls }, main);
  assert.equal((await main.render(main.request())).code, Code.OK);
  const stranger = new RpcClient({ target: main.nodeAddress, retry: { attemptsMax: 1 }, timeoutMs: 2000 });
  t.after(() => stranger.close(0));
  await assert.rejects(main.render(main.request(), new SlaveEmulateClient(stranger)), RpcError);
});

test('a registry tells where the main node is', async (t) => {
  const main = await ScriptedMain.start(t);
  const logger = await createLogger({ level: 'silent' });
  const registry = await RegistryServer.start(logger, { host: '127.0.0.1', port: 0 });
  const client = connectRegistry(registry.addresses.rpc);
  t.after(async () => {
    await client.close();
    await registry.close(0);
  });
  const [host = '', port] = main.address.split(':');
  client.register({ host, port: Number(port), services: [{ service: 'blendersim.Emulate', version: '1' }] });
  const { node } = await startNode(t, { main: null, registry: registry.addresses.rpc }, main);
  assert.equal(main.infos.length, 1);
  assert.equal((await main.render(main.request())).code, Code.OK);
  assert.equal(node.figures().isRegistered, true);
});

/** Renderers are added and taken away within a test, not within minutes. */
const FAST = { demandMs: 100, coolDownMs: 100, idleMs: 300, pressureMs: 100 } as const;

test('renderers become more while images wait, and fewer when they have nothing to do', async (t) => {
  const { main, node } = await startNode(t, {
    renderer: builtinRenderer({ sleepMs: 600_000 }),
    pool: { min: 1, max: 3 },
    autoscaler: FAST,
  });
  const { slave } = main.node();
  const requests = Array.from({ length: 2 }, () => main.request({ taskCount: 4 }));
  const answers = requests.map((request) => main.render(request, slave));
  await until(() => node.figures().slots === 3);
  const beat = await main.beatThat(({ load }) => load?.slots === 3);
  assert.equal(beat.load?.slotsMax, 3);
  assert.equal(beat.load?.running, 3);
  for (const { requestId } of requests) await slave.cancel({ requestId });
  await Promise.all(answers);
  await until(() => node.figures().slots === 1 && node.figures().starting === 0);
  await main.beatThat(({ processes }) => processes.length === 1);
});

test('a machine short of memory gets no further renderer, however much waits', async (t) => {
  const load: LoadSource = {
    ...QUIET,
    meminfo: () => 'MemTotal:       1000 kB\nMemAvailable:   150 kB\n',
  };
  const { main, node } = await startNode(t, {
    load,
    renderer: builtinRenderer({ sleepMs: 600_000 }),
    pool: { min: 1, max: 2 },
    autoscaler: FAST,
    smoothing: 'average',
  });
  const { slave } = main.node();
  const request = main.request({ taskCount: 8 });
  const answer = main.render(request, slave);
  await until(() => node.figures().desk.queued === 7);
  const beats = main.beats.length;
  await until(() => main.beats.length > beats + 20); // more than enough time to start one
  assert.equal(node.figures().slots + node.figures().starting, 1);
  await slave.cancel({ requestId: request.requestId });
  await answer;
});
