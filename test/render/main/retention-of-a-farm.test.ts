// How long, and how much of, what was rendered is kept by a real main node, on disk and over a restart.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  Code,
  ErrCode,
  FarmClient,
  type ImageResult,
  type MainClock,
  MainNode,
  type MainNodeOptions,
  RenderError,
} from '../../../render/index.js';
import { systemMainClock } from '../../../render/main/main-clock.js';
import { EmulateClient } from '../../../render/proto/render.js';
import { RpcClient } from '../../../rpc/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { ScriptedWorker } from './support/scripted-worker.js';
import { quiet, TestDriver } from './support/test-farm.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How often a main node looks after what it keeps. */
const SWEEP_MS = 1000;
/** Nobody is missed in these tests, and nothing else than sweeping takes a second. */
const HEARTBEAT_MS = 1_000_000_000;
/** Of one image of `TestDriver`: 4 × 3, one byte each. */
const IMAGE_BYTES = 12;

/** The time of the machine and as much more as the test lets pass. It sweeps when the test says so. */
class SteppedClock implements MainClock {
  #passedMs = 0;
  #sweep: (() => void) | null = null;

  nowMs(): number {
    return systemMainClock.nowMs() + this.#passedMs;
  }

  after(delayMs: number, task: () => void): () => void {
    if (delayMs !== SWEEP_MS) return systemMainClock.after(delayMs, task);
    this.#sweep = task;
    return () => {
      this.#sweep = null;
    };
  }

  pass(ms: number): void {
    this.#passedMs += ms;
    const sweep = this.#sweep;
    assert(sweep !== null, 'a main node is there, and waits to sweep');
    sweep();
  }
}

interface Kept {
  readonly clock: SteppedClock;
  readonly main: MainNode;
  readonly driver: TestDriver;
  readonly worker: ScriptedWorker;
  readonly client: FarmClient;
}

async function start(
  t: TestContext,
  options: MainNodeOptions,
  clock: SteppedClock = new SteppedClock(),
): Promise<Kept> {
  const listen = { host: '127.0.0.1', port: 0 };
  const main = await MainNode.start(
    await quiet(),
    { listen, heartbeatMs: HEARTBEAT_MS, ...options },
    { clock },
  );
  t.after(() => main.close(0));
  const worker = await ScriptedWorker.start(main.addresses.rpc, { slots: 4 });
  t.after(() => worker.die());
  const rpc = new RpcClient({ target: main.addresses.rpc, timeoutMs: MINUTE, retry: { attemptsMax: 1 } });
  t.after(() => rpc.close(0));
  const driver = new TestDriver(new EmulateClient(rpc));
  assert.equal(await driver.register(), Code.OK);
  const client = new FarmClient({ main: main.addresses.rpc });
  t.after(() => client.close());
  return { clock, main, driver, worker, client };
}

async function fetched(client: FarmClient, job: bigint): Promise<ImageResult[]> {
  const images: ImageResult[] = [];
  for await (const image of client.fetch(job)) images.push(image);
  return images;
}

test('images are kept for an hour and the job for a day, over a restart as well', async (t) => {
  const dataDir = temporaryFolder(t);
  const first = await start(t, { dataDir });
  const { clock, driver } = first;
  const rendered = await driver.stream({ taskCount: 3, requestId: 1n, detached: true });
  const file = path.join(dataDir, 'results', 'job-1.pixels');
  const { finishedAtMs, expiresAtMs } = first.main.farm.job(1);
  assert.equal(expiresAtMs, finishedAtMs! + HOUR);
  clock.pass(59 * MINUTE);
  const kept = await fetched(first.client, 1n);
  assert.deepEqual(
    kept.map((image) => (image.kind === 'rendered' ? Buffer.from(image.pixels) : null)),
    [0, 1, 2].map((index) => rendered.images.get(index)),
  );
  assert(existsSync(file));
  await first.main.close(0);

  const second = await start(t, { dataDir }, clock);
  second.driver.serial = driver.serial;
  assert.equal(second.main.farm.job(1).expiresAtMs, expiresAtMs);
  const again = await second.driver.stream({ taskCount: 3, requestId: 1n });
  assert.deepEqual([again.job, second.worker.requests.length], [1n, 0], 'from what was kept');
  clock.pass(2 * MINUTE);
  for (const image of await fetched(second.client, 1n)) {
    assert(image.kind === 'missing');
    assert.deepEqual([image.code, image.error], [ErrCode.EC_NO_OUTPUT, 'its pixels are not kept any more']);
  }
  assert.equal(second.main.figures().resultBytes, 0);
  await until(() => !existsSync(file));
  const [requeued] = await second.client.requeue([1n]);
  assert.match(requeued!.error, /the images of job 1 are not kept any more/);
  const anew = await second.driver.stream({ taskCount: 3, requestId: 1n });
  assert.deepEqual([anew.job, anew.images.size], [2n, 3], 'who asks again has them rendered again');

  clock.pass(22 * HOUR);
  assert.equal((await second.client.job(1n)).job.done, 3, 'what became of it is known');
  clock.pass(1.5 * HOUR);
  await assert.rejects(
    second.client.job(1n),
    (error) => error instanceof RenderError && error.code === 'RENDER_NOT_FOUND',
  );
  await second.main.close(0);
  const third = await start(t, { dataDir }, clock);
  assert.deepEqual(
    third.main.farm.jobs().jobs.map(({ id }) => id),
    [2],
    'forgotten is forgotten',
  );
});

test('of more images than are kept the oldest go, those of unfinished jobs never; what cannot be kept is refused', async (t) => {
  const { main, driver, worker, client } = await start(t, {
    resultBytesMax: 10 * IMAGE_BYTES,
    resultMemoryBytes: 3 * IMAGE_BYTES,
  });
  const ask = async (taskCount: number): Promise<bigint> => {
    const { status, job } = await driver.stream({ taskCount });
    assert.equal(status.code, Code.OK, status.message);
    return job;
  };
  const [oldest, middle] = [await ask(5), await ask(5)];
  assert.equal(main.figures().resultBytes, 10 * IMAGE_BYTES);
  const newest = await ask(3);
  const kinds = async (job: bigint): Promise<string[]> => [
    ...new Set((await fetched(client, job)).map(({ kind }) => kind)),
  ];
  assert.deepEqual(await kinds(oldest), ['missing']);
  assert.deepEqual(await kinds(middle), ['rendered']);
  assert.deepEqual(await kinds(newest), ['rendered']);
  assert.equal(main.figures().resultBytes, 8 * IMAGE_BYTES);

  const never = await driver.stream({ taskCount: 11 });
  assert.equal(never.status.code, Code.INVALID_ARGUMENT);
  assert.match(never.status.message, /132 bytes; 120 are kept in all/);
  worker.hold();
  const open = driver.stream({ taskCount: 8 });
  await until(() => main.farm.jobs().jobs[0]!.images === 8);
  const full = await driver.stream({ taskCount: 3 });
  assert.equal(full.status.code, Code.OVERLOAD);
  assert(full.status.retryAfterMs > 0);
  worker.release();
  assert.equal((await open).images.size, 8);
  assert.deepEqual(await kinds(newest), ['missing'], 'it went for the one with eight');
  await ask(3);
});
