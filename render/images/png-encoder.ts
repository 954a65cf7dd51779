// Raw pixels as a PNG file, by fast-png. image-encoding.ts calls it here, image-writer.ts on threads of its own, for which
// it is a module without anything else.

import { encode } from 'fast-png';

export interface PngPixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** Bytes; or little-endian floats of linear light. */
  readonly data: Uint8Array;
  readonly isFloat: boolean;
}

export function encodePng({ width, height, channels, data, isFloat }: PngPixels): Uint8Array {
  return encode({ width, height, data: isFloat ? eightBits(data) : data, depth: 8, channels });
}

/** Cut to 0…1 and bent by the sRGB curve; alpha keeps its straight line. */
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
