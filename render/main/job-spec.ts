// What a driver asks for, checked: the images of a job as the main node keeps them and passes them on.
// Pure. Everything that a driver can send is either right here or refused with what would be right.

import { RenderError } from '../errors.js';
import { checkLights } from '../lights.js';
import { PixelFormat, type Position, type RenderReq, type SlaveRenderReq } from '../proto/render.js';
import {
  imageBytes,
  RENDERER_LIGHTS_MAX,
  RENDERER_SAMPLES_MAX,
  RENDERER_SIDE_MAX,
} from '../renderer/message.js';
import type { MessageInit } from '../../rpc/index.js';

export interface JobSpec {
  readonly images: number;
  readonly lightCount: number;
  /** `lightCount` words for each image. */
  readonly lights: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly format: PixelFormat;
  /** One for each image, or none at all. */
  readonly frames: readonly number[];
  readonly scene: string;
  readonly tag: string;
  readonly seed: number;
  /** Where the driver's object was when it asked. */
  readonly position: Position;
  readonly priority: number;
  /** Null: the scheduler's default. */
  readonly deadlineMs: number | null;
  readonly isDetached: boolean;
}

export interface SpecLimits {
  readonly imagesMax: number;
  /** Of one image, as it is sent. */
  readonly imageBytesMax: number;
}

const SAMPLES_DEFAULT = 4;
const TEXT_BYTES_MAX = 256;
/** What worker nodes have from their start, or a .blend file. */
const SCENE = /^(?:default|[0-9a-f]{64})?$/;
/** PNG and EXR files: what they may have beyond their pixels, which are counted as 4 and 16 bytes. */
const FILE_HEAD_BYTES = 65_536;
const FILE_BYTES_PER_PIXEL: Readonly<Record<number, number>> = {
  [PixelFormat.PNG]: 5,
  [PixelFormat.EXR]: 17,
};
const FORMATS: readonly number[] = Object.values(PixelFormat);

/** @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE, RENDER_LIGHTS_MALFORMED */
export function readSpec(request: RenderReq, position: Position, limits: SpecLimits): JobSpec {
  const { taskCount, lightCount, lights, width, height, format, frames, scene, tag, seed, priority } =
    request;
  const samples = request.samples === 0 ? SAMPLES_DEFAULT : request.samples;
  if (taskCount < 1) throw invalid('task_count is 0: at least one image has to be asked for');
  if (taskCount > limits.imagesMax)
    throw tooLarge(`${taskCount} images; a request has at most ${limits.imagesMax}`);
  inRange('width', width, 1, RENDERER_SIDE_MAX);
  inRange('height', height, 1, RENDERER_SIDE_MAX);
  inRange('samples', samples, 1, RENDERER_SAMPLES_MAX);
  inRange('light_count', lightCount, 0, RENDERER_LIGHTS_MAX);
  if (!FORMATS.includes(format))
    throw invalid(`format ${format} is unknown; 0 to ${FORMATS.length - 1} are known`);
  checkLights(lights, taskCount, lightCount);
  if (frames.length !== 0 && frames.length !== taskCount)
    throw invalid(`${frames.length} frames for ${taskCount} images: one for each, or none`);
  const { x, y, z } = position;
  if (![x, y, z].every(Number.isFinite)) throw invalid('a position is three finite numbers');
  checkText('scene', scene);
  if (!SCENE.test(scene))
    throw invalid(`scene "${scene}" is no SHA-256 in lower-case hex, and neither '' nor 'default'`);
  checkText('tag', tag);
  const spec: JobSpec = {
    images: taskCount,
    lightCount,
    lights,
    width,
    height,
    samples,
    format,
    frames,
    scene,
    tag,
    seed,
    position,
    priority,
    deadlineMs: request.deadlineMs === 0 ? null : request.deadlineMs,
    isDetached: request.detached,
  };
  const bytes = imageBytesAtMost(spec);
  if (bytes > limits.imageBytesMax)
    throw tooLarge(`an image of ${bytes} bytes; at most ${limits.imageBytesMax} are taken`);
  return spec;
}

/** Whether every image has the same number of bytes. */
export function isRaw({ format }: JobSpec): boolean {
  return FILE_BYTES_PER_PIXEL[format] === undefined;
}

/** The bytes of one image; of files, which differ, the most that is taken. */
export function imageBytesAtMost({ width, height, format }: JobSpec): number {
  const raw = imageBytes(width, height, format);
  return raw ?? FILE_HEAD_BYTES + width * height * (FILE_BYTES_PER_PIXEL[format] ?? 0);
}

/** Images of one kind take about the same time. */
export function kindOf({ scene, width, height, samples }: JobSpec): string {
  return `${scene} ${width}x${height} ${samples}`;
}

/** What a request id stands for: the images, not how they are to be had. */
export function isSameWork(a: JobSpec, b: JobSpec): boolean {
  const same = (
    ['images', 'lightCount', 'width', 'height', 'samples', 'format', 'scene', 'seed'] as const
  ).every((name) => a[name] === b[name]);
  return (
    same &&
    samePosition(a.position, b.position) &&
    sameNumbers(a.lights, b.lights) &&
    sameNumbers(a.frames, b.frames)
  );
}

/** What a worker node is sent for some of the images. */
export function slaveRequest(
  spec: JobSpec,
  attempt: { readonly id: number; readonly version: number; readonly first: number; readonly count: number },
  deadlineMs: number,
): MessageInit<SlaveRenderReq> {
  const { first, count, id, version } = attempt;
  const { lightCount, width, height, samples, format, scene, seed, position } = spec;
  return {
    position,
    taskCount: count,
    lightCount,
    lights: spec.lights.slice(first * lightCount, (first + count) * lightCount),
    requestId: BigInt(id),
    version,
    firstIndex: first,
    width,
    height,
    samples,
    format,
    deadlineMs: Math.min(0xffff_ffff, Math.max(1, Math.ceil(deadlineMs))),
    scene,
    frames: spec.frames.slice(first, first + count),
    seed,
  };
}

function samePosition(a: Position, b: Position): boolean {
  return a.x === b.x && a.y === b.y && a.z === b.z;
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

function inRange(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw value > most
    ? tooLarge(`${name} ${value}; at most ${most} is taken`)
    : invalid(`${name} ${value}; ${least} or more is right`);
}

function checkText(name: string, text: string): void {
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX)
    throw tooLarge(`${name} is longer than ${TEXT_BYTES_MAX} bytes`);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) throw invalid(`${name} holds control characters`);
}

function invalid(message: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', message);
}

function tooLarge(message: string): RenderError {
  return new RenderError('RENDER_REQUEST_TOO_LARGE', message);
}
