// `render up`: a whole farm as child processes, which render and then end together.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { FarmClient } from '../../render/proto/farm.js';
import { Code, EmulateClient } from '../../render/proto/render.js';
import { RpcClient } from '../../rpc/index.js';

const LAUNCHER = fileURLToPath(new URL('../../../bin/reactor-net.js', import.meta.url));

interface Ready {
  readonly event: string;
  readonly main: string;
  readonly workers: readonly { readonly pid: number; readonly listen: { readonly rpc: string } }[];
}

test('render up brings a main node and its worker nodes, which render and end together', async () => {
  const child = spawn(
    process.execPath,
    [
      LAUNCHER,
      'render',
      'up',
      '--workers',
      '2',
      '--min',
      '1',
      '--max',
      '1',
      '--listen',
      '127.0.0.1:0',
      '--http',
      '127.0.0.1:0',
      '--json',
      '--log-level',
      'error',
    ],
    // Its children are started with flags: of the environment they see nothing.
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, REACTOR_NET_NAME: 'nobody' } },
  );
  const ended = once(child, 'close');
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ready = JSON.parse((await lines.next()).value as string) as Ready; // its first line
    assert.equal(ready.event, 'ready');
    assert.equal(ready.workers.length, 2);
    const client = new RpcClient({ target: ready.main, timeoutMs: 60_000 });
    try {
      const names = (await new FarmClient(client).listWorkers({})).workers.map(({ name }) => name);
      assert.deepEqual(names.toSorted(), ['worker 1', 'worker 2']);
      const emulate = new EmulateClient(client);
      const { serial } = await emulate.registerDriver({ name: 'test' });
      const size = { width: 16, height: 16, samples: 1 };
      const { status, imgs } = await emulate.render({ id: serial ?? {}, taskCount: 4, ...size });
      assert.equal(status?.code, Code.OK, status?.message);
      assert.equal(imgs.length, 4 * 256);
    } finally {
      await client.close(0);
    }
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    for (const { pid } of ready.workers) assert.throws(() => process.kill(pid, 0), /ESRCH/);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
});
