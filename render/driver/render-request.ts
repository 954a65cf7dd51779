// What a driver asks for, checked before anything is sent, and the message that asks for all of it or for what is still missing.
// render-driver.ts checks with it; render-job.ts asks again after a lost registration, then for some of the images only. Pure.

import { RenderError } from '../errors.js';
import { type Light, packLight } from '../lights.js';
import { PixelFormat, type Position, type RenderReq } from '../proto/render.js';
import { RENDERER_LIGHTS_MAX, RENDERER_SAMPLES_MAX, RENDERER_SIDE_MAX } from '../renderer/message.js';

/** The lights of one image: as numbers from 0 to 255 each, or packed. All sets of a request have as many. */
export type LightSet = readonly (Light | number)[];

export interface RenderRequest {
  /** How many. Default: as many as there are light sets, or frames. */
  images?: number;
  width: number;
  height: number;
  /** Rays for each pixel. Default 16. */
  samples?: number;
  /** Default GRAY8. */
  format?: PixelFormat;
  /** One set for each image, or one for all of them. Default: no lights. */
  lights?: readonly LightSet[];
  /** Frame of the scene for each image. Default: the one that the scene opens with. */
  frames?: readonly number[];
  /** SHA-256 of a .blend file in lower-case hex, see FarmClient.putScene. Default: what the workers were started with. */
  scene?: string;
  /** Only nodes with this tag. */
  tag?: string;
  /** Of the renderer's random numbers. Default 0. */
  seed?: number;
  /** Higher ones are rendered first. Default 0. */
  priority?: number;
  /** Milliseconds for all of it, then what is missing is given up. Default: the main node's, a day. */
  deadlineMs?: number;
  /** Where the object is. Default: where the driver last moved it. */
  position?: Position;
  /** The job goes on when this driver goes. Default false. */
  detached?: boolean;
}

/** All that was asked for; what was left out is filled in. */
export interface CheckedRequest {
  readonly images: number;
  readonly lightCount: number;
  /** `lightCount` words for each image. */
  readonly words: readonly number[];
  readonly frames: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly format: PixelFormat;
  readonly scene: string;
  readonly tag: string;
  readonly seed: number;
  readonly priority: number;
  /** Infinity: none. */
  readonly deadlineMs: number;
  readonly position: Position | null;
  readonly detached: boolean;
}

const SAMPLES = 16;
const IMAGES_MAX = 1_000_000;
const U32_MAX = 2 ** 32 - 1;
const I32_MAX = 2 ** 31 - 1;
const SCENE = /^(?:default|[0-9a-f]{64})?$/;

/** @throws RenderError RENDER_REQUEST_INVALID or RENDER_LIGHTS_MALFORMED, saying what would be right */
export function checkRequest(request: RenderRequest): CheckedRequest {
  const { width, height, samples = SAMPLES, format = PixelFormat.GRAY8, lights = [], frames = [] } = request;
  const { scene = '', tag = '', seed = 0, priority = 0, deadlineMs = Infinity, position = null } = request;
  const given = lights.length > 1 ? lights.length : frames.length > 0 ? frames.length : 1;
  const images = request.images ?? given;
  whole('images', images, 1, IMAGES_MAX);
  whole('width', width, 1, RENDERER_SIDE_MAX);
  whole('height', height, 1, RENDERER_SIDE_MAX);
  whole('samples', samples, 1, RENDERER_SAMPLES_MAX);
  if (!Object.values(PixelFormat).includes(format)) throw invalid(`format ${String(format)} is none`);
  if (frames.length > 0 && frames.length !== images)
    throw invalid(`${images} images need ${images} frames or none, not ${frames.length}`);
  for (const frame of frames) whole('a frame', frame, -I32_MAX, I32_MAX);
  whole('seed', seed, 0, U32_MAX);
  whole('priority', priority, -I32_MAX, I32_MAX);
  if (!(deadlineMs > 0)) throw invalid(`deadlineMs must be above 0, not ${deadlineMs}`);
  if (!SCENE.test(scene)) throw invalid(`scene must be a SHA-256 in lower-case hex, not "${scene}"`);
  if (position !== null) checkPosition(position);
  const { words, lightCount } = packSets(lights, images);
  return {
    images,
    lightCount,
    words,
    frames,
    width,
    height,
    samples,
    format,
    scene,
    tag,
    seed,
    priority,
    deadlineMs,
    position,
    detached: request.detached === true,
  };
}

/** @throws RenderError RENDER_REQUEST_INVALID */
export function checkPosition({ x, y, z }: Position): void {
  if (![x, y, z].every(Number.isFinite)) throw invalid(`a position has three numbers, not ${x}, ${y}, ${z}`);
}

/**
 * The message that asks for the images `indexes`, numbered anew from 0 when they are not all of them.
 * @param remainingMs Infinity: no deadline
 */
export function requestMessage(
  request: CheckedRequest,
  indexes: readonly number[],
  remainingMs: number,
): Omit<RenderReq, 'id' | 'requestId' | 'position'> {
  const { lightCount, words, frames, width, height, samples, format } = request;
  const isWhole = indexes.length === request.images;
  const setAt = (index: number): readonly number[] =>
    words.slice(index * lightCount, (index + 1) * lightCount);
  return {
    taskCount: indexes.length,
    lightCount,
    lights: isWhole ? [...words] : indexes.flatMap(setAt),
    width,
    height,
    samples,
    format,
    deadlineMs: remainingMs === Infinity ? 0 : Math.max(1, Math.min(U32_MAX, Math.ceil(remainingMs))),
    priority: request.priority,
    frames: frames.length === 0 ? [] : indexes.map((index) => frames[index]!), // as many as images, checked
    scene: request.scene,
    tag: request.tag,
    seed: request.seed,
    detached: request.detached,
  };
}

/** @throws RenderError RENDER_LIGHTS_MALFORMED naming the set and the light */
function packSets(
  sets: readonly LightSet[],
  images: number,
): { words: readonly number[]; lightCount: number } {
  if (sets.length > 1 && sets.length !== images)
    throw malformed(`${images} images need ${images} light sets, or one for all, not ${sets.length}`);
  const lightCount = sets[0]?.length ?? 0;
  if (lightCount > RENDERER_LIGHTS_MAX)
    throw malformed(`a light set has at most ${RENDERER_LIGHTS_MAX} lights, not ${lightCount}`);
  const packed = sets.map((set, setIndex) => {
    if (set.length !== lightCount)
      throw malformed(`light set ${setIndex} has ${set.length} lights, the first one ${lightCount}`);
    return set.map((light, index) => packOne(light, setIndex, index));
  });
  const [first = []] = packed;
  const words = packed.length === 1 ? Array.from({ length: images }, () => first).flat() : packed.flat();
  return { words, lightCount };
}

function packOne(light: Light | number, setIndex: number, index: number): number {
  const place = `light ${index} of set ${setIndex}`;
  if (typeof light === 'number') {
    if (light >>> 0 !== light) throw malformed(`${place} is ${light}, no u32`);
    return light;
  }
  try {
    return packLight(light);
  } catch (error) {
    if (error instanceof RenderError) throw malformed(`${place}: ${error.message}`);
    throw error;
  }
}

function whole(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw invalid(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
}

function invalid(message: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', message);
}

function malformed(message: string): RenderError {
  return new RenderError('RENDER_LIGHTS_MALFORMED', message);
}
