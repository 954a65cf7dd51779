// A whole farm as people start it: a main node and worker nodes, each a process of its own.

import type { TestContext } from 'node:test';
import { FarmClient } from '../../../render/index.js';
import { removeStaleScratchFolders } from '../../../render/scratch-folder.js';
import { Command } from '../../support/command.js';

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
  const main = new Command(t, ['render', 'main', '--listen', '127.0.0.1:0', '--json', ...flags]);
  t.after(() => removeStaleScratchFolders()); // it is killed by now
  return { main, target: (await main.ready()).listen['rpc']! };
}

/** With built-in renderers; ready once it is registered. */
export async function startWorker(t: TestContext, target: string, ...flags: string[]): Promise<Command> {
  const where = ['--main', target, '--listen', '127.0.0.1:0'];
  const worker = new Command(t, [
    'render',
    'worker',
    ...where,
    '--min',
    '2',
    '--max',
    '2',
    '--json',
    ...flags,
  ]);
  await worker.ready();
  return worker;
}

export async function startFarm(
  t: TestContext,
  { mainFlags = [], workerFlags = [] }: { mainFlags?: string[]; workerFlags?: string[] } = {},
): Promise<FarmProcesses> {
  const { main, target } = await startMain(t, ...mainFlags);
  const worker = await startWorker(t, target, ...workerFlags);
  const farm = new FarmClient({ main: target });
  t.after(() => farm.close());
  return { target, main, workers: [worker], farm };
}
