// Chunks of RenderStream become images; what does not add up is refused, whatever a main node sends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ErrCode, PixelFormat, RenderError } from '../../../render/index.js';
import { FetchAssembly } from '../../../render/driver/fetch-assembly.js';
import { ImageAssembly } from '../../../render/driver/image-assembly.js';
import { checkRequest } from '../../../render/driver/render-request.js';
import type { RenderRsp, TaskStatus } from '../../../render/proto/render.js';

const REQUEST = checkRequest({ images: 4, width: 2, height: 3 });
const FILES = checkRequest({ images: 4, width: 2, height: 3, format: PixelFormat.PNG });
const ALL = [0, 1, 2, 3];

interface Piece {
  readonly imgs?: Uint8Array;
  readonly tasks?: readonly Partial<TaskStatus>[];
  readonly chunk?: number;
  readonly width?: number;
}

/** As it comes off the wire: what is left out is zero. */
function chunk({ imgs = new Uint8Array(0), tasks = [], chunk: number = 0, width = 2 }: Piece): RenderRsp {
  const blank = { code: ErrCode.EC_OK, attempts: 1, renderMs: 0, error: '', index: 0 };
  return {
    taskCount: 4,
    width,
    height: 3,
    imgs,
    format: PixelFormat.GRAY8,
    tasks: tasks.map((task) => ({ ...blank, ...task })),
    chunk: number,
    last: false,
    job: 1n,
  };
}

function refused(request: typeof REQUEST, pieces: readonly Piece[], reason: RegExp): void {
  const assembly = new ImageAssembly(request, ALL);
  const last = pieces.at(-1)!;
  for (const piece of pieces.slice(0, -1)) assembly.take(chunk(piece));
  assert.throws(
    () => assembly.take(chunk(last)),
    (error) =>
      error instanceof RenderError && error.code === 'RENDER_MESSAGE_INVALID' && reason.test(error.message),
  );
}

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

test('images side by side are taken apart; a missing one has its place in zeros, or none', () => {
  const tasks = [{ index: 2 }, { index: 0, code: ErrCode.EC_OOM }, { index: 1 }];
  for (const [length, second] of [
    [18, 12],
    [12, 6],
  ] as const) {
    const results = new ImageAssembly(REQUEST, ALL).take(chunk({ imgs: bytes(length), tasks }));
    assert.deepEqual(
      results.map((result) => [result.index, result.kind === 'rendered' ? [...result.pixels] : result.code]),
      [
        [2, [...bytes(6)]],
        [0, ErrCode.EC_OOM],
        [1, [...bytes(length).subarray(second)]],
      ],
    );
  }
});

test('images of a part of the request have their numbers in the whole of it', () => {
  const assembly = new ImageAssembly(REQUEST, [1, 3]);
  const [result] = assembly.take(chunk({ imgs: bytes(6), tasks: [{ index: 1 }] }));
  assert.equal(result!.index, 3);
});

test('what does not add up is refused', () => {
  refused(REQUEST, [{ chunk: 1 }], /chunk 1 came where 0 was expected/);
  refused(REQUEST, [{ imgs: bytes(5), tasks: [{}] }], /1 images need 6 bytes, not 5/);
  refused(REQUEST, [{ imgs: bytes(7) }], /longer than 6 bytes/);
  refused(REQUEST, [{ imgs: bytes(6) }, { chunk: 1, imgs: bytes(1), tasks: [{}] }], /longer than 6 bytes/);
  refused(REQUEST, [{ imgs: bytes(6), tasks: [{ index: 4 }] }], /image 4 was not asked for/);
  refused(REQUEST, [{ imgs: bytes(6), tasks: [{}], width: 3 }], /images of 3x3/);
  refused(FILES, [{ imgs: bytes(2 ** 20) }], /longer than/);
});

test('files come one to a chunk', () => {
  const piece = { ...chunk({ imgs: bytes(9), tasks: [{}, { index: 1 }] }), format: PixelFormat.PNG };
  assert.throws(() => new ImageAssembly(FILES, ALL).take(piece), /one to a chunk/);
});

test('an image cut anywhere is the same image', () => {
  const pixels = bytes(6);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 5 })), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), 6];
      const assembly = new ImageAssembly(REQUEST, ALL);
      const results = edges.slice(1).flatMap((end, number) => {
        const tasks = end === 6 ? [{ index: 3 }] : [];
        return assembly.take(chunk({ chunk: number, imgs: pixels.subarray(edges[number], end), tasks }));
      });
      const [result] = results;
      assert(results.length === 1 && result?.kind === 'rendered');
      assert.deepEqual([result.index, [...result.pixels]], [3, [...pixels]]);
    }),
  );
});

test('no chunk makes an assembly do anything but give images of the right size or refuse', () => {
  const code = fc.constantFrom(ErrCode.EC_OK, ErrCode.EC_TIMEOUT);
  const task = fc.record({ index: fc.integer({ min: 0, max: 5 }), code });
  const imgs = fc.uint8Array({ maxLength: 30 });
  const pieces = fc.array(fc.record({ imgs, tasks: fc.array(task, { maxLength: 4 }) }), { maxLength: 6 });
  fc.assert(
    fc.property(pieces, (stream) => {
      const assembly = new ImageAssembly(REQUEST, ALL);
      try {
        for (const [number, piece] of stream.entries()) {
          for (const result of assembly.take(chunk({ ...piece, chunk: number }))) {
            assert(result.index <= 3);
            assert(result.kind === 'missing' || result.pixels.length === 6);
          }
        }
      } catch (error) {
        assert(error instanceof RenderError, String(error));
      }
    }),
  );
});

test('parts of a fetched image belong together', () => {
  const part = { width: 2, height: 3, format: 0, code: 0, error: '' };
  const assembly = new FetchAssembly();
  assert.equal(assembly.take({ ...part, index: 0, pixels: bytes(4), more: true }), null);
  const whole = assembly.take({ ...part, index: 0, pixels: bytes(2), more: false });
  assert(whole?.kind === 'rendered');
  assert.deepEqual([...whole.pixels], [0, 1, 2, 3, 0, 1]);
  assembly.take({ ...part, index: 1, pixels: bytes(4), more: true });
  assert.throws(
    () => assembly.take({ ...part, index: 2, pixels: bytes(4), more: false }),
    /image 2 came in the middle of image 1/,
  );
});
