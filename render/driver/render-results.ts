// What a driver gets for what it asked: for each image once, its pixels or why there are none; and how the job went on the whole.

import type { Code, ErrCode, PixelFormat, StageTimes } from '../proto/render.js';

export interface RenderedImage {
  readonly kind: 'rendered';
  /** Of the request, from 0. */
  readonly index: number;
  readonly width: number;
  readonly height: number;
  readonly format: PixelFormat;
  /** Rows from the top, without gaps; or a whole PNG or EXR file. Yours to keep. */
  readonly pixels: Uint8Array;
  readonly attempts: number;
  readonly renderMs: number;
  /** Serial of the node that rendered it; 0 when the main node does not say. */
  readonly node: number;
  readonly times: StageTimes | null;
}

export interface MissingImage {
  readonly kind: 'missing';
  readonly index: number;
  readonly code: ErrCode;
  readonly error: string;
  readonly attempts: number;
  readonly node: number;
}

export type ImageResult = RenderedImage | MissingImage;

/** How a job ended of which every image has its result. */
export interface RenderSummary {
  /** OK; PARTIAL, INTERNAL, CANCELED or TIMEOUT where images are missing. */
  readonly code: Code;
  readonly message: string;
  /** What FarmClient knows it by; null when the main node did not say. */
  readonly job: bigint | null;
  readonly rendered: number;
  readonly missing: number;
}

/** All of it, when it is small enough to be held at once. */
export interface RenderedJob extends RenderSummary {
  /** By index. */
  readonly results: readonly ImageResult[];
}

export type RenderState =
  | 'submitting' // it was not answered yet
  | 'waiting' // nobody can take it now; it is asked for again
  | 'rendering'
  | 'reconnecting' // the main node was lost; what is missing is asked for again
  | 'finished'
  | 'failed';

export interface RenderProgress {
  readonly state: RenderState;
  readonly job: bigint | null;
  readonly images: number;
  readonly rendered: number;
  readonly missing: number;
  /** Why it waits, reconnects or failed. */
  readonly message: string;
}
