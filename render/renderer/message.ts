// Message v1 between a worker node and a renderer: requests with their light words one way, pixels or a reason the other.
// renderer-process.ts and the built-in renderer speak it over jbus; python/render_message.py is the same in Python, and
// both are tested on test/render/vectors/renderer-message.json. docs/render-renderers.md has the table.
// Pure. Little-endian. What the other process wrote is checked to the last byte before anything of it is used.

import { RenderError } from '../errors.js';
import { ErrCode, PixelFormat } from '../proto/render.js';

/** Types of the jbus messages that carry requests, replies and, once, what a renderer says of itself. */
export const RENDERER_MESSAGE = { request: 1, reply: 2, ready: 3 } as const;

export const RENDERER_OPS = { render: 1, ping: 2, move: 3, shutdown: 4, cancel: 5 } as const;
export type RendererOp = (typeof RENDERER_OPS)[keyof typeof RENDERER_OPS];

export const RENDERER_SIDE_MAX = 16_384;
export const RENDERER_TASKS_MAX = 65_536;
export const RENDERER_LIGHTS_MAX = 4096;
export const RENDERER_SAMPLES_MAX = 0xff_ffff;
const SCENE_BYTES_MAX = 4096;
/** Of a message over jbus, head included. */
export const RENDERER_MESSAGE_BYTES_MAX: number = 256 * 1024 * 1024;
const ERROR_BYTES_MAX = 4096;

export interface RendererRequest {
  readonly requestId: bigint;
  /** The task, within the worker node. */
  readonly serial: number;
  /** The attempt at it. */
  readonly version: number;
  readonly op: RendererOp;
  readonly taskCount: number;
  readonly lightCount: number;
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly format: PixelFormat;
  readonly position: readonly [x: number, y: number, z: number];
  /** `lightCount` words for each image; see lights.ts. */
  readonly lights: readonly number[];
  /** Of each image, or none: then it is the scene's own. */
  readonly frames: readonly number[];
  readonly seed: number;
  /** Path of a .blend file, or '' for what the renderer was started with. */
  readonly scene: string;
}

export interface RendererReply {
  readonly requestId: bigint;
  readonly serial: number;
  readonly version: number;
  readonly err: ErrCode;
  readonly taskCount: number;
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  readonly renderUs: number;
  /** How much of that it took to get at the pixels. */
  readonly readOutUs: number;
  /** The images one after the other, rows from the top; UTF-8 text when `err` is not EC_OK. */
  readonly body: Uint8Array;
}

const REQUEST_HEAD_BYTES = 64;
const TRAILER_HEAD_BYTES = 16;
const REPLY_HEAD_BYTES = 48;
/** Undefined for files, whose size nobody knows beforehand: such a message carries one image. */
const BYTES_PER_PIXEL: readonly (number | undefined)[] = [1, 3, 4, 16, undefined, undefined];
const NOTHING = new Uint8Array(0);

/** Bytes of one raw image; undefined for PNG and EXR. */
export function imageBytes(width: number, height: number, format: PixelFormat): number | undefined {
  const perPixel = BYTES_PER_PIXEL[format];
  return perPixel === undefined ? undefined : width * height * perPixel;
}

/** Whatever is not given is 0. */
export function rendererRequest(
  fields: Partial<RendererRequest> & Pick<RendererRequest, 'op'>,
): RendererRequest {
  return {
    requestId: 0n,
    serial: 0,
    version: 0,
    taskCount: 0,
    lightCount: 0,
    width: 0,
    height: 0,
    samples: 0,
    format: PixelFormat.GRAY8,
    position: [0, 0, 0],
    lights: [],
    frames: [],
    seed: 0,
    scene: '',
    ...fields,
  };
}

/** The reply to a request, with its ids; an error has its text as `body`, of which the beginning is kept. */
export function rendererReply(
  to: Pick<RendererRequest, 'requestId' | 'serial' | 'version'>,
  fields: Partial<RendererReply> & { text?: string } = {},
): RendererReply {
  const { text, ...rest } = fields;
  const { requestId, serial, version } = to;
  const none = { taskCount: 0, width: 0, height: 0, format: PixelFormat.GRAY8, renderUs: 0, readOutUs: 0 };
  const body = text === undefined ? NOTHING : shortened(text);
  return { requestId, serial, version, err: ErrCode.EC_OK, ...none, body, ...rest };
}

/** @throws RenderError RENDER_REQUEST_INVALID: a field is out of its range. */
export function encodeRendererRequest(request: RendererRequest): Buffer {
  const wrong = wrongIds(request) ?? wrongRequest(request);
  if (wrong !== undefined) throw new RenderError('RENDER_REQUEST_INVALID', wrong);
  const sceneBytes = Buffer.byteLength(request.scene);
  const trailerBytes = hasTrailer(request) ? TRAILER_HEAD_BYTES + 4 * request.frames.length + sceneBytes : 0;
  const { serial, version, op, taskCount, lightCount, width, height, samples, format, position } = request;
  const bytes = Buffer.allocUnsafe(REQUEST_HEAD_BYTES + 4 * request.lights.length + trailerBytes);
  bytes.writeBigUInt64LE(request.requestId, 0);
  bytes.writeUInt32LE(serial, 8);
  bytes.writeUInt32LE(version, 12);
  bytes.writeUInt32LE(op, 16);
  bytes.writeUInt32LE(taskCount, 20);
  bytes.writeUInt32LE(lightCount, 24);
  bytes.writeUInt32LE(width, 28);
  bytes.writeUInt32LE(height, 32);
  // By multiplication: `format << 24` would turn negative from 128 on.
  bytes.writeUInt32LE(samples + format * 2 ** 24, 36);
  bytes.writeDoubleLE(position[0], 40);
  bytes.writeDoubleLE(position[1], 48);
  bytes.writeDoubleLE(position[2], 56);
  let offset = REQUEST_HEAD_BYTES;
  for (const light of request.lights) offset = bytes.writeUInt32LE(light, offset);
  if (trailerBytes === 0) return bytes;
  for (const word of [trailerBytes, request.seed, request.frames.length, sceneBytes])
    offset = bytes.writeUInt32LE(word, offset);
  for (const frame of request.frames) offset = bytes.writeInt32LE(frame, offset);
  bytes.write(request.scene, offset);
  return bytes;
}

/** @throws RenderError RENDER_MESSAGE_INVALID: it is no request. */
export function decodeRendererRequest(data: Uint8Array): RendererRequest {
  if (data.length < REQUEST_HEAD_BYTES)
    throw invalid(`a request has at least ${REQUEST_HEAD_BYTES} bytes, not ${data.length}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const word = (offset: number): number => view.getUint32(offset, true);
  const taskCount = word(20);
  const lightCount = word(24);
  const lightCountAll = taskCount * lightCount;
  const rest = data.length - REQUEST_HEAD_BYTES;
  if (rest < 4 * lightCountAll)
    throw invalid(`${rest} bytes of lights, not ${taskCount} × ${lightCount} words`);
  const lights = Array.from({ length: lightCountAll }, (_, index) => word(REQUEST_HEAD_BYTES + 4 * index));
  const request = {
    requestId: view.getBigUint64(0, true),
    serial: word(8),
    version: word(12),
    op: word(16) as RendererOp, // judged below
    taskCount,
    lightCount,
    width: word(28),
    height: word(32),
    samples: word(36) & RENDERER_SAMPLES_MAX,
    format: (word(36) >>> 24) as PixelFormat, // judged below
    position: [view.getFloat64(40, true), view.getFloat64(48, true), view.getFloat64(56, true)] as const,
    lights,
    ...decodedTrailer(data.subarray(REQUEST_HEAD_BYTES + 4 * lightCountAll)),
  };
  const wrong = wrongRequest(request);
  if (wrong !== undefined) throw invalid(wrong);
  return request;
}

/** Messages without frames, seed and scene end with their lights, as they did before there was a trailer. */
function hasTrailer({ frames, seed, scene }: RendererRequest): boolean {
  return frames.length > 0 || seed !== 0 || scene !== '';
}

function decodedTrailer(data: Uint8Array): Pick<RendererRequest, 'frames' | 'seed' | 'scene'> {
  if (data.length === 0) return { frames: [], seed: 0, scene: '' };
  if (data.length < TRAILER_HEAD_BYTES) throw invalid(`${data.length} bytes behind the lights`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const frameCount = view.getUint32(8, true);
  const sceneBytes = view.getUint32(12, true);
  const bytes = TRAILER_HEAD_BYTES + 4 * frameCount + sceneBytes;
  if (view.getUint32(0, true) !== data.length || bytes !== data.length)
    throw invalid(`${data.length} bytes behind the lights, not ${bytes}`);
  const scene = data.subarray(data.length - sceneBytes);
  if (!isUtf8(scene)) throw invalid('the path of the scene is not UTF-8');
  return {
    frames: Array.from({ length: frameCount }, (_, index) =>
      view.getInt32(TRAILER_HEAD_BYTES + 4 * index, true),
    ),
    seed: view.getUint32(4, true),
    scene: new TextDecoder().decode(scene),
  };
}

/** @throws RenderError RENDER_REQUEST_INVALID: a field is out of its range, or the body has not the bytes of its images. */
export function encodeRendererReply(reply: RendererReply): Buffer {
  const wrong = wrongIds(reply) ?? wrongReply(reply);
  if (wrong !== undefined) throw new RenderError('RENDER_REQUEST_INVALID', wrong);
  const bytes = Buffer.allocUnsafe(REPLY_HEAD_BYTES + reply.body.length);
  bytes.writeBigUInt64LE(reply.requestId, 0);
  bytes.writeUInt32LE(reply.serial, 8);
  bytes.writeUInt32LE(reply.version, 12);
  bytes.writeUInt32LE(reply.err, 16);
  bytes.writeUInt32LE(reply.taskCount, 20);
  bytes.writeUInt32LE(reply.width, 24);
  bytes.writeUInt32LE(reply.height, 28);
  bytes.writeUInt32LE(reply.format, 32);
  bytes.writeUInt32LE(reply.readOutUs, 36);
  bytes.writeBigUInt64LE(BigInt(reply.renderUs), 40);
  bytes.set(reply.body, REPLY_HEAD_BYTES);
  return bytes;
}

/** `body` is a view into `data`. @throws RenderError RENDER_MESSAGE_INVALID: it is no reply. */
export function decodeRendererReply(data: Uint8Array): RendererReply {
  if (data.length < REPLY_HEAD_BYTES)
    throw invalid(`a reply has at least ${REPLY_HEAD_BYTES} bytes, not ${data.length}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const word = (offset: number): number => view.getUint32(offset, true);
  const reply = {
    requestId: view.getBigUint64(0, true),
    serial: word(8),
    version: word(12),
    err: word(16) as ErrCode, // judged below
    taskCount: word(20),
    width: word(24),
    height: word(28),
    format: word(32) as PixelFormat, // judged below
    renderUs: Number(view.getBigUint64(40, true)),
    readOutUs: word(36),
    body: data.subarray(REPLY_HEAD_BYTES),
  };
  const wrong = wrongReply(reply);
  if (wrong !== undefined) throw invalid(wrong);
  return reply;
}

/** The text of a reply that is an error. */
export function replyText({ body }: RendererReply): string {
  return new TextDecoder().decode(body);
}

function wrongRequest(request: RendererRequest): string | undefined {
  const { op, taskCount, lightCount, width, height, samples, format, position, lights, frames } = request;
  if (!(op >= RENDERER_OPS.render && op <= RENDERER_OPS.cancel)) return `unknown op ${op}`;
  if (!position.every((part) => Number.isFinite(part))) return 'the position is not finite';
  if (lights.length !== taskCount * lightCount)
    return `${lights.length} lights, not ${taskCount} × ${lightCount}`;
  if (frames.length !== 0 && frames.length !== taskCount)
    return `${frames.length} frames for ${taskCount} images`;
  const isRender = op === RENDERER_OPS.render;
  return (
    wrongRange('samples', samples, isRender ? 1 : 0, RENDERER_SAMPLES_MAX) ??
    wrongRange('format', format, PixelFormat.GRAY8, PixelFormat.EXR) ??
    wrongRange('lightCount', lightCount, 0, RENDERER_LIGHTS_MAX) ??
    wrongRange('taskCount', taskCount, isRender ? 1 : 0, RENDERER_TASKS_MAX) ??
    wrongScene(request.scene) ??
    (isRender ? wrongImages(width, height, format, taskCount) : undefined)
  );
}

function wrongReply({ err, taskCount, width, height, format, body }: RendererReply): string | undefined {
  if (err !== ErrCode.EC_OK) {
    return (
      wrongRange('err', err, ErrCode.EC_OK, ErrCode.EC_STALE_VERSION) ??
      wrongRange('bytes of the error text', body.length, 0, ERROR_BYTES_MAX) ??
      (isUtf8(body) ? undefined : 'the error text is not UTF-8')
    );
  }
  const wrongFormat = wrongRange('format', format, PixelFormat.GRAY8, PixelFormat.EXR);
  if (wrongFormat !== undefined) return wrongFormat;
  if (taskCount === 0) return wrongRange('bytes', body.length, 0, 0);
  const wrong =
    wrongRange('taskCount', taskCount, 1, RENDERER_TASKS_MAX) ??
    wrongImages(width, height, format, taskCount);
  if (wrong !== undefined) return wrong;
  const each = imageBytes(width, height, format);
  if (each === undefined)
    return wrongRange('bytes', body.length, 1, RENDERER_MESSAGE_BYTES_MAX - REPLY_HEAD_BYTES);
  return body.length === each * taskCount
    ? undefined
    : `${body.length} bytes of pixels, not ${each * taskCount}`;
}

function wrongImages(
  width: number,
  height: number,
  format: PixelFormat,
  taskCount: number,
): string | undefined {
  const wrongSide =
    wrongRange('width', width, 1, RENDERER_SIDE_MAX) ?? wrongRange('height', height, 1, RENDERER_SIDE_MAX);
  if (wrongSide !== undefined) return wrongSide;
  const each = imageBytes(width, height, format);
  if (each === undefined) return wrongRange('taskCount of files', taskCount, 1, 1);
  return each * taskCount <= RENDERER_MESSAGE_BYTES_MAX - REPLY_HEAD_BYTES
    ? undefined
    : `${taskCount} images of ${width} × ${height} do not fit one reply`;
}

function wrongScene(scene: string): string | undefined {
  if (scene === '') return undefined;
  if (!scene.startsWith('/') || scene.includes('\0')) return 'the path of the scene is not absolute';
  return wrongRange('bytes of the path of the scene', Buffer.byteLength(scene), 1, SCENE_BYTES_MAX);
}

/** What only our own side can get wrong: on the wire it is a u32 or a u64 anyway. */
function wrongIds(message: RendererRequest | RendererReply): string | undefined {
  const { requestId, serial, version } = message;
  if (BigInt.asUintN(64, requestId) !== requestId) return `requestId is ${requestId}, no u64`;
  if ('lights' in message && message.lights.some((light) => light >>> 0 !== light))
    return 'a light is no u32';
  if ('lights' in message && message.frames.some((frame) => (frame | 0) !== frame))
    return 'a frame is no i32';
  if ('lights' in message && message.seed >>> 0 !== message.seed) return `seed is ${message.seed}, no u32`;
  if ('renderUs' in message && message.readOutUs >>> 0 !== message.readOutUs) return 'readOutUs is no u32';
  if ('renderUs' in message && !Number.isSafeInteger(message.renderUs)) return 'renderUs is no whole number';
  return wrongRange('serial', serial, 0, 0xffff_ffff) ?? wrongRange('version', version, 0, 0xffff_ffff);
}

function wrongRange(name: string, value: number, least: number, most: number): string | undefined {
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return `${name} is ${value}, not from ${least} to ${most}`;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false; // the decoder throws nothing else
  }
}

function shortened(text: string): Uint8Array {
  const bytes = Buffer.alloc(ERROR_BYTES_MAX);
  return bytes.subarray(0, bytes.write(text)); // whole characters only
}

function invalid(why: string): RenderError {
  return new RenderError('RENDER_MESSAGE_INVALID', why);
}
