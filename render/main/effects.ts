// What the scheduler is told by worker nodes, and what it wants done. It does nothing itself.

import type { Code, ErrCode } from '../proto/render.js';
import type { ImageFailure } from './job.js';

/** How an attempt ended, in the words of the node or of the connection to it. */
export type Answer =
  /** Rendered, but for the images named. `imageMs`: what one image took. */
  | { readonly kind: 'rendered'; readonly imageMs: number; readonly failures?: readonly ImageFailure[] }
  /** None of its images could be had. */
  | { readonly kind: 'failed'; readonly code: ErrCode; readonly error: string }
  /** The node does not take it: it was not begun, and costs nothing. */
  | { readonly kind: 'refused'; readonly retryAfterMs: number }
  /** Nobody knows: the connection broke, or the node does not know the attempt. */
  | { readonly kind: 'lost' };

export type SchedulerEffect =
  /** Send the images `first` to `first + count − 1` to the node; its answer comes to `answered`. */
  | {
      readonly kind: 'dispatch';
      readonly node: number;
      readonly attempt: number;
      readonly job: number;
      readonly task: number;
      readonly version: number;
      readonly first: number;
      readonly count: number;
      /** Given up after so long. */
      readonly timeoutMs: number;
    }
  /** Tell the node that nobody waits for this attempt any more. */
  | { readonly kind: 'cancel'; readonly node: number; readonly attempt: number }
  /** Keep the pixels of these images from the answer that was just told; there will be no others for them. */
  | {
      readonly kind: 'rendered';
      readonly job: number;
      readonly first: number;
      readonly count: number;
      readonly node: number;
      readonly attempt: number;
      readonly attempts: number;
    }
  /** These images will not come. */
  | {
      readonly kind: 'failed';
      readonly job: number;
      readonly first: number;
      readonly count: number;
      readonly code: ErrCode;
      readonly error: string;
      readonly attempts: number;
    }
  /** The node gets nothing more of this job. */
  | { readonly kind: 'blocked'; readonly job: number; readonly node: number; readonly error: string }
  /** Every image has its result. */
  | {
      readonly kind: 'finished';
      readonly job: number;
      readonly code: Code;
      readonly message: string;
      readonly done: number;
      readonly failed: number;
    };

export interface SchedulerFigures {
  readonly jobs: number;
  readonly imagesOpen: number;
  readonly attemptsRunning: number;
  readonly dispatched: number;
  readonly rendered: number;
  readonly failed: number;
  /** Answers to attempts that were given up, or that nobody made. */
  readonly staleAnswers: number;
  readonly retries: number;
  readonly timeouts: number;
  readonly losses: number;
  readonly refusals: number;
  readonly nodesBlocked: number;
}
