// Whether an image that a renderer calls good is one: not black where light shines, files with a beginning and an end.
// The desk asks where the option says so: a scene whose lights shine at nothing is black and right. Pure.

import { unpackLight } from '../lights.js';
import { PixelFormat } from '../proto/render.js';

const PNG_HEAD: Uint8Array = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The last chunk: no bytes, its name, its checksum. */
const PNG_END: Uint8Array = Buffer.from([0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);
const EXR_HEAD: Uint8Array = Buffer.from([0x76, 0x2f, 0x31, 0x01]);

/** What is wrong with it; null when nothing is. `lights` are those of this image. */
export function wrongImage(
  pixels: Uint8Array,
  format: PixelFormat,
  lights: readonly number[],
): string | null {
  switch (format) {
    case PixelFormat.PNG:
      if (!startsWith(pixels, PNG_HEAD)) return 'it is no PNG file';
      return startsWith(pixels.subarray(-PNG_END.length), PNG_END) ? null : 'the PNG file has no end';
    case PixelFormat.EXR:
      return startsWith(pixels, EXR_HEAD) ? null : 'it is no OpenEXR file';
    default:
      return lights.some(shines) && isBlack(pixels, format) ? 'it is black, although lights are on' : null;
  }
}

function shines(word: number): boolean {
  const { intensity, r, g, b } = unpackLight(word);
  return intensity > 0 && r + g + b > 0;
}

/** Alpha is no light. */
function isBlack(pixels: Uint8Array, format: PixelFormat): boolean {
  switch (format) {
    case PixelFormat.RGBA8:
      return pixels.every((byte, at) => at % 4 === 3 || byte === 0);
    case PixelFormat.RGBA32F:
      return pixels.every((byte, at) => at % 16 >= 12 || byte === 0);
    default:
      return pixels.every((byte) => byte === 0);
  }
}

function startsWith(bytes: Uint8Array, head: Uint8Array): boolean {
  return bytes.length >= head.length && head.every((byte, at) => bytes[at] === byte);
}
