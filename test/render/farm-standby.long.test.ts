// Two main nodes on one Raft KV, each a process: one serves, the other stands by and takes over, with nothing of a job lost.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FarmClient, type ImageResult, RenderDriver } from '../../render/index.js';
import { Command } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { eventually, startWorker, workerNames } from './support/farm-processes.js';

const IMAGES = 120;
const SIZE = { width: 8, height: 6, samples: 1 };
const TTL_MS = 1500;

interface Pair {
  readonly active: Command;
  readonly standby: Command;
  /** Where either of them is, or will be. */
  readonly target: string;
  readonly addresses: readonly [active: string, standby: string];
}

async function startKv(t: TestContext): Promise<string> {
  const kv = new Command(t, [
    'kv',
    'local',
    '--nodes=3',
    '--base-port=0',
    '--json',
    '--log-level=error',
    `--data=${temporaryFolder(t)}`,
  ]);
  const ready = (await kv.ready()) as unknown as {
    readonly members: readonly { readonly listen: { readonly rpc: string } }[];
  };
  return ready.members.map(({ listen }) => listen.rpc).join();
}

async function startPair(t: TestContext): Promise<Pair> {
  const kv = await startKv(t);
  const start = async (address: string): Promise<Command> => {
    const flags = ['--listen', address, '--kv', kv, '--kv-ttl', `${TTL_MS}ms`, '--data', temporaryFolder(t)];
    const main = new Command(t, ['render', 'main', '--json', '--log-level', 'warn', ...flags]);
    await main.line((line) => line.includes('"standby"'));
    return main;
  };
  const addresses = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`] as const;
  const active = await start(addresses[0]);
  await active.ready();
  const standby = await start(addresses[1]);
  return { active, standby, target: addresses.join(), addresses };
}

/** Renders, and calls `act` once with some of the images here and many still to come. */
async function renderThrough(driver: RenderDriver, act: () => Promise<void>): Promise<void> {
  const indexes: number[] = [];
  let acting: Promise<void> | null = null;
  const job = driver.render({ ...SIZE, images: IMAGES });
  for await (const result of job as AsyncIterable<ImageResult>) {
    assert.equal(result.kind, 'rendered', JSON.stringify(result));
    indexes.push(result.index);
    if (indexes.length >= IMAGES / 4) acting ??= act();
  }
  await acting;
  assert.deepEqual(
    indexes.toSorted((a, b) => a - b),
    Array.from({ length: IMAGES }, (_, index) => index),
    'one result for each image',
  );
}

test('a main node that is killed in mid-job is followed by the standby, which finishes the job', async (t) => {
  const { active, standby, target, addresses } = await startPair(t);
  await startWorker(t, target, '--builtin-instant', '--builtin-sleep', '60ms');
  await using driver = await RenderDriver.connect({ main: target });
  await renderThrough(driver, async () => {
    active.child.kill('SIGKILL');
    await standby.ready();
  });
  const farm = new FarmClient({ main: addresses[1] });
  t.after(() => farm.close());
  assert.equal((await workerNames(farm)).length, 1);
  const { jobs } = await farm.jobs();
  assert.deepEqual([jobs.length, jobs[0]!.done], [1, IMAGES], 'it is the same job');
  assert.equal(await standby.stop(), 0);
});

test('one that is frozen while another takes over keeps nothing when it thaws, and ends with exit code 4', async (t) => {
  const { active, standby, target, addresses } = await startPair(t);
  await startWorker(t, target, '--builtin-instant', '--builtin-sleep', '60ms');
  await using driver = await RenderDriver.connect({ main: target });
  await renderThrough(driver, async () => {
    active.child.kill('SIGSTOP');
    await standby.ready();
    active.child.kill('SIGCONT');
    assert.equal(await active.exitCode, 4, active.stderr);
    assert.match(active.stderr, /another one may have it/);
  });
  const farm = new FarmClient({ main: addresses[1] });
  t.after(() => farm.close());
  const { jobs } = await farm.jobs();
  assert.deepEqual([jobs.length, jobs[0]!.done], [1, IMAGES]);
  await eventually(async () => (await workerNames(farm)).length === 1);
});

test('one that is stopped in order is followed at once, and a standby that is stopped ends with 0', async (t) => {
  const { active, standby, target, addresses } = await startPair(t);
  await startWorker(t, target, '--builtin-instant', '--builtin-sleep', '20ms');
  const stopped = performance.now();
  assert.equal(await active.stop(), 0);
  await standby.ready();
  const tookMs = performance.now() - stopped;
  t.diagnostic(`${Math.round(tookMs)} ms from the signal to the next main node`);
  const farm = new FarmClient({ main: addresses[1] });
  t.after(() => farm.close());
  await eventually(async () => (await workerNames(farm)).length === 1);
  await using driver = await RenderDriver.connect({ main: target });
  await renderThrough(driver, async () => {});
});

test('a standby that is stopped ends at once', async (t) => {
  const { standby } = await startPair(t);
  assert.equal(await standby.stop(), 0);
});
