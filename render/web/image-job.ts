// The functions that the threads of farm-images.ts run.

import type { FarmPixels } from '../main/farm.js';
import { pngOf } from './pixels.js';

export interface PngJob {
  readonly image: FarmPixels;
  readonly widthMax: number;
}

/** @throws RenderError RENDER_REQUEST_INVALID */
export function png({ image, widthMax }: PngJob): Uint8Array {
  return pngOf(image, widthMax);
}
