// Pixels of every format as 8-bit pixels that PNG has, and smaller ones. Pure; runs on the threads of image-job.ts.

import { convertIndexedToRgb, decode, encode } from 'fast-png';
import { RenderError } from '../errors.js';
import type { FarmPixels } from '../main/farm.js';
import { PixelFormat } from '../proto/render.js';

interface Raster {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 RGB, 4 RGBA. */
  readonly channels: number;
  readonly bytes: Uint8Array;
}

/** A whole PNG file, at most `widthMax` wide; 0: as wide as it is. @throws RenderError RENDER_REQUEST_INVALID: an EXR file */
export function pngOf(image: FarmPixels, widthMax: number): Uint8Array {
  const isSmallEnough = widthMax === 0 || image.width <= widthMax;
  if (image.format === PixelFormat.PNG && isSmallEnough) return image.pixels;
  const raster = rasterOf(image);
  const { width, height, channels, bytes } = isSmallEnough ? raster : shrunk(raster, widthMax);
  return encode({ width, height, channels, data: bytes });
}

/** @throws RenderError RENDER_REQUEST_INVALID */
function rasterOf({ format, width, height, pixels }: FarmPixels): Raster {
  switch (format) {
    case PixelFormat.GRAY8:
      return { width, height, channels: 1, bytes: pixels };
    case PixelFormat.RGB8:
      return { width, height, channels: 3, bytes: pixels };
    case PixelFormat.RGBA8:
      return { width, height, channels: 4, bytes: pixels };
    case PixelFormat.RGBA32F:
      return { width, height, channels: 4, bytes: displayed(pixels) };
    case PixelFormat.PNG:
      return decodedPng(pixels);
    case PixelFormat.EXR:
      throw new RenderError('RENDER_REQUEST_INVALID', 'EXR images are not shown: fetch the job to have them');
    default:
      format satisfies never;
      throw new RenderError(
        'RENDER_REQUEST_INVALID',
        `pixels of the format ${String(format)} are not known here`,
      );
  }
}

/** Linear light as a screen wants it (sRGB), cut at 1; alpha is linear already. */
function displayed(pixels: Uint8Array): Uint8Array {
  const view = new DataView(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const bytes = new Uint8Array(pixels.byteLength / 4);
  for (let index = 0; index < bytes.length; index += 1) {
    const value = Math.min(1, Math.max(0, view.getFloat32(index * 4, true)));
    const shown = value <= 0.003_130_8 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055;
    bytes[index] = Math.round((index % 4 === 3 ? value : shown) * 255); // NaN becomes 0
  }
  return bytes;
}

/** @throws RenderError RENDER_REQUEST_INVALID: fewer than 8 bits, which no renderer writes */
function decodedPng(file: Uint8Array): Raster {
  const png = decode(file);
  const { width, height, channels, depth, data } = png;
  if (png.palette !== undefined) return { width, height, channels: 3, bytes: convertIndexedToRgb(png) };
  if (depth < 8)
    throw new RenderError('RENDER_REQUEST_INVALID', `a PNG of ${depth} bits cannot be made smaller`);
  const bytes = depth === 16 ? Uint8Array.from(data, (value) => value >> 8) : Uint8Array.from(data);
  return { width, height, channels, bytes };
}

/** Each pixel is the mean of those it stands for. */
function shrunk({ width, height, channels, bytes }: Raster, widthMax: number): Raster {
  const newWidth = widthMax;
  const newHeight = Math.max(1, Math.round((height * widthMax) / width));
  const out = new Uint8Array(newWidth * newHeight * channels);
  for (let y = 0; y < newHeight; y += 1) {
    const top = Math.floor((y * height) / newHeight);
    const bottom = Math.max(top + 1, Math.floor(((y + 1) * height) / newHeight));
    for (let x = 0; x < newWidth; x += 1) {
      const left = Math.floor((x * width) / newWidth);
      const right = Math.max(left + 1, Math.floor(((x + 1) * width) / newWidth));
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let row = top; row < bottom; row += 1)
          for (let column = left; column < right; column += 1)
            sum += bytes[(row * width + column) * channels + channel]!; // within the raster
        out[(y * newWidth + x) * channels + channel] = Math.round(sum / ((bottom - top) * (right - left)));
      }
    }
  }
  return { width: newWidth, height: newHeight, channels, bytes: out };
}
