// The pure parts behind a worker node's answers: pieces, the look at an image, the logs that are kept.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ErrCode, PixelFormat } from '../../../render/index.js';
import { SlaveRenderReq, SlaveRenderRsp } from '../../../render/proto/render.js';
import { AnswerPieces, type ImageResult, PIECE_BYTES_MAX } from '../../../render/worker/answer-pieces.js';
import { AttemptLogs } from '../../../render/worker/attempt-logs.js';
import { wrongImage } from '../../../render/worker/image-check.js';
import { RED, WHITE } from '../support/renderers.js';
import { type Answered, assembled } from './support/scripted-main.js';

const OK = { code: 0, message: '', retryAfterMs: 0 } as const;

function result(index: number, pixels: Uint8Array | null): ImageResult {
  const code = pixels === null ? ErrCode.EC_CRASHED : ErrCode.EC_OK;
  return { index, code, error: '', attempts: 1, renderMs: 1, times: {}, pixels, atMs: 0 };
}

function answer(width: number, height: number, format: PixelFormat, results: ImageResult[]): Answered {
  const request = SlaveRenderReq.fromJson({
    requestId: '5',
    width,
    height,
    taskCount: results.length,
    format,
  });
  const codec = SlaveRenderRsp.codec('protobuf');
  const pieces = [...new AnswerPieces(request).of(1, results, OK)].map((piece) => {
    const encoded = codec.encode(piece as SlaveRenderRsp);
    assert(encoded.bytes < 4 * 1024 * 1024, 'a piece fits a message');
    const bytes = Buffer.alloc(encoded.bytes);
    encoded.writeTo(bytes, 0);
    return codec.decode(bytes);
  });
  return assembled(pieces);
}

test('small images travel together, as many as a piece holds', () => {
  const images = Array.from({ length: 300 }, (_, index) => Buffer.alloc(100 * 100, index));
  const { pieces, images: got } = answer(
    100,
    100,
    PixelFormat.GRAY8,
    images.map((pixels, at) => result(at, pixels)),
  );
  assert.deepEqual(
    pieces.map(({ tasks }) => tasks.length),
    [128, 128, 44],
  );
  for (const [index, pixels] of images.entries()) assert.deepEqual(got.get(index), pixels);
});

test('an image that is exactly a piece is one, a byte more is two', () => {
  const exact = answer(PIECE_BYTES_MAX / 1024, 1024, PixelFormat.GRAY8, [
    result(0, Buffer.alloc(PIECE_BYTES_MAX, 1)),
    result(1, null),
    result(2, Buffer.alloc(PIECE_BYTES_MAX, 2)),
  ]);
  assert.deepEqual(
    exact.pieces.map(({ tasks, imgs }) => [tasks.length, imgs.length]),
    [1, 1, 1].map((tasks) => [tasks, PIECE_BYTES_MAX]),
  );
  assert.deepEqual([...exact.images.keys()], [0, 2]);
  const above = answer(PIECE_BYTES_MAX / 1024 + 1, 1024, PixelFormat.GRAY8, [
    result(0, Buffer.alloc(PIECE_BYTES_MAX + 1024, 1)),
  ]);
  assert.deepEqual(
    above.pieces.map(({ tasks, imgs }) => [tasks.length, imgs.length]),
    [
      [0, PIECE_BYTES_MAX],
      [1, 1024],
    ],
  );
});

test('files come one to a piece, missing ones without bytes', () => {
  const { pieces, images } = answer(10, 10, PixelFormat.PNG, [
    result(3, Buffer.from('one')),
    result(4, null),
    result(5, Buffer.alloc(PIECE_BYTES_MAX + 1, 7)),
  ]);
  assert.deepEqual(
    pieces.map(({ tasks, imgs }) => [tasks.length, imgs.length]),
    [
      [1, 3],
      [1, 0],
      [0, PIECE_BYTES_MAX],
      [1, 1],
    ],
  );
  assert.deepEqual(images.get(5)?.length, PIECE_BYTES_MAX + 1);
});

test('nothing is an answer too', () => {
  assert.equal(answer(1, 1, PixelFormat.GRAY8, []).pieces.length, 1);
});

test('what is no image is told: black under light, files without beginning or end', () => {
  const black = Buffer.alloc(64);
  const png = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    Buffer.from([0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]),
  ]);
  const opaque = Buffer.from([0, 0, 0, 255]);
  const cases: [Uint8Array, PixelFormat, number[], RegExp | null][] = [
    [black, PixelFormat.GRAY8, [RED], /black/],
    [black, PixelFormat.GRAY8, [0x00ff_ffff, 0xff00_0000], null],
    [black, PixelFormat.GRAY8, [], null],
    [Buffer.from([0, 0, 1]), PixelFormat.RGB8, [WHITE], null],
    [opaque, PixelFormat.RGBA8, [WHITE], /black/],
    [Buffer.concat([opaque, Buffer.from([0, 1, 0, 255])]), PixelFormat.RGBA8, [WHITE], null],
    [Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63]), PixelFormat.RGBA32F, [WHITE], /black/],
    [png, PixelFormat.PNG, [WHITE], null],
    [png.subarray(0, -1), PixelFormat.PNG, [WHITE], /no end/],
    [png.subarray(1), PixelFormat.PNG, [WHITE], /no PNG/],
    [png, PixelFormat.EXR, [WHITE], /no OpenEXR/],
    [Buffer.from([0x76, 0x2f, 0x31, 0x01, 2]), PixelFormat.EXR, [WHITE], null],
  ];
  for (const [pixels, format, lights, why] of cases) {
    const wrong = wrongImage(pixels, format, lights);
    if (why === null) assert.equal(wrong, null);
    else assert.match(wrong ?? '', why);
  }
});

test('logs are kept for the requests of late, with every try, and of an image the end', () => {
  const logs = new AttemptLogs(100, 3);
  logs.add(1n, 0, { pid: 7, log: 'first\n', error: 'error 3: gone', tookMs: 2.4 });
  logs.add(1n, 0, { pid: 8, log: 'second', error: '', tookMs: 3 });
  const both = 'first\n[renderer 7: error 3: gone, 2 ms]\nsecond\n[renderer 8: rendered, 3 ms]\n';
  assert.equal(logs.find(1n, 0), both);
  assert.equal(logs.find(1n, 1), null);
  const quiet = { pid: 7, log: '', error: '', tookMs: 0 };
  for (const index of [1, 2]) logs.add(2n, index, quiet);
  assert.equal(logs.find(1n, 0), both);
  logs.add(3n, 0, quiet);
  assert.equal(logs.find(1n, 0), null, 'three images are kept');
  assert.equal(logs.find(2n, 1), '[renderer 7: rendered, 0 ms]\n');
  logs.add(4n, 0, { ...quiet, log: 'y'.repeat(101) });
  assert.deepEqual([logs.find(2n, 1), logs.find(3n, 0)], [null, null], 'and a hundred characters');
  assert.match(logs.find(4n, 0)!, /^y{101}\n/, 'but the newest stays');
  for (let tries = 0; tries < 20; tries += 1) logs.add(4n, 0, quiet);
  assert.equal(logs.find(4n, 0)!.match(/rendered/g)!.length, 16);
});
