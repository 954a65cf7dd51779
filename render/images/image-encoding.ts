// Pixels as the bytes of a file: PNG for raw pixels, and as they are for what is a file already.
// image-folder.ts writes them; animations are made of the same. The deflating is fast-png's.

import { RenderError } from '../errors.js';
import { PixelFormat } from '../proto/render.js';
import { imageBytes } from '../renderer/message.js';
import { encodePng, type PngPixels } from './png-encoder.js';

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  readonly pixels: Uint8Array;
}

/** `.png` or `.exr`. */
export function extensionOf(format: PixelFormat): '.png' | '.exr' {
  return format === PixelFormat.EXR ? '.exr' : '.png';
}

/**
 * The file of one image. RGBA32F, which is linear light without bounds, is cut to 0…1 and written as 8 bits in the
 * sRGB curve: for more than a look ask for EXR, which is written as it came.
 * @throws RenderError RENDER_MESSAGE_INVALID: the pixels are not as many as the size says
 */
export function encodeImage(image: Pixels): Uint8Array {
  const raw = rawPixels(image);
  return raw === null ? image.pixels : encodePng(raw);
}

/** What is to become a PNG file; null for what is a file already. @throws as `encodeImage` */
export function rawPixels({ width, height, format, pixels }: Pixels): PngPixels | null {
  if (format === PixelFormat.PNG || format === PixelFormat.EXR) return null;
  const bytes = imageBytes(width, height, format);
  if (bytes === undefined || pixels.length !== bytes) {
    throw new RenderError(
      'RENDER_MESSAGE_INVALID',
      `an image of ${width}x${height} in format ${format} has ${bytes ?? 'unknown'} bytes, not ${pixels.length}`,
    );
  }
  const channels = format === PixelFormat.GRAY8 ? 1 : format === PixelFormat.RGB8 ? 3 : 4;
  return { width, height, channels, data: pixels, isFloat: format === PixelFormat.RGBA32F };
}
