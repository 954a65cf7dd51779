// How good an image is: a function of its pixels. Two are here; `--score FILE` brings another.

import { pathToFileURL } from 'node:url';
import type { Pixels } from 'reactor-net/render';

/** Higher is better; NaN: it cannot be judged. The image is RGB8, rows from the top. */
export type Score = (image: Pixels) => number;

/** 1 for the target itself, 0 for the opposite in every pixel: 1 less the root of the mean square difference. */
export function likeness(target: Pixels): Score {
  return ({ width, height, pixels }) => {
    if (width !== target.width || height !== target.height) return Number.NaN;
    let sum = 0;
    for (const [index, value] of pixels.entries()) sum += ((value - target.pixels[index]!) / 255) ** 2;
    return 1 - Math.sqrt(sum / pixels.length);
  };
}

/** Highest where the mean of all pixels is `mean` and their standard deviation as large as can be. Both from 0 to 1. */
export function brightness(mean: number): Score {
  return ({ pixels }) => {
    let sum = 0;
    let squares = 0;
    for (const value of pixels) {
      sum += value / 255;
      squares += (value / 255) ** 2;
    }
    const found = sum / pixels.length;
    const contrast = Math.sqrt(Math.max(0, squares / pixels.length - found * found));
    return 0.5 * contrast - Math.abs(found - mean);
  };
}

/** The default export of a module. @throws Error when there is no such module, or no function in it */
export async function scoreOf(file: string): Promise<Score> {
  const { default: score } = (await import(pathToFileURL(file).href)) as { default?: unknown };
  if (typeof score !== 'function') throw new TypeError(`${file} has no function as its default export`);
  return score as Score;
}
