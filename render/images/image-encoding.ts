// Pixels as the bytes of a file: PNG for raw pixels, and as they are for what is a file already.
// image-folder.ts writes them; animations are made of the same. The deflating is fast-png's.

import { encode } from 'fast-png';
import { RenderError } from '../errors.js';
import { PixelFormat } from '../proto/render.js';
import { imageBytes } from '../renderer/message.js';

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
export function encodeImage({ width, height, format, pixels }: Pixels): Uint8Array {
  if (format === PixelFormat.PNG || format === PixelFormat.EXR) return pixels;
  const bytes = imageBytes(width, height, format);
  if (bytes === undefined || pixels.length !== bytes) {
    throw new RenderError(
      'RENDER_MESSAGE_INVALID',
      `an image of ${width}x${height} in format ${format} has ${bytes ?? 'unknown'} bytes, not ${pixels.length}`,
    );
  }
  const data = format === PixelFormat.RGBA32F ? eightBits(pixels) : pixels;
  return encode({ width, height, data, depth: 8, channels: channelsOf(format) });
}

function channelsOf(format: PixelFormat): number {
  if (format === PixelFormat.GRAY8) return 1;
  return format === PixelFormat.RGB8 ? 3 : 4;
}

/** Little-endian floats to bytes; alpha keeps its straight line. */
function eightBits(floats: Uint8Array): Uint8Array {
  const view = new DataView(floats.buffer, floats.byteOffset, floats.byteLength);
  return Uint8Array.from({ length: floats.length / 4 }, (_, index) => {
    const value = view.getFloat32(index * 4, true);
    const cut = value > 0 ? Math.min(value, 1) : 0; // not a number is 0 as well
    return Math.round(255 * (index % 4 === 3 ? cut : curved(cut)));
  });
}

/** IEC 61966-2-1. */
function curved(linear: number): number {
  return linear <= 0.003_130_8 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}
