// Images as the built-in renderer gives them, rendered in the test: what a farm's results are compared with.

import { packLight, PixelFormat } from '../../../render/index.js';
import { traceRows } from '../../../render/renderer/builtin/tracer.js';

export const SIZE = { width: 24, height: 16, samples: 2 } as const;

const SETS = 10;
/** Light sets that give different images. */
export const LIGHTS: readonly (readonly number[])[] = Array.from({ length: SETS }, (_, index) => [
  packLight({ intensity: 100 + index * 15, r: 255, g: 255 - index * 20, b: 200 }),
]);

export interface Wanted {
  readonly lights: readonly number[];
  readonly position?: readonly [number, number, number];
  readonly format?: PixelFormat;
  readonly seed?: number;
  /** Default `SIZE`. */
  readonly size?: { readonly width: number; readonly height: number; readonly samples: number };
}

export function traced({
  lights,
  position = [0, 0, 0],
  format = PixelFormat.GRAY8,
  seed = 0,
  size = SIZE,
}: Wanted): Uint8Array {
  const image = { ...size, format, position, lights, frame: 0, seed };
  return new Uint8Array(Buffer.concat([...traceRows(image)]));
}

/** One light set for each image; every tenth is the same. */
export function lightsFor(images: number): (readonly number[])[] {
  return Array.from({ length: images }, (_, index) => LIGHTS[index % SETS]!);
}
