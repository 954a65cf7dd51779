import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkLights, lightsOf, packLight, unpackLight } from '../../render/index.js';

test('a light is intensity, red, green, blue from the top byte down, and never negative', () => {
  assert.equal(packLight({ intensity: 1, r: 2, g: 3, b: 4 }), 0x01020304);
  assert.equal(packLight({ intensity: 255, r: 0, g: 0, b: 1 }), 0xff000001);
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.record({ intensity: byte, r: byte, g: byte, b: byte }), (light) => {
      assert.deepEqual(unpackLight(packLight(light)), { ...light });
    }),
  );
});

test('a part outside of a byte is refused', () => {
  for (const b of [256, -1, 0.5, Number.NaN]) {
    assert.throws(() => packLight({ intensity: 0, r: 0, g: 0, b }), { code: 'RENDER_LIGHTS_MALFORMED' });
  }
});

test('each image has its own lights, and a missing or surplus word is refused', () => {
  const words = [1, 2, 3, 4, 5, 6];
  checkLights(words, 3, 2);
  assert.deepEqual(lightsOf(words, 2, 1, 2), [3, 4, 5, 6]);
  checkLights([], 5, 0);
  assert.deepEqual(lightsOf([], 0, 3, 2), []);
  assert.throws(() => checkLights(words, 2, 2), { code: 'RENDER_LIGHTS_MALFORMED' });
  assert.throws(() => checkLights([...words, 7], 3, 2), { code: 'RENDER_LIGHTS_MALFORMED' });
  for (const wrong of [-1, 2 ** 32, 0.5])
    assert.throws(() => checkLights([wrong], 1, 1), { code: 'RENDER_LIGHTS_MALFORMED' });
});
