// Scenes on a worker node: fetched once, checked, kept within the quota, found again after a restart.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type TestContext } from 'node:test';

import { createLogger } from '../../../reactor/index.js';
import { builtinRenderer, Code, ErrCode } from '../../../render/index.js';
import { SceneCache, type SceneFetch } from '../../../render/worker/scene-cache.js';
import { RpcError } from '../../../rpc/index.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { startNode } from './support/started-node.js';

const NEVER: AbortSignal = new AbortController().signal;

function sceneOf(text: string, bytes: number): { sha256: string; content: Buffer } {
  const content = Buffer.alloc(bytes, text);
  return { content, sha256: createHash('sha256').update(content).digest('hex') };
}

class Source {
  readonly contents: Map<string, Buffer> = new Map();
  readonly asked: string[] = [];

  add(text: string, bytes: number): string {
    const { sha256, content } = sceneOf(text, bytes);
    this.contents.set(sha256, content);
    return sha256;
  }

  readonly fetch: SceneFetch = (sha256) => this.#parts(sha256);

  async *#parts(
    sha256: string,
  ): ReturnType<SceneFetch> extends AsyncIterable<infer Part> ? AsyncGenerator<Part> : never {
    this.asked.push(sha256);
    const content = this.contents.get(sha256);
    if (content === undefined) throw new RpcError('RPC_NOT_FOUND', 'no such scene');
    const half = Math.ceil(content.length / 2);
    yield { sha256, bytes: BigInt(content.length), data: content.subarray(0, half) };
    yield { sha256: '', bytes: 0n, data: content.subarray(half) };
  }
}

async function openCache(
  t: TestContext,
  { fetch }: Pick<Source, 'fetch'>,
  folder: string | null,
  bytesMax: number,
): Promise<SceneCache> {
  const cache = await SceneCache.open(await createLogger({ level: 'silent' }), fetch, { folder, bytesMax });
  t.after(() => cache.close());
  return cache;
}

test('a scene is fetched once, however many want it at the same time', async (t) => {
  const source = new Source();
  const scene = source.add('cube', 1000);
  const cache = await openCache(t, source, null, 10_000);
  const paths = await Promise.all([1, 2, 3].map(() => cache.acquire(scene, NEVER)));
  assert.equal(new Set(paths).size, 1);
  assert.deepEqual(await readFile(paths[0]!), source.contents.get(scene));
  assert.deepEqual(source.asked, [scene]);
});

test('what is used makes no room; of the rest what was used longest ago goes first', async (t) => {
  const source = new Source();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((text) => source.add(text, 400)) as [
    string,
    string,
    string,
    string,
  ];
  const folder = temporaryFolder(t);
  const cache = await openCache(t, source, folder, 1000);
  await cache.acquire(a, NEVER);
  await cache.acquire(b, NEVER);
  cache.release(b);
  await cache.acquire(c, NEVER);
  assert.deepEqual(await scenesIn(folder), [a, c].toSorted(), 'b made room, for a is used');
  await assert.rejects(cache.acquire(d, NEVER), { code: 'RENDER_QUEUE_FULL' });
  cache.release(a);
  cache.release(c);
  await cache.acquire(a, NEVER);
  cache.release(a);
  await cache.acquire(d, NEVER);
  assert.deepEqual(await scenesIn(folder), [a, d].toSorted(), 'a was used after c');
  assert.deepEqual(cache.figures, { scenes: 2, bytes: 800, fetches: 4 });
  const large = source.add('large', 1001);
  await assert.rejects(cache.acquire(large, NEVER), { code: 'RENDER_QUEUE_FULL' });
});

test('what is not what its name says is not kept', async (t) => {
  const source = new Source();
  const scene = source.add('right', 100);
  source.contents.set(scene, Buffer.alloc(100, 'wrong'));
  const folder = temporaryFolder(t);
  const cache = await openCache(t, source, folder, 1000);
  await assert.rejects(cache.acquire(scene, NEVER), { code: 'RENDER_IO', message: /something else/ });
  await assert.rejects(cache.acquire('0'.repeat(64), NEVER), { code: 'RENDER_NOT_FOUND' });
  assert.deepEqual(await scenesIn(folder), []);
  assert.equal(cache.figures.bytes, 0);
  source.add('right', 100);
  await cache.acquire(scene, NEVER);
});

test('a folder is read again at the next start, and a file in it that was spoilt is fetched anew', async (t) => {
  const source = new Source();
  const [good, spoilt] = [source.add('good', 300), source.add('spoilt', 300)];
  const folder = temporaryFolder(t);
  const first = await openCache(t, source, folder, 1000);
  await first.acquire(good, NEVER);
  await first.acquire(spoilt, NEVER);
  await assert.rejects(openCache(t, source, folder, 1000), { code: 'RENDER_OPTION_INVALID' });
  await first.close();
  await writeFile(path.join(folder, `${spoilt}.blend`), Buffer.alloc(300));
  await writeFile(path.join(folder, `${good}.part`), 'half');
  const second = await openCache(t, source, folder, 1000);
  await second.acquire(good, NEVER);
  assert.equal(source.asked.length, 2);
  const file = await second.acquire(spoilt, NEVER);
  assert.deepEqual(await readFile(file), source.contents.get(spoilt));
  assert.deepEqual(source.asked, [good, spoilt, spoilt]);
  assert.deepEqual(await scenesIn(folder), [good, spoilt].toSorted());
});

test('a fetch ends when nobody waits for it any more, and is begun anew for who comes then', async (t) => {
  const { sha256, content } = sceneOf('slow', 100);
  let fetches = 0;
  const fetch: SceneFetch = async function* (_, signal) {
    fetches += 1;
    yield { sha256, bytes: 100n, data: content.subarray(0, 50) };
    if (fetches === 1) {
      await until(() => signal.aborted);
      throw new RpcError('RPC_CANCELLED', 'canceled');
    }
    yield { sha256: '', bytes: 0n, data: content.subarray(50) };
  };
  const cache = await openCache(t, { fetch }, null, 1000);
  const stop = new AbortController();
  const first = cache.acquire(sha256, stop.signal);
  await until(() => cache.figures.bytes === 100);
  stop.abort();
  await assert.rejects(first, { code: 'RENDER_CANCELED' });
  await cache.acquire(sha256, NEVER);
  assert.deepEqual([fetches, cache.figures.bytes], [2, 100]);
});

test('a node fetches the scene of a request from its main node; without it there is no image', async (t) => {
  const { main, node } = await startNode(t, { renderer: { ...builtinRenderer(), hasScenes: true } });
  const scene = main.addScene(Buffer.alloc(200_000, 'blend'));
  // The built-in renderer has one scene, and says so: it was given the other one.
  const given = await main.render(main.request({ scene }));
  assert.equal(given.statuses.get(0)?.code, ErrCode.EC_BAD_MESSAGE);
  assert.match(given.statuses.get(0)!.error, /no scenes but its own/);
  await main.render(main.request({ scene, taskCount: 2 }));
  assert.deepEqual(main.fetched, [scene]);
  assert.equal(node.figures().scenes.bytes, 200_000);
  const missing = await main.render(main.request({ scene: 'f'.repeat(64), taskCount: 2 }));
  assert.equal(missing.code, Code.INTERNAL);
  assert.deepEqual(new Set(missing.statuses.keys()), new Set([0, 1]));
  assert.match(missing.message, /no such scene/);
  assert.equal((await main.render(main.request({ scene: 'default' }))).code, Code.OK);
});

test('a renderer without scenes is not given any', async (t) => {
  const { main } = await startNode(t);
  const scene = main.addScene(Buffer.from('blend'));
  const { code, statuses } = await main.render(main.request({ scene }));
  assert.deepEqual([code, statuses.get(0)?.code], [Code.INTERNAL, ErrCode.EC_BAD_MESSAGE]);
  assert.deepEqual(main.fetched, []);
});

async function scenesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => name !== 'HELD')
    .map((name) => name.replace('.blend', ''))
    .toSorted();
}
