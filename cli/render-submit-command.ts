// `reactor-net render submit`: its flags, and what must agree among them. render-submission.ts reads what they name,
// render-submit.ts carries it out.

import { type CommandSpec, declareCommand } from './command-spec.js';
import {
  type Flag,
  type FlagTable,
  readChoice,
  readCount,
  readSeconds,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import { checkRenderTarget, RENDER_TARGET_FLAGS, type RenderTargetFlags } from './render-client-flags.js';
import { refuseUnreadable } from './readable-file.js';

export interface OutputFlags {
  out: string | null;
  overwrite: boolean;
  animation: string | null;
  fps: number;
}

interface SubmitFlags extends RenderTargetFlags, OutputFlags {
  images: number | null;
  size: { readonly width: number; readonly height: number } | null;
  lights: string | null;
  scene: string | null;
  frames: readonly number[];
  samples: number;
  seed: number;
  position: { readonly x: number; readonly y: number; readonly z: number } | null;
  format: FormatName;
  priority: number;
  tag: string;
  deadlineMs: number | null;
  name: string;
  detach: boolean;
}

export type RenderSubmitOptions = Omit<SubmitFlags, 'size'> & {
  readonly verb: 'submit';
  readonly width: number;
  readonly height: number;
};

const FORMAT_NAMES = ['gray', 'rgb', 'rgba', 'float', 'png', 'exr'] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];

const WHAT = 'What is rendered:';
const HOW = 'How it is rendered:';
const OUTPUT = 'Where it goes:';
const IMAGES_MAX = 1_000_000;
/** A frame's delay is a fraction of 16 bits in APNG. */
const FPS_MAX = 65_535;
const SIDE_MAX = 16_384;
const U32_MAX = 2 ** 32 - 1;
const I32_MAX = 2 ** 31 - 1;

export const OUTPUT_FLAGS: FlagTable<OutputFlags> = {
  out: {
    flag: 'out',
    value: 'DIR',
    group: OUTPUT,
    summary: 'folder for image-0001.png and so on; it is made where there is none',
    read: readText,
    fallback: null,
    fallbackText: 'must be given',
  },
  overwrite: {
    flag: 'overwrite',
    group: OUTPUT,
    summary: 'the images of another job that are in the folder are removed',
    read: readSwitch,
    fallback: false,
  },
  animation: {
    flag: 'animation',
    value: 'FILE',
    group: OUTPUT,
    summary: 'also one image that moves: .png or .apng, or .mp4 where ffmpeg is installed',
    read: readText,
    fallback: null,
  },
  fps: {
    flag: 'fps',
    value: 'N',
    group: OUTPUT,
    summary: 'its frames each second',
    read: readCount(1, FPS_MAX),
    fallback: 24,
    fallbackText: '24',
  },
};

/** Also of `render priority`. */
export const PRIORITY: Flag<number> = {
  flag: 'priority',
  value: 'N',
  group: HOW,
  summary: 'jobs with a higher one are rendered first; may be negative',
  read: readPriority,
  fallback: 0,
  fallbackText: '0',
};

const SUBMIT_FLAGS: FlagTable<SubmitFlags> = {
  images: {
    flag: 'images',
    value: 'N',
    group: WHAT,
    summary: 'how many',
    read: readCount(1, IMAGES_MAX),
    fallback: null,
    fallbackText: 'as many as light sets or frames',
  },
  size: {
    flag: 'size',
    value: 'WxH',
    group: WHAT,
    summary: 'width and height of each, such as 640x480',
    read: readSize,
    fallback: null,
    fallbackText: 'must be given',
  },
  lights: {
    flag: 'lights',
    value: 'FILE',
    group: WHAT,
    summary: 'YAML or JSON: a list of light sets, one for each image or one for all',
    read: readText,
    fallback: null,
  },
  frames: {
    flag: 'frames',
    value: 'A-B,C',
    group: WHAT,
    summary: 'frames of the scene, one for each image',
    read: readFrames,
    fallback: [],
  },
  position: {
    flag: 'position',
    value: 'X,Y,Z',
    group: WHAT,
    summary: 'where the object is',
    read: readPosition,
    fallback: null,
    fallbackText: '0,0,0',
  },
  scene: {
    flag: 'scene',
    value: 'FILE',
    group: WHAT,
    summary: 'a .blend file, which is sent to the farm unless it has it already',
    read: readText,
    fallback: null,
    fallbackText: 'what the workers were started with',
  },
  format: {
    flag: 'format',
    value: 'NAME',
    group: WHAT,
    summary: `pixels: ${FORMAT_NAMES.join(', ')}; png and exr are made by the renderer, where it can`,
    choices: FORMAT_NAMES,
    read: readChoice(FORMAT_NAMES),
    fallback: 'gray',
    fallbackText: 'gray',
  },
  samples: {
    flag: 'samples',
    value: 'N',
    group: HOW,
    summary: 'rays for each pixel',
    read: readCount(1, 0xff_ffff),
    fallback: 16,
    fallbackText: '16',
  },
  seed: {
    flag: 'seed',
    value: 'N',
    group: HOW,
    summary: "of the renderer's random numbers",
    read: readCount(0, U32_MAX),
    fallback: 0,
    fallbackText: '0',
  },
  priority: PRIORITY,
  tag: {
    flag: 'tag',
    value: 'TAG',
    group: HOW,
    summary: 'only workers with this tag',
    read: readText,
    fallback: '',
  },
  deadlineMs: {
    flag: 'deadline',
    value: 'TIME',
    group: HOW,
    summary: 'what is missing then is given up, in seconds or such as 10m',
    read: readSeconds,
    fallback: null,
    fallbackText: 'a day',
  },
  name: {
    flag: 'name',
    value: 'NAME',
    group: HOW,
    summary: 'who asks, as "render jobs" shows it',
    read: readText,
    fallback: 'render submit',
    fallbackText: 'render submit',
  },
  detach: {
    flag: 'detach',
    group: HOW,
    summary: 'do not wait: the job goes on by itself, and "render fetch" gets its images',
    read: readSwitch,
    fallback: false,
  },
  ...OUTPUT_FLAGS,
  ...RENDER_TARGET_FLAGS,
};

export const RENDER_SUBMIT_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['render', 'submit'],
    summary: 'have images rendered, and write them as numbered files',
    flags: SUBMIT_FLAGS,
    complete: (flags, _operands, context) => {
      checkRenderTarget(flags, context);
      const { size, lights, detach, out, animation, ...others } = flags;
      if (size === null) throw new UsageError('--size: must be given, such as --size 640x480');
      if (out === null && !detach)
        throw new UsageError('--out: name a folder for the images, or leave them at the farm with --detach');
      if (out !== null && detach) throw new UsageError('--out: nothing is waited for with --detach');
      if (detach && animation !== null)
        throw new UsageError('--animation: nothing is waited for with --detach; "render fetch" makes it');
      if (flags.images === null && lights === null && flags.frames.length === 0)
        throw new UsageError('--images: must be given, such as --images 10');
      refuseUnreadable('lights', lights, context);
      return {
        kind: 'render',
        options: { ...others, verb: 'submit', ...size, lights, detach, out, animation },
      };
    },
  }),
];

function readSize(text: string): { width: number; height: number } {
  const [, width = 0, height = 0] = (/^(\d{1,5})x(\d{1,5})$/i.exec(text) ?? []).map(Number);
  const fits = (side: number): boolean => side >= 1 && side <= SIDE_MAX;
  if (fits(width) && fits(height)) return { width, height };
  throw new UsageError(`"${text}" should be such as 640x480, each from 1 to ${SIDE_MAX}`);
}

/** `1-10,20`: the order is kept. */
function readFrames(text: string): readonly number[] {
  const frames = text.split(',').flatMap((part) => {
    const [, first = '', last = first] = /^\s*(-?\d{1,7})(?:-(-?\d{1,7}))?\s*$/.exec(part) ?? [];
    const count = Number(last) - Number(first) + 1;
    if (first === '' || count < 1 || count > IMAGES_MAX)
      throw new UsageError(`"${part}" should be a frame such as 7, or some such as 1-10`);
    return Array.from({ length: count }, (_, index) => Number(first) + index);
  });
  if (frames.length <= IMAGES_MAX) return frames;
  throw new UsageError(`"${text}" should be at most ${IMAGES_MAX} frames`);
}

function readPosition(text: string): { x: number; y: number; z: number } {
  const parts = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  const [x, y, z] = parts;
  if (parts.length === 3 && parts.every(Number.isFinite)) return { x: x!, y: y!, z: z! }; // three, as checked
  throw new UsageError(`"${text}" should be three numbers, such as 0,1.5,-2`);
}

export function readPriority(text: string): number {
  const priority = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(priority) <= I32_MAX) return priority;
  throw new UsageError(`"${text}" should be a whole number from ${-I32_MAX} to ${I32_MAX}`);
}
