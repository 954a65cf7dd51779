// Images of all formats as PNG files, small ones too, made once and kept within a bound.

import assert from 'node:assert/strict';
import test from 'node:test';
import { decode, encode } from 'fast-png';
import type { FarmPixels } from '../../../render/main/farm.js';
import { PixelFormat } from '../../../render/proto/render.js';
import { FarmImages } from '../../../render/web/farm-images.js';
import { pngOf } from '../../../render/web/pixels.js';
import { PngCache } from '../../../render/web/png-cache.js';
import { serveFarmWeb } from '../../../render/web/serve-farm-web.js';
import { gradient, ScriptedFarm } from './support/scripted-farm.js';
import { WebClient } from './support/web-client.js';

const image = (format: PixelFormat, width: number, height: number, pixels: Uint8Array): FarmPixels => ({
  index: 0,
  width,
  height,
  format,
  pixels,
});

test('pixels of every format are the same in the PNG file', () => {
  const cases: readonly (readonly [PixelFormat, number])[] = [
    [PixelFormat.GRAY8, 1],
    [PixelFormat.RGB8, 3],
    [PixelFormat.RGBA8, 4],
  ];
  for (const [format, channels] of cases) {
    const pixels = Uint8Array.from({ length: 5 * 3 * channels }, (_, at) => (at * 37) % 256);
    const png = decode(pngOf(image(format, 5, 3, pixels), 0));
    assert.deepEqual([png.width, png.height, png.channels, png.depth], [5, 3, channels, 8]);
    assert.deepEqual(Buffer.from(png.data), Buffer.from(pixels));
  }
});

test('linear light is shown as a screen wants it, cut at 1, and alpha stays linear', () => {
  const values = new Float32Array([0, 0.5, 1, 0.5, 7, -1, Number.NaN, 1]);
  const png = decode(pngOf(image(PixelFormat.RGBA32F, 2, 1, new Uint8Array(values.buffer)), 0));
  assert.deepEqual([...png.data], [0, 188, 255, 128, 255, 0, 0, 255]);
});

test('a small image is the mean of the large one, and never larger than it', () => {
  const pixels = Uint8Array.from({ length: 64 * 32 }, (_, at) => (at % 2 === 0 ? 0 : 200));
  const small = decode(pngOf(image(PixelFormat.GRAY8, 64, 32, pixels), 16));
  assert.deepEqual([small.width, small.height], [16, 8]);
  assert.deepEqual(new Set(small.data), new Set([100]));
  const whole = decode(pngOf(image(PixelFormat.GRAY8, 64, 32, pixels), 400));
  assert.deepEqual([whole.width, whole.height], [64, 32]);
});

test('a PNG file that a renderer made is passed on as it is, and made smaller when asked, 16 bits too', () => {
  const data = Uint16Array.from({ length: 32 * 32 * 3 }, () => 0x8040);
  const file = encode({ width: 32, height: 32, channels: 3, depth: 16, data });
  assert.equal(pngOf(image(PixelFormat.PNG, 32, 32, file), 0), file);
  const small = decode(pngOf(image(PixelFormat.PNG, 32, 32, file), 16));
  assert.deepEqual([small.width, small.depth, small.data[0]], [16, 8, 0x80]);
});

test('an image is served as PNG with an entity tag, and not sent again to who has it', async (t) => {
  const farm = new ScriptedFarm();
  farm.addJob({ id: 1 });
  farm.render(1, 0);
  const web = await serveFarmWeb(farm, { port: 0 });
  t.after(() => web.close());
  const client = new WebClient(web.port);
  const path = '/api/v1/jobs/1/images/0.png';
  const first = await client.ask(path);
  assert.equal(first.headers['content-type'], 'image/png');
  assert.equal(first.headers['cache-control'], 'private, no-cache');
  assert.deepEqual(Buffer.from(decode(first.bytes).data), Buffer.from(gradient(farm.job(1), 0).pixels));
  const etag = String(first.headers['etag']);
  const again = await client.ask(path, { headers: { 'if-none-match': etag } });
  assert.deepEqual([again.status, again.bytes.length, again.headers['etag']], [304, 0, etag]);
  const small = await client.ask(`${path}?width=16`, { headers: { 'if-none-match': etag } });
  assert.deepEqual([small.status, decode(small.bytes).width], [200, 16]);
});

test('an EXR file is refused in words, and what cannot be read is no crash', async (t) => {
  const farm = new ScriptedFarm();
  farm.addJob({ id: 1 });
  farm.render(1, 0);
  const errors: unknown[] = [];
  const web = await serveFarmWeb(farm, { port: 0, onError: (error) => errors.push(error) });
  t.after(() => web.close());
  const client = new WebClient(web.port);
  farm.draw = () => image(PixelFormat.EXR, 8, 8, new Uint8Array(10));
  const exr = await client.ask('/api/v1/jobs/1/images/0.png');
  assert.equal(exr.status, 400);
  assert.match(exr.text, /EXR/);
  assert.equal(errors.length, 0);
  farm.draw = () => image(PixelFormat.PNG, 512, 8, new Uint8Array(10));
  const broken = await client.ask('/api/v1/jobs/1/images/0.png?width=16');
  assert.equal(broken.status, 500);
  assert.equal(errors.length, 1);
  farm.draw = gradient;
  assert.equal((await client.ask('/api/v1/jobs/1/images/0.png')).status, 200);
});

test('who asks for an image that is being made waits for the same one, and a removed job leaves nothing', async (t) => {
  const farm = new ScriptedFarm();
  farm.addJob({ id: 1, state: 'completed', images: 1 });
  farm.render(1, 0);
  let drawn = 0;
  farm.draw = (job, index) => {
    drawn += 1;
    return gradient(job, index);
  };
  const images = new FarmImages(farm);
  t.after(() => images.close());
  const files = await Promise.all(Array.from({ length: 8 }, () => images.png(1, 0, 32)));
  assert.equal(drawn, 1);
  assert.equal(new Set(files).size, 1);
  assert.equal(await images.png(1, 0, 32), files[0]);
  assert.equal(images.figures().files, 1);
  await farm.remove([1]);
  assert.deepEqual(images.figures(), { bytes: 0, files: 0 });
});

test('no more images are made at once than may be: the others are told to come again', async (t) => {
  const farm = new ScriptedFarm();
  farm.addJob({ id: 1, images: 100 });
  for (let index = 0; index < 100; index += 1) farm.render(1, index);
  const images = new FarmImages(farm);
  t.after(() => images.close());
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, (_, index) => images.png(1, index, 16)),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 68);
  for (const outcome of refused)
    assert.equal((outcome as PromiseRejectedResult).reason.code, 'RENDER_OVERLOAD');
});

test('kept files stay within their bytes: the one that nobody asked for the longest goes', () => {
  const cache = new PngCache(100);
  const file = (bytes: number): { bytes: Uint8Array; etag: string } => ({
    bytes: new Uint8Array(bytes),
    etag: '""',
  });
  for (const key of ['a', 'b', 'c', 'd']) cache.put(1, key, file(25));
  cache.get(1, 'a');
  cache.put(2, 'e', file(10));
  assert.equal(cache.get(1, 'b'), undefined);
  assert.notEqual(cache.get(1, 'a'), undefined);
  assert.equal(cache.figures().bytes, 85);
  cache.put(3, 'huge', file(26));
  assert.equal(cache.get(3, 'huge'), undefined, 'one that would push out many is not kept');
  cache.forget(1);
  assert.deepEqual(cache.figures(), { bytes: 10, files: 1 });
});
