// What `render submit` asks for, from its flags and the files that they name. What does not fit together is wrong usage.

import { readFileSync } from 'node:fs';
import { animationProblem, type LightSet, PixelFormat, type RenderRequest } from '../render/index.js';
import { UsageError } from './flags.js';
import { readLightSets } from './render-lights-file.js';
import type { FormatName, OutputFlags, RenderSubmitOptions } from './render-submit-command.js';

const FORMATS: Readonly<Record<FormatName, PixelFormat>> = {
  gray: PixelFormat.GRAY8,
  rgb: PixelFormat.RGB8,
  rgba: PixelFormat.RGBA8,
  float: PixelFormat.RGBA32F,
  png: PixelFormat.PNG,
  exr: PixelFormat.EXR,
};

/** All but the scene, which is brought to the farm first. */
export type Submission = RenderRequest & Required<Pick<RenderRequest, 'images' | 'format'>>;

/** @throws UsageError */
export function submissionOf(options: RenderSubmitOptions): Submission {
  const { width, height, samples, frames, tag, seed, priority, deadlineMs, position, detach } = options;
  const lights =
    options.lights === null ? [] : readLightSets(readFileSync(options.lights, 'utf8'), options.lights);
  const format = FORMATS[options.format];
  checkAnimation(options, format);
  return {
    images: imageCount(options.images, lights, frames),
    width,
    height,
    samples,
    format,
    lights,
    frames,
    tag,
    seed,
    priority,
    detached: detach,
    ...(deadlineMs === null ? {} : { deadlineMs }),
    ...(position === null ? {} : { position }),
  };
}

/** @throws UsageError */
export function checkAnimation({ animation }: Pick<OutputFlags, 'animation'>, format: PixelFormat): void {
  const problem = animation === null ? null : animationProblem(animation, format);
  if (problem !== null) throw new UsageError(`--animation: ${problem}`);
}

/** One number of images, whoever says it. @throws UsageError */
function imageCount(told: number | null, sets: readonly LightSet[], frames: readonly number[]): number {
  const images = told ?? (sets.length > 1 ? sets.length : Math.max(1, frames.length));
  if (sets.length > 1 && sets.length !== images)
    throw new UsageError(
      `--lights: there are ${sets.length} light sets; ${images} images need ${images}, or one for all`,
    );
  if (frames.length > 0 && frames.length !== images)
    throw new UsageError(`--frames: there are ${frames.length} frames; ${images} images need ${images}`);
  const [first = []] = sets;
  const other = sets.findIndex((set) => set.length !== first.length);
  if (other !== -1)
    throw new UsageError(
      `--lights: set ${other + 1} has ${sets[other]!.length} lights, set 1 has ${first.length}; all need as many`,
    );
  return images;
}
