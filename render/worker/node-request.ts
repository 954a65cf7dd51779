// What a main node asks of a worker node: whether it can be, how much its images take, and what a renderer is told of each.
// render-desk.ts takes requests by it. Pure.

import { RenderError } from '../errors.js';
import { checkLights, lightsOf } from '../lights.js';
import type { SlaveRenderReq } from '../proto/render.js';
import {
  encodeRendererRequest,
  imageBytes,
  RENDERER_OPS,
  type RendererRequest,
} from '../renderer/message.js';

const IMAGES_MAX = 65_536;
/** Of PNG and EXR nobody knows before; uncompressed floats are the largest. */
const FILE_PIXEL_BYTES = 16;
const FILE_HEAD_BYTES = 65_536;
const DEADLINE_MS = 86_400_000;
const SHA256 = /^[0-9a-f]{64}$/;

/** @throws RenderError RENDER_REQUEST_INVALID, RENDER_LIGHTS_MALFORMED: it can never be rendered */
export function checkNodeRequest(request: SlaveRenderReq): void {
  const { taskCount, lights, lightCount, frames, firstIndex, scene } = request;
  if (taskCount < 1 || taskCount > IMAGES_MAX || firstIndex + taskCount > 2 ** 32)
    throw invalid(`${taskCount} images from ${firstIndex} on`);
  checkLights(lights, taskCount, lightCount);
  if (frames.length !== 0 && frames.length !== taskCount)
    throw invalid(`${frames.length} frames for ${taskCount} images`);
  if (!isOwnScene(scene) && !SHA256.test(scene)) throw invalid('the scene is no SHA-256 in lower-case hex');
  encodeRendererRequest(imageRequest(request, firstIndex, { task: 0, version: 0 }, '')); // it knows the bounds
}

export function isOwnScene(scene: string): boolean {
  return scene === '' || scene === 'default';
}

/** What its images take at most. */
export function bytesOf({ taskCount, width, height, format }: SlaveRenderReq): number {
  const each = imageBytes(width, height, format) ?? width * height * FILE_PIXEL_BYTES + FILE_HEAD_BYTES;
  return taskCount * each;
}

export function deadlineOf({ deadlineMs }: SlaveRenderReq): number {
  return deadlineMs === 0 ? DEADLINE_MS : deadlineMs;
}

/** Images of one kind take about as long as each other. */
export function imageKindOf({ scene, format, width, height, samples, lightCount }: SlaveRenderReq): string {
  return `${isOwnScene(scene) ? '' : scene} ${format} ${width}x${height} ${samples} ${lightCount}`;
}

/** What a renderer is told of one image. */
export function imageRequest(
  request: SlaveRenderReq,
  index: number,
  { task, version }: { readonly task: number; readonly version: number },
  scene: string,
): RendererRequest {
  const { requestId, firstIndex, lightCount, width, height, samples, format, position, frames, seed } =
    request;
  const at = index - firstIndex;
  return {
    requestId,
    serial: task,
    version,
    op: RENDERER_OPS.render,
    taskCount: 1,
    lightCount,
    width,
    height,
    samples,
    format,
    position: [position?.x ?? 0, position?.y ?? 0, position?.z ?? 0],
    lights: lightsOf(request.lights, lightCount, at, 1),
    frames: frames.length === 0 ? [] : [frames[at]!],
    seed,
    scene,
  };
}

export function imageLights({ lights, lightCount, firstIndex }: SlaveRenderReq, index: number): number[] {
  return lightsOf(lights, lightCount, index - firstIndex, 1);
}

function invalid(what: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', what);
}
