// Light words: one u32 per light, `intensity << 24 | r << 16 | g << 8 | b`, one set of them for each image.
// Drivers pack them, the main node checks and slices them, renderers unpack them. Pure.

import { RenderError } from './errors.js';

export interface Light {
  /** Each from 0 to 255. */
  readonly intensity: number;
  readonly r: number;
  readonly g: number;
  readonly b: number;
}

/** @throws RenderError RENDER_LIGHTS_MALFORMED: a part is no whole number from 0 to 255. */
export function packLight({ intensity, r, g, b }: Light): number {
  for (const part of [intensity, r, g, b]) {
    if (!Number.isInteger(part) || part < 0 || part > 255)
      throw new RenderError('RENDER_LIGHTS_MALFORMED', `${part} is no whole number from 0 to 255`);
  }
  // Without `>>> 0` intensities from 128 on would come out negative.
  return ((intensity << 24) | (r << 16) | (g << 8) | b) >>> 0;
}

export function unpackLight(word: number): Light {
  return { intensity: word >>> 24, r: (word >>> 16) & 0xff, g: (word >>> 8) & 0xff, b: word & 0xff };
}

/** @throws RenderError RENDER_LIGHTS_MALFORMED: the words are not `lightCount` for each of `taskCount` images, or no u32. */
export function checkLights(words: readonly number[], taskCount: number, lightCount: number): void {
  if (words.length !== taskCount * lightCount) {
    throw new RenderError(
      'RENDER_LIGHTS_MALFORMED',
      `${taskCount} images with ${lightCount} lights need ${taskCount * lightCount} light words, not ${words.length}`,
    );
  }
  const wrong = words.findIndex((word) => word >>> 0 !== word);
  if (wrong !== -1)
    throw new RenderError('RENDER_LIGHTS_MALFORMED', `light word ${wrong} is ${words[wrong]}, no u32`);
}

/** The words of `count` images, the first of which is `first`. */
export function lightsOf(
  words: readonly number[],
  lightCount: number,
  first: number,
  count: number,
): number[] {
  return words.slice(first * lightCount, (first + count) * lightCount);
}
