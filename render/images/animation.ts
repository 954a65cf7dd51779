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
import { encodeImage } from './image-encoding.js';

export const FPS_MAX = 65_535;

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

async function* pngFrames({ frames, width, height, format }: AnimationRequest): AsyncGenerator<Uint8Array> {
  // Of the kind of pixels that the others have; PNG files of the renderer are taken to have all colours.
  const kind = format === PixelFormat.PNG ? PixelFormat.RGBA8 : format;
  const black = (): Uint8Array =>
    encodeImage({ width, height, format: kind, pixels: blackPixels(width, height, kind) });
  for (const frame of frames) {
    try {
      yield frame === null ? black() : await readFile(frame);
    } catch (error) {
      throw fileError(error);
    }
  }
}

function blackPixels(width: number, height: number, format: PixelFormat): Uint8Array {
  const bytesEach = format === PixelFormat.GRAY8 ? 1 : format === PixelFormat.RGB8 ? 3 : 4;
  if (format !== PixelFormat.RGBA8 && format !== PixelFormat.RGBA32F)
    return new Uint8Array(width * height * bytesEach);
  const pixels =
    format === PixelFormat.RGBA8 ? new Uint8Array(width * height * 4) : new Float32Array(width * height * 4);
  for (let index = 3; index < pixels.length; index += 4)
    pixels[index] = format === PixelFormat.RGBA8 ? 255 : 1;
  return new Uint8Array(pixels.buffer);
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
