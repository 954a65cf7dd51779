// A worker node in the test's process, with the built-in renderer and a scripted main node; nothing of it is left after the test.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

import { createLogger } from '../../../../reactor/index.js';
import {
  builtinRenderer,
  type LoadSource,
  type Renderer,
  WorkerNode,
  type WorkerNodeOptions,
} from '../../../../render/index.js';
import { leftovers, NOTHING_LEFT, START_TIMEOUT_MS } from '../../support/renderers.js';
import { ScriptedMain } from './scripted-main.js';

export interface Started {
  readonly main: ScriptedMain;
  readonly node: WorkerNode;
}

/** A machine on which nothing else goes on. */
export const QUIET: LoadSource = {
  stat: () => '',
  meminfo: () => '',
  gpus: () => Promise.resolve(null),
  cores: 4,
};

const nodes = new WeakMap<TestContext, WorkerNode[]>();

export async function startNode(
  t: TestContext,
  options: WorkerNodeOptions & { renderer?: Renderer; load?: LoadSource } = {},
  main?: ScriptedMain,
): Promise<Started> {
  const { renderer = builtinRenderer(), load = QUIET, pool = {}, ...rest } = options;
  const scripted = main ?? (await ScriptedMain.start(t));
  const logger = await createLogger({ level: 'silent' });
  const node = await WorkerNode.start(
    logger,
    renderer,
    {
      main: scripted.address,
      listen: { host: '127.0.0.1', port: 0 },
      sampleMs: 50,
      pool: {
        min: 1,
        startTimeoutMs: START_TIMEOUT_MS,
        graceMs: 2000,
        restartFirstMs: 1,
        restartCapMs: 10,
        ...pool,
      },
      ...rest,
    },
    undefined,
    { load },
  );
  const others = nodes.get(t);
  if (others === undefined) {
    const all = [node];
    nodes.set(t, all);
    t.after(async () => {
      await Promise.all(all.map((one) => one.close(1000)));
      assert.deepEqual(leftovers(), NOTHING_LEFT);
    });
  } else {
    others.push(node);
  }
  return { main: scripted, node };
}
