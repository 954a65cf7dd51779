// A worker node and what it answers: in this process, with a scripted main node and the built-in renderer.

import assert from 'node:assert/strict';
import test from 'node:test';

import { builtinRenderer, Code, ErrCode, PixelFormat } from '../../../render/index.js';
import { DIM, WHITE } from '../support/renderers.js';
import { startNode } from './support/started-node.js';

test('a node registers, beats, renders, and says good-bye', async (t) => {
  const { main, node } = await startNode(t, {
    name: 'alpha',
    tags: ['gpu'],
    weight: 3,
    token: '',
    pool: { min: 2 },
  });
  const [info] = main.infos;
  assert.deepEqual(
    [info?.name, info?.tags, info?.weight, info?.slots, info?.version],
    ['alpha', ['gpu'], 3, 2, 'builtin 1'],
  );
  assert.equal(`${info?.accessUrl}:${info?.accessPort}`, node.address);
  const beat = await main.beatThat(({ processes }) => processes.length === 2);
  assert.equal(beat.load?.slots, 2);
  assert.equal(beat.load?.draining, false);
  assert(beat.processes.every(({ rssBytes, pid }) => rssBytes > 0n && pid > 0));

  const request = main.request({ taskCount: 5, firstIndex: 10, lights: [WHITE, DIM, WHITE, WHITE, DIM] });
  const { images, statuses, code } = await main.render(request);
  assert.equal(code, Code.OK);
  assert.deepEqual(new Set(images.keys()), new Set([10, 11, 12, 13, 14]));
  assert.deepEqual(images.get(10), images.get(12));
  assert.deepEqual(images.get(11), images.get(14));
  assert.notDeepEqual(images.get(10), images.get(11));
  for (const { attempts, times, error } of statuses.values()) {
    assert.deepEqual([attempts, error], [1, '']);
    // Of the way there and back, either may take no time that could be told from rendering.
    assert(times !== undefined && times.renderUs > 0 && times.shmRequestUs + times.shmReplyUs > 0);
  }
  assert.equal(await node.close(), true);
  assert.deepEqual(main.gone, [main.serial]);
});

test('an image above a piece comes in several, a missing one has its place in zeros', async (t) => {
  const renderer = builtinRenderer({ instant: true, faults: [{ fault: 'error', at: 2 }] });
  const { main } = await startNode(t, { renderer, tasks: { retriesMax: 0 } });
  const large = main.request({ taskCount: 2, width: 1200, height: 1000, format: PixelFormat.RGBA8 });
  const { images, statuses, code, pieces } = await main.render(large);
  assert.equal(code, Code.PARTIAL);
  assert.equal(pieces.length, 6);
  const pixels = images.get(0)!;
  assert.equal(pixels.length, 1200 * 1000 * 4);
  assert(pixels.every((byte) => byte === 255));
  assert.equal(statuses.get(1)?.code, ErrCode.EC_RENDER_FAILED);
  assert.match(statuses.get(1)!.error, /as it was told to/);
});
