// What the commands that write images say and make at the end: which ones are missing, and the animation.

import { ErrCode, type MissingImage, type PixelFormat, writeAnimation } from '../render/index.js';
import type { Io } from './main.js';

/** `EC_TIMEOUT`. */
export function errorName(code: number): string {
  return Object.entries(ErrCode).find(([, value]) => value === code)?.[0] ?? `code ${code}`;
}

/** The missing ones by name and reason: JSON on standard output, for people on standard error. */
export function tellMissing(missing: readonly MissingImage[], io: Io, json: boolean): void {
  for (const { index, code, error, attempts } of [...missing].toSorted((a, b) => a.index - b.index)) {
    const name = errorName(code);
    if (json)
      io.stdout.write(
        `${JSON.stringify({ event: 'missing', index, code: name, message: error, attempts })}\n`,
      );
    else io.stderr.write(`image ${index} is missing: ${name}${error === '' ? '' : `: ${error}`}\n`);
  }
}

/** @returns the file; null: none was asked for, or there is no image at all */
export async function animate(
  options: {
    readonly animation: string | null;
    readonly fps: number;
    readonly width: number;
    readonly height: number;
    readonly format: PixelFormat;
  },
  frames: readonly (string | null)[],
): Promise<string | null> {
  const { animation: file, fps, width, height, format } = options;
  if (file === null || frames.every((frame) => frame === null)) return null;
  await writeAnimation({ file, fps, width, height, format, frames });
  return file;
}
