// A whole farm as people start it: a main node and worker nodes, each a process of its own. And what tests wait for in it.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { FarmClient } from '../../../render/index.js';
import { removeStaleScratchFolders } from '../../../render/scratch-folder.js';
import { Command } from '../../support/command.js';

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

export interface FarmProcesses {
  /** RPC address of the main node. */
  readonly target: string;
  readonly main: Command;
  readonly workers: readonly Command[];
  readonly farm: FarmClient;
}

export async function startMain(
  t: TestContext,
  ...flags: string[]
): Promise<{ main: Command; target: string }> {
  const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const main = new Command(t, ['render', 'main', ...listen, '--json', ...flags]);
  t.after(() => removeStaleScratchFolders()); // it is killed by now
  return { main, target: (await main.ready()).listen['rpc']! };
}

/** With built-in renderers, two unless the flags say otherwise; ready once it is registered. */
export async function startWorker(t: TestContext, target: string, ...flags: string[]): Promise<Command> {
  const where = ['--main', target, '--listen', '127.0.0.1:0'];
  const worker = new Command(t, [
    'render',
    'worker',
    ...where,
    ...(flags.includes('--min') ? [] : ['--min', '2', '--max', '2']),
    '--json',
    ...flags,
  ]);
  t.after(() => removeStaleScratchFolders()); // of its renderers, when it was killed
  await worker.ready();
  return worker;
}

export async function startFarm(
  t: TestContext,
  {
    workers: count = 1,
    mainFlags = [],
    workerFlags = [],
  }: { workers?: number; mainFlags?: string[]; workerFlags?: string[] } = {},
): Promise<FarmProcesses> {
  const { main, target } = await startMain(t, ...mainFlags);
  const workers = await Promise.all(
    Array.from({ length: count }, () => startWorker(t, target, ...workerFlags)),
  );
  const farm = new FarmClient({ main: target });
  t.after(() => farm.close());
  return { target, main, workers, farm };
}

/** Looks again until it holds; fails after a minute. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > untilMs) assert.fail(`did not come about: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Names of the worker nodes that the main node knows, in their order. */
export async function workerNames(farm: FarmClient): Promise<string[]> {
  return (await farm.workers()).map(({ name }) => name).toSorted();
}

export async function jobState(farm: FarmClient, id: bigint): Promise<number> {
  return (await farm.job(id, { images: false })).job.state;
}
