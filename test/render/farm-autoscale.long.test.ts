// A worker node that starts and stops renderers as work comes and goes, under a load of the machine that is scripted:
// images of a real main node, real renderer processes, and no image that is lost or rendered for nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonMissingReason } from '../../addon/index.js';
import { type FarmClient, RenderDriver } from '../../render/index.js';
import { removeStaleScratchFolders } from '../../render/scratch-folder.js';
import { Command } from '../support/command.js';
import { figure } from './support/farm-figures.js';
import { eventually, startFarm, workerNames } from './support/farm-processes.js';
import { OneResultEach, takeAll } from './support/one-result.js';
import type { ScriptedLoad, WorkerLook } from './support/scripted-worker-node.js';
import { lightsFor } from './support/traced.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const skip: string | false = missing ?? false;
const PROGRAM: string = fileURLToPath(new URL('./support/scripted-worker-node.js', import.meta.url));
const MOST = 3;
/** Looks with images that wait: far more than it takes to start a renderer when nothing holds it back. */
const LOOKS = 25;
const NEAR = 0.02;
const WAVE = 120;
/** Of images that take some CPU time, so that renderers are seen to use it. */
const SIZE = { width: 48, height: 32, samples: 4 } as const;

/** The renderers use all of it: with so few cores, whatever they use is. */
const RENDERING: ScriptedLoad = { cpu: 0.85, cores: 0.001, memory: 0.1 };
const OTHERS: ScriptedLoad = { cpu: 0.9, cores: 1e6, memory: 0.1 };
const QUIET: ScriptedLoad = { cpu: 0.1, cores: 1e6, memory: 0.1 };
const FULL: ScriptedLoad = { cpu: 0.1, cores: 1e6, memory: 0.85 };
const OTHERS_AND_FULL: ScriptedLoad = { ...OTHERS, memory: 0.85 };
const PRESSED: ScriptedLoad = { cpu: 0.1, cores: 1e6, memory: 0.95 };

class ScriptedNode {
  readonly command: Command;

  private constructor(command: Command) {
    this.command = command;
  }

  static async start(t: TestContext, target: string, guard: 'demand' | 'strict'): Promise<ScriptedNode> {
    const args = [target, guard, '1', String(MOST), '150'];
    const node = new ScriptedNode(new Command(t, args, {}, PROGRAM, 'pipe'));
    t.after(() => removeStaleScratchFolders()); // of its renderers, when it was killed
    await node.command.line((line) => line.includes('"slots"'));
    return node;
  }

  get looks(): WorkerLook[] {
    return this.command.lines.map((line) => JSON.parse(line) as WorkerLook); // the program prints nothing else
  }

  tell(load: ScriptedLoad): void {
    this.command.child.stdin!.write(`${JSON.stringify(load)}\n`);
  }

  /** Resolves once its smoothed figures say so, too. */
  async settle(load: ScriptedLoad): Promise<void> {
    this.tell(load);
    await eventually(async () => {
      const { cpu, memory } = this.looks.at(-1)!; // it has printed one
      return Math.abs(cpu - load.cpu) < NEAR && Math.abs(memory - load.memory) < NEAR;
    });
  }

  /** How many renderers take work once there are so many. */
  async until(slots: number): Promise<void> {
    await eventually(async () => {
      const last = this.looks.at(-1)!; // it began with one
      return last.slots === slots && last.starting === 0 && last.children === slots;
    });
  }

  /** Its looks from now on, until images have waited in so many of them. */
  async waitingLooks(count: number): Promise<WorkerLook[]> {
    const from = this.command.lines.length;
    await eventually(async () => this.looks.slice(from).filter(({ queued }) => queued > 0).length >= count);
    return this.looks.slice(from);
  }

  async stop(): Promise<void> {
    this.command.child.stdin!.end();
    assert.equal(await this.command.exitCode, 0, this.command.stderr);
    for (const { slots, starting, children } of this.looks)
      assert(slots + starting <= MOST && children <= MOST, `${slots} + ${starting}, ${children} processes`);
  }
}

/** Begins a job so large that it lasts; to be followed by `end`. */
function begin(driver: RenderDriver, images: number): { end: Promise<bigint>; begun: Promise<unknown> } {
  const lights = lightsFor(images);
  const job = driver.render({ ...SIZE, lights });
  let first: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    first = resolve;
  });
  const end = takeAll(job, new OneResultEach(lights, { size: SIZE }), () => first());
  return { end, begun: Promise.race([begun, end]) };
}

/** Nothing of a job was rendered twice or tried again. */
async function checkOnce(farm: FarmClient, id: bigint, images: number): Promise<void> {
  const { job } = await farm.job(id, { images: false });
  assert.deepEqual([job.done, job.failed, job.retries], [images, 0, 0]);
}

test('guard demand: what renderers use of the CPU starts more of them, what others use does not', {
  skip,
}, async (t) => {
  const { target, main, farm } = await startFarm(t, {
    workers: 0,
    mainFlags: ['--metrics', '127.0.0.1:0'],
  });
  const node = await ScriptedNode.start(t, target, 'demand');
  await using driver = await RenderDriver.connect({ main: target });
  const images = 400;

  // Others use the CPU, then the memory is full, one reason not being gone before the other is there: one renderer it is.
  await node.settle(OTHERS);
  const { begun, end } = begin(driver, images);
  await begun;
  for (const load of [OTHERS, OTHERS_AND_FULL, FULL]) {
    await node.settle(load);
    const held = await node.waitingLooks(LOOKS);
    assert(held.every(({ slots, starting }) => slots + starting === 1));
  }
  // The renderers use all of it: as many as there may be.
  node.tell(RENDERING);
  await node.until(MOST);
  await node.waitingLooks(10);
  // The machine runs out of memory: they go, busy as they are.
  node.tell(PRESSED);
  await node.until(1);
  node.tell(RENDERING);
  await checkOnce(farm, await end, images);
  // Nothing to do: the idle ones go. Work again: they come again.
  node.tell(QUIET);
  await node.until(1);
  for (let wave = 0; wave < 2; wave += 1) {
    const again = begin(driver, WAVE);
    await node.until(MOST);
    await checkOnce(farm, await again.end, WAVE);
    await node.until(1);
  }
  assert.equal(await figure(main, 'images_rendered_total'), images + 2 * WAVE);
  assert.equal(await figure(main, 'losses_total'), 0);
  await node.stop();
});

test('guard strict: a busy CPU starts no more, whoever makes it busy, and a full one ends some', {
  skip,
}, async (t) => {
  const { target, farm } = await startFarm(t, { workers: 0 });
  const node = await ScriptedNode.start(t, target, 'strict');
  await using driver = await RenderDriver.connect({ main: target });
  const images = 200;
  await node.settle(RENDERING);
  const { begun, end } = begin(driver, images);
  await begun;
  const held = await node.waitingLooks(LOOKS);
  assert(held.every(({ slots, starting }) => slots + starting === 1));
  node.tell(QUIET);
  await node.until(MOST);
  node.tell({ ...RENDERING, cpu: 0.99 });
  await node.until(1);
  assert((await node.waitingLooks(5)).every(({ slots }) => slots === 1));
  await checkOnce(farm, await end, images);
  await node.stop();
});

test('a node that is killed while it grows loses no image', { skip }, async (t) => {
  const { target, farm } = await startFarm(t, { workers: 0 });
  const growing = await ScriptedNode.start(t, target, 'demand');
  const other = await ScriptedNode.start(t, target, 'strict');
  await using driver = await RenderDriver.connect({ main: target });
  const { end } = begin(driver, 60);
  await eventually(async () => growing.looks.at(-1)!.starting > 0 || growing.looks.at(-1)!.slots > 1);
  growing.command.child.kill('SIGKILL');
  await once(growing.command.child, 'close');
  const { job } = await farm.job(await end, { images: false });
  assert.deepEqual([job.done, job.failed], [60, 0]);
  await eventually(async () => (await workerNames(farm)).join() === 'strict');
  await other.stop();
});
