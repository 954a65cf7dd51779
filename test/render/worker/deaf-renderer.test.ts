// Renderers that stand still in the middle of an image and are deaf to a cancel and to SIGTERM, under a real main node: they
// are killed and replaced, and nobody but the image that they had waits for it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { addonMissingReason } from '../../../addon/index.js';
import { builtinRenderer, Code, RenderDriver, RenderError, WorkerNode } from '../../../render/index.js';
import { until } from '../../support/until.js';
import { quiet, TestFarm } from '../main/support/test-farm.js';
import { leftovers, NOTHING_LEFT, START_TIMEOUT_MS } from '../support/renderers.js';
import { traced } from '../support/traced.js';
import { QUIET } from './support/started-node.js';

const missing = process.platform === 'linux' ? addonMissingReason() : 'renderers need Linux';
const SIZE = { width: 24, height: 16, samples: 2 };
const LIGHTS = [[0xffffffff], [0x80ff8040], [0x40ffffff]];

test('renderers that hang in each second image are killed after a grace and replaced; a canceled job ends at once, the next is whole', {
  skip: missing ?? false,
}, async (t) => {
  const farm = await TestFarm.start(t, { heartbeatMs: 1000 });
  const node = await WorkerNode.start(
    await quiet(),
    builtinRenderer({ faults: [{ fault: 'hang', at: 2 }] }),
    {
      main: farm.address,
      listen: { host: '127.0.0.1', port: 0 },
      sampleMs: 50,
      pool: {
        min: 1,
        max: 1,
        startTimeoutMs: START_TIMEOUT_MS,
        restartFirstMs: 1,
        restartCapMs: 10,
        restartsPerMinute: 1000,
      },
      tasks: { timeoutMinMs: 1500, timeoutUnknownMs: START_TIMEOUT_MS, graceMs: 500 },
    },
    undefined,
    { load: QUIET },
  );
  t.after(async () => {
    await node.close(1000);
    assert.deepEqual(leftovers(), NOTHING_LEFT);
  });
  const pid = (): number | undefined => farm.main.farm.workers()[0]?.processes[0]?.pid;
  await using driver = await RenderDriver.connect({ main: farm.address });
  assert.equal((await driver.render({ ...SIZE, images: 1 }).outcome()).code, Code.OK);
  await until(() => pid() !== undefined);
  const deaf = pid()!;

  const abandoned = driver.render({ ...SIZE, images: 1, samples: 1 }); // of another kind: nothing is known of how long it takes
  await until(() => node.figures().desk.running === 1);
  await abandoned.cancel();
  await assert.rejects(
    abandoned.summary,
    (error) => error instanceof RenderError && error.code === 'RENDER_CANCELED',
  );
  await until(() => !isThere(deaf));
  await until(() => node.figures().slots === 1 && pid() !== undefined && pid() !== deaf);

  const { code, results } = await driver.render({ ...SIZE, images: 3, lights: LIGHTS }).outcome();
  assert.equal(code, Code.OK);
  for (const [index, result] of results.entries()) {
    assert(result.kind === 'rendered');
    assert.deepEqual(result.pixels, traced({ lights: LIGHTS[index]! }), `image ${index}`);
  }
  const { desk, isDraining } = node.figures();
  assert(desk.timeouts >= 2, 'two of the three images were given to one that hung');
  assert(!isDraining, 'a renderer that was killed here did not die by itself');
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: there is no such process
  }
}
