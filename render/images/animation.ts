// The images of a folder as one that moves: APNG by ourselves, MP4 by ffmpeg where that is installed.
// `render submit --animation` and `render fetch --animation` make one at the end. A missing image is a black frame.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { RenderError } from '../errors.js';
import { PixelFormat } from '../proto/render.js';
import { fileError, writeAtomically } from './atomic-file.js';
import { ApngEncoder } from './apng.js';
import { imageBytes } from '../renderer/message.js';
import { encodeImage } from './image-encoding.js';
import { pngChunks } from './png-chunks.js';

export const FPS_MAX = 65_535;
/** In IHDR; and what its values are. */
const COLOUR_TYPE_OFFSET = 9;
const KINDS: Readonly<Record<number, PixelFormat>> = {
  0: PixelFormat.GRAY8,
  2: PixelFormat.RGB8,
  6: PixelFormat.RGBA8,
};

export interface AnimationRequest {
  /** `.png` or `.apng`, or `.mp4`. */
  readonly file: string;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  /** The PNG file of each frame; null where it is missing. */
  readonly frames: readonly (string | null)[];
}

/** What is wrong with such a file, known before anything is rendered; null: nothing. */
export function animationProblem(file: string, format: PixelFormat): string | null {
  if (format === PixelFormat.EXR) return 'EXR images cannot be animated';
  const extension = path.extname(file).toLowerCase();
  if (extension === '.png' || extension === '.apng') return null;
  if (extension !== '.mp4') return `"${file}" should end in .png, .apng or .mp4`;
  return spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' }).status === 0
    ? null
    : 'for .mp4 ffmpeg must be installed; .png needs nothing';
}

/** @throws RenderError RENDER_IO, RENDER_REQUEST_INVALID: the images do not fit together; RENDER_FAILED: ffmpeg */
export async function writeAnimation(request: AnimationRequest): Promise<void> {
  const isVideo = path.extname(request.file).toLowerCase() === '.mp4';
  await writeAtomically(request.file, async (file, temporaryPath) => {
    if (isVideo) return encodeVideo(request, temporaryPath);
    const encoder = new ApngEncoder(request.frames.length, request.fps);
    for await (const png of pngFrames(request)) await file.write(encoder.frame(png));
    await file.write(encoder.end());
  });
}

async function* pngFrames(request: AnimationRequest): AsyncGenerator<Uint8Array> {
  const { frames, width, height } = request;
  const kind = await kindOf(request);
  for (const frame of frames) {
    try {
      yield frame === null ? blackFrame(width, height, kind) : await readFile(frame);
    } catch (error) {
      throw fileError(error);
    }
  }
}

/** What the other frames have, and so must black ones; of files of the renderer the first one tells. */
async function kindOf({ frames, format }: AnimationRequest): Promise<PixelFormat> {
  if (format !== PixelFormat.PNG) return format === PixelFormat.RGBA32F ? PixelFormat.RGBA8 : format;
  const first = frames.find((frame) => frame !== null);
  const header = first === undefined ? undefined : pngChunks(await readFile(first))?.[0]?.data;
  return KINDS[header?.[COLOUR_TYPE_OFFSET] ?? -1] ?? PixelFormat.RGBA8;
}

function blackFrame(width: number, height: number, format: PixelFormat): Uint8Array {
  const pixels = new Uint8Array(imageBytes(width, height, format) ?? 0);
  if (format === PixelFormat.RGBA8) for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255;
  return encodeImage({ width, height, format, pixels });
}

/** H.264 that every player takes: even sides, 4:2:0. */
async function encodeVideo(request: AnimationRequest, output: string): Promise<void> {
  const input = ['-f', 'image2pipe', '-c:v', 'png', '-framerate', String(request.fps), '-i', '-'];
  const video = ['-c:v', 'libx264', '-crf', '20', '-pix_fmt', 'yuv420p', '-movflags', '+faststart'];
  const even = ['-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2'];
  const args = ['-hide_banner', '-loglevel', 'error', '-y', ...input, ...even, ...video, '-f', 'mp4', output];
  const child = spawn('ffmpeg', args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told = (told + text).slice(-2000)));
  const ended = once(child, 'close') as Promise<[number | null]>;
  ended.catch(() => {}); // it did not even start: the pipeline fails, too
  const failed = (cause: unknown): RenderError =>
    new RenderError('RENDER_FAILED', `ffmpeg failed: ${told.trim().split('\n').at(-1) ?? ''}`, { cause });
  try {
    await pipeline(Readable.from(pngFrames(request)), child.stdin);
  } catch (error) {
    child.kill('SIGKILL');
    await ended.catch(() => {}); // as above
    throw error instanceof RenderError ? error : failed(error);
  }
  const [code] = await ended;
  if (code !== 0) throw failed(`exit code ${code}`);
}
