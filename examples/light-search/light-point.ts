// Points of a search as lights of an image, and back: four coordinates for each light.

import type { Light } from 'reactor-net/render';
import type { Point } from './search.js';

export const COORDINATES_PER_LIGHT = 4;

/** Each coordinate from 0 to 1 becomes a whole number from 0 to 255. */
export function lightsAt(point: Point): Light[] {
  const part = (axis: number): number => Math.round(255 * point[axis]!);
  return Array.from({ length: point.length / COORDINATES_PER_LIGHT }, (_, light) => {
    const first = light * COORDINATES_PER_LIGHT;
    return { intensity: part(first), r: part(first + 1), g: part(first + 2), b: part(first + 3) };
  });
}

export function lightText({ intensity, r, g, b }: Light): string {
  return `intensity ${intensity}, color ${r}/${g}/${b}`;
}
