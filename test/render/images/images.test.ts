// Pixels as files: PNG, animated PNG, whole files or none, and a folder that knows whose images it has.

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { decode, decodeApng } from 'fast-png';
import {
  ApngEncoder,
  encodeImage,
  type FolderJob,
  ImageFolder,
  ImageWriter,
  PixelFormat,
  RenderError,
  writeAnimation,
} from '../../../render/index.js';
import { writeAtomically } from '../../../render/images/atomic-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const { GRAY8, RGB8, RGBA8, RGBA32F, PNG, EXR } = PixelFormat;

function shades(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 37) % 256);
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RenderError && error.code === code;
}

for (const [name, format, channels] of [
  ['GRAY8', GRAY8, 1],
  ['RGB8', RGB8, 3],
  ['RGBA8', RGBA8, 4],
] as const) {
  test(`${name} pixels come back from their PNG file`, () => {
    const pixels = shades(5 * 3 * channels);
    const {
      width,
      height,
      data,
      channels: found,
      depth,
    } = decode(encodeImage({ width: 5, height: 3, format, pixels }));
    assert.deepEqual([width, height, found, depth], [5, 3, channels, 8]);
    assert.deepEqual(new Uint8Array(data), pixels);
  });
}

test('floats are cut to what can be seen, and colours follow the sRGB curve', () => {
  const floats = new Float32Array([0, 0.5, 1, 0.5, -1, 7, Number.NaN, 1]);
  const pixels = new Uint8Array(floats.buffer);
  const { data } = decode(encodeImage({ width: 2, height: 1, format: RGBA32F, pixels }));
  assert.deepEqual([...data], [0, 188, 255, 128, 0, 255, 0, 255]);
});

test('files of the renderer are left as they are; pixels that do not fit the size are refused', () => {
  const pixels = shades(99);
  assert.equal(encodeImage({ width: 1, height: 1, format: EXR, pixels }), pixels);
  assert.equal(encodeImage({ width: 1, height: 1, format: PNG, pixels }), pixels);
  assert.throws(
    () => encodeImage({ width: 2, height: 2, format: RGB8, pixels: shades(11) }),
    failsWith('RENDER_MESSAGE_INVALID'),
  );
});

test('an animation has every frame with its pixels, and says how fast it goes', () => {
  const frames = [0, 1, 2].map((shade) => new Uint8Array(4 * 2 * 3).fill(shade * 100));
  const encoder = new ApngEncoder(3, 12);
  const parts = frames.map((pixels) =>
    encoder.frame(encodeImage({ width: 4, height: 2, format: RGB8, pixels })),
  );
  const { numberOfFrames, numberOfPlays, width, height, ...animation } = decodeApng(
    Buffer.concat([...parts, encoder.end()]),
    { checkCrc: true },
  );
  assert.deepEqual([numberOfFrames, numberOfPlays, width, height], [3, 0, 4, 2]);
  assert.deepEqual(
    animation.frames.map(({ data, delayNumber, delayDenominator }) => [
      new Uint8Array(data),
      delayNumber / delayDenominator,
    ]),
    frames.map((pixels) => [pixels, 1 / 12]),
  );
});

test('whoever does not know animations sees the first frame', () => {
  const pixels = shades(12);
  const encoder = new ApngEncoder(1, 1);
  const file = Buffer.concat([
    encoder.frame(encodeImage({ width: 4, height: 3, format: GRAY8, pixels })),
    encoder.end(),
  ]);
  assert.deepEqual(new Uint8Array(decode(file).data), pixels);
});

test('frames of different sizes, too few of them, and what is no PNG file are refused', () => {
  const encoder = new ApngEncoder(2, 1);
  encoder.frame(encodeImage({ width: 1, height: 1, format: GRAY8, pixels: shades(1) }));
  assert.throws(
    () => encoder.frame(encodeImage({ width: 2, height: 1, format: GRAY8, pixels: shades(2) })),
    failsWith('RENDER_REQUEST_INVALID'),
  );
  assert.throws(() => encoder.end(), failsWith('RENDER_REQUEST_INVALID'));
  assert.throws(() => encoder.frame(shades(100)), failsWith('RENDER_REQUEST_INVALID'));
});

test('an animation of files has black where an image is missing', async (t) => {
  const folder = temporaryFolder(t);
  const white = path.join(folder, 'white.png');
  writeFileSync(
    white,
    encodeImage({ width: 3, height: 3, format: RGBA8, pixels: new Uint8Array(36).fill(255) }),
  );
  const file = path.join(folder, 'all.png');
  await writeAnimation({ file, fps: 5, width: 3, height: 3, format: RGBA8, frames: [white, null, white] });
  const { frames } = decodeApng(readFileSync(file));
  assert.deepEqual(
    frames.map(({ data }) => Array.from(data.subarray(0, 4))),
    [
      [255, 255, 255, 255],
      [0, 0, 0, 255],
      [255, 255, 255, 255],
    ],
  );
  assert.deepEqual(readdirSync(folder).toSorted(), ['all.png', 'white.png']);
});

test('among files of the renderer, black frames are of their kind', async (t) => {
  const folder = temporaryFolder(t);
  const one = path.join(folder, 'one.png');
  writeFileSync(one, encodeImage({ width: 2, height: 1, format: RGB8, pixels: new Uint8Array(6).fill(9) }));
  const file = path.join(folder, 'all.apng');
  await writeAnimation({ file, fps: 5, width: 2, height: 1, format: PNG, frames: [null, one] });
  const { frames, channels } = decodeApng(readFileSync(file));
  assert.deepEqual([channels, frames[0]!.data[0], frames[1]!.data[0]], [3, 0, 9]);
});

test('a video is what ffmpeg makes of the frames; when it fails nothing is left', {
  skip: process.platform === 'win32',
}, async (t) => {
  const folder = temporaryFolder(t);
  const program = path.join(folder, 'bin');
  mkdirSync(program);
  // It stands in for ffmpeg, which is not everywhere: the last argument is the file, standard input the frames.
  const stand = (script: string): void => {
    writeFileSync(path.join(program, 'ffmpeg'), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(program, 'ffmpeg'), 0o755);
  };
  const before = process.env['PATH'];
  process.env['PATH'] = `${program}:${before}`;
  t.after(() => {
    process.env['PATH'] = before;
  });
  const image = path.join(folder, 'one.png');
  const png = encodeImage({ width: 2, height: 2, format: GRAY8, pixels: shades(4) });
  writeFileSync(image, png);
  const file = path.join(folder, 'all.mp4');
  const request = { file, fps: 5, width: 2, height: 2, format: GRAY8, frames: [image, image] };
  stand('for last; do :; done; cat > "$last"');
  await writeAnimation(request);
  assert.deepEqual(readFileSync(file), Buffer.concat([png, png]));
  stand('cat > /dev/null; echo "no such codec" >&2; exit 1');
  await assert.rejects(writeAnimation({ ...request, file: `${file}.mp4` }), /ffmpeg failed: no such codec/);
  assert.deepEqual(readdirSync(folder).toSorted(), ['all.mp4', 'bin', 'one.png']);
});

test('a file whose writer fails is not there, and what was there stays', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'file');
  writeFileSync(file, 'old');
  const failing = writeAtomically(file, async (handle) => {
    await handle.write('new');
    throw new Error('on purpose');
  });
  await assert.rejects(failing, /on purpose/);
  assert.equal(readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder), ['file']);
});

const JOB: FolderJob = { job: '7', submittedAtMs: '1000', images: 4, width: 5, height: 3, format: GRAY8 };

async function filled(t: TestContext): Promise<{ path: string; folder: ImageFolder }> {
  const folder = await ImageFolder.open(path.join(temporaryFolder(t), 'out'), { own: JOB, overwrite: false });
  for (let index = 0; index < 4; index += 1)
    await folder.save({ index, width: 5, height: 3, format: GRAY8, pixels: shades(15) });
  return { path: folder.path, folder };
}

test('a folder has the images of one job by number, and knows which are missing or not whole', async (t) => {
  const { folder, path: where } = await filled(t);
  assert.deepEqual(readdirSync(where).toSorted(), [
    'image-0001.png',
    'image-0002.png',
    'image-0003.png',
    'image-0004.png',
    'render.json',
  ]);
  assert.deepEqual(await folder.missing(JOB), []);
  truncateSync(path.join(where, 'image-0002.png'), 40);
  writeFileSync(
    path.join(where, 'image-0003.png'),
    encodeImage({ width: 4, height: 3, format: GRAY8, pixels: shades(12) }),
  );
  assert.deepEqual(await folder.missing({ ...JOB, images: 5 }), [1, 2, 4]);
});

test('large images are deflated on threads, small ones are not, and both are told once they are there', async (t) => {
  const folder = await ImageFolder.open(path.join(temporaryFolder(t), 'out'), { own: JOB, overwrite: false });
  const told = new Map<number, string>();
  const writer = new ImageWriter(folder, ({ index }, file) => told.set(index, file));
  t.after(() => writer.close());
  const large = { width: 400, height: 400, format: RGB8, pixels: shades(480_000) };
  const small = { width: 5, height: 3, format: GRAY8, pixels: shades(15) };
  for (let index = 0; index < 6; index += 1)
    await writer.add({ index, ...(index % 2 === 0 ? large : small) });
  await writer.finish();
  assert.equal(told.size, 6);
  for (const [index, file] of told) {
    const { pixels } = index % 2 === 0 ? large : small;
    assert.deepEqual(new Uint8Array(decode(readFileSync(file)).data), pixels);
  }
});

test('what goes wrong with an image is told at the next one, or at the end', async (t) => {
  const where = path.join(temporaryFolder(t), 'out');
  const folder = await ImageFolder.open(where, { own: JOB, overwrite: false });
  const writer = new ImageWriter(folder, () => {});
  t.after(() => writer.close());
  rmSync(where, { recursive: true });
  await writer.add({ index: 0, width: 5, height: 3, format: GRAY8, pixels: shades(15) }).catch(() => {});
  await assert.rejects(writer.finish(), failsWith('RENDER_IO'));
});

test('the same job opens its folder again; another one is refused until it may overwrite', async (t) => {
  const { path: where } = await filled(t);
  await ImageFolder.open(where, { own: JOB, overwrite: false });
  const other = { ...JOB, submittedAtMs: '2000' };
  await assert.rejects(ImageFolder.open(where, { own: other, overwrite: false }), failsWith('RENDER_STATE'));
  await assert.rejects(ImageFolder.open(where, { own: null, overwrite: false }), failsWith('RENDER_STATE'));
  const taken = await ImageFolder.open(where, { own: other, overwrite: true });
  assert.deepEqual(await taken.missing(other), [0, 1, 2, 3]);
});

test('images of nobody knows whom are not taken for ours', async (t) => {
  const where = temporaryFolder(t);
  writeFileSync(path.join(where, 'image-0001.png'), 'x');
  await assert.rejects(ImageFolder.open(where, { own: JOB, overwrite: false }), /has images already/);
});

test('what an interrupted writer left long ago is removed, what is being written is not', async (t) => {
  const where = temporaryFolder(t);
  for (const name of ['image-0001.png.partial-00', 'image-0002.png.partial-11'])
    writeFileSync(path.join(where, name), '');
  utimesSync(path.join(where, 'image-0001.png.partial-00'), 1, 1);
  await ImageFolder.open(where, { own: JOB, overwrite: false });
  assert.deepEqual(readdirSync(where).toSorted(), ['image-0002.png.partial-11', 'render.json']);
});
