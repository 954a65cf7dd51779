// The built-in renderer's pictures, without a process: deterministic, and changed by what should change them.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { packLight, PixelFormat } from '../../render/index.js';
import { type TracedImage, traceRows } from '../../render/renderer/builtin/tracer.js';
import { DIM, RED, WHITE } from './support/renderers.js';

const IMAGE: TracedImage = {
  width: 32,
  height: 24,
  samples: 4,
  format: PixelFormat.GRAY8,
  position: [0, 0, 0],
  lights: [WHITE, DIM],
  frame: 0,
  seed: 0,
};

function trace(changes: Partial<TracedImage> = {}): Buffer {
  return Buffer.concat([...traceRows({ ...IMAGE, ...changes })]);
}

const mean = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length;

test('the same request gives the same bytes, on every machine', () => {
  const pixels = trace();
  assert.equal(pixels.length, 32 * 24);
  assert.deepEqual(trace(), pixels);
  assert.equal(
    createHash('sha256').update(pixels).digest('hex'),
    'f73d4979ce794206794e3fb303ca1339a68af30e715769d1755c285c94e85827',
  );
});

test('a ball that has moved is seen somewhere else, and the far floor stays as it was', () => {
  const left = trace({ position: [-2, 0, 0], format: PixelFormat.RGB8 });
  const right = trace({ position: [2, 0, 0], format: PixelFormat.RGB8 });
  // The ball is the only thing that is much more red than blue.
  assert(redness(left, 0) > 2 * redness(left, 16), 'the ball is on the left');
  assert(redness(right, 16) > 2 * redness(right, 0), 'the ball is on the right');
  const topRow = (pixels: Buffer): Buffer => pixels.subarray(0, 32 * 3);
  assert.deepEqual(topRow(left), topRow(right));
});

test('another seed is the same picture with other noise, another frame has its lamps elsewhere', () => {
  const plain = trace();
  const seeded = trace({ seed: 7 });
  assert.notDeepEqual(seeded, plain);
  assert.deepEqual(trace({ seed: 7 }), seeded);
  assert(Math.abs(mean(seeded) - mean(plain)) < 10, `${mean(seeded)} and ${mean(plain)}`);
  const later = trace({ frame: 60 });
  assert.notDeepEqual(later, plain);
  assert.deepEqual(trace({ frame: 300 }), later, 'they have gone around once');
  assert.deepEqual(trace({ frame: -180 }), later);
});

test('more light is brighter, no light is black, and coloured light gives its colour', () => {
  const bright = trace({ lights: [WHITE] });
  const dim = trace({ lights: [DIM] });
  assert(mean(bright) > mean(dim) + 20, `${mean(bright)} and ${mean(dim)}`);
  assert.equal(mean(trace({ lights: [packLight({ intensity: 0, r: 255, g: 255, b: 255 })] })), 0);
  assert.deepEqual(
    trace({ lights: [] }),
    trace({ lights: [0xffff_ffff] }),
    'nobody set one: there is a lamp all the same',
  );
  const red = trace({ lights: [RED], format: PixelFormat.RGB8 });
  assert(red.some((_, index) => index % 3 === 0 && red[index]! > 50));
  assert(red.every((byte, index) => index % 3 === 0 || byte === 0));
});

test('the formats are the same picture', () => {
  const rgb = trace({ format: PixelFormat.RGB8 });
  const rgba = trace({ format: PixelFormat.RGBA8 });
  const floats = trace({ format: PixelFormat.RGBA32F });
  assert.equal(rgba.length, 32 * 24 * 4);
  assert.equal(floats.length, 32 * 24 * 16);
  for (let pixel = 0; pixel < 32 * 24; pixel += 1) {
    for (let part = 0; part < 3; part += 1) {
      const byte = rgb[pixel * 3 + part]!;
      assert.equal(rgba[pixel * 4 + part], byte);
      const value = Math.sqrt(Math.min(1, floats.readFloatLE(pixel * 16 + part * 4))) * 255;
      assert(Math.abs(value - byte) < 0.51, `${value} is ${byte}`);
    }
    assert.equal(rgba[pixel * 4 + 3], 255);
    assert.equal(floats.readFloatLE(pixel * 16 + 12), 1);
  }
});

/** How much more red than blue there is in 16 columns of an RGB image. */
function redness(pixels: Buffer, fromColumn: number): number {
  let sum = 0;
  for (let y = 0; y < 24; y += 1) {
    for (let x = fromColumn; x < fromColumn + 16; x += 1) {
      const at = (y * 32 + x) * 3;
      sum += Math.max(0, pixels[at]! - pixels[at + 2]!);
    }
  }
  return sum;
}
