// One image on a worker node: what it is, where it is, and what it has been through.
// The states are those of the task table, which alone changes them:
//   queued (at a renderer, or at none while there is none) → running → done, failed
//   running → resting → queued, when it failed and may be tried again

import type { Deadline } from '../main/deadlines.js';
import type { ErrCode, Serial } from '../proto/render.js';

export type RenderTaskState = 'queued' | 'running' | 'resting' | 'done' | 'failed';

export interface RenderTask {
  readonly kind: 'task';
  /** The id under which a renderer knows it. It is given again only when no reply can come under it any more. */
  serial: Serial;
  readonly request: NodeRequest;
  readonly index: number;
  state: RenderTaskState;
  /** At which renderer it waits or runs. */
  renderer: Renderer | null;
  failures: number;
  readonly failedOn: Set<number>;
  deadline: Deadline<WorkerDeadline> | null;
}

/** What the main node sent: one attempt of one of its tasks, some images. */
export interface NodeRequest {
  readonly kind: 'request';
  readonly id: number;
  readonly first: number;
  readonly count: number;
  /** Images of the same kind take about the same time. */
  readonly imageKind: string;
  readonly tasks: RenderTask[];
  done: number;
  failed: number;
  deadline: Deadline<WorkerDeadline> | null;
}

export interface Renderer {
  readonly kind: 'renderer';
  readonly pid: number;
  isDraining: boolean;
  /** Waiting here, the next one first. */
  readonly queue: RenderTask[];
  /** What it renders now. Nobody waits for its reply any more when `task` is null. */
  flight: Flight | null;
  deadline: Deadline<WorkerDeadline> | null;
  rendered: number;
  idleSince: number;
}

export interface Flight {
  /** Of this sending: no two have the same, so that a late reply is known. */
  readonly version: number;
  readonly serial: Serial;
  readonly sentAt: number;
  task: RenderTask | null;
}

export type WorkerDeadline = RenderTask | NodeRequest | Renderer;

export type WorkerEffect =
  /** Write the image's message into the renderer's channel; when that is full, say `channelFull`. */
  | {
      readonly kind: 'send';
      readonly pid: number;
      readonly task: number;
      readonly version: number;
      readonly request: number;
      readonly index: number;
    }
  /** Keep the pixels of the reply that was just told. */
  | {
      readonly kind: 'rendered';
      readonly request: number;
      readonly index: number;
      readonly pid: number;
      readonly attempts: number;
    }
  | {
      readonly kind: 'failed';
      readonly request: number;
      readonly index: number;
      readonly code: ErrCode;
      readonly error: string;
      readonly attempts: number;
    }
  /** Every image of the request has its result. */
  | { readonly kind: 'finished'; readonly request: number; readonly done: number; readonly failed: number }
  /** Nobody waits for this sending any more: a renderer that can break off may. Its reply is still to be told. */
  | { readonly kind: 'abandon'; readonly pid: number; readonly version: number }
  /** It does not come back from an image that nobody waits for any more. */
  | { readonly kind: 'kill'; readonly pid: number; readonly reason: string };

export interface TaskTableOptions {
  /** Images that wait or run; more are refused. Default 4,096. */
  readonly tasksMax?: number;
  /** Attempts after the first one that may fail here, before the main node hears of it. Default 1. */
  readonly retriesMax?: number;
  /** Before the second attempt and at most, in ms. Default 50 and 2,000. */
  readonly backoffBaseMs?: number;
  readonly backoffCapMs?: number;
  /** An image may take so many times what is estimated, and never less than the minimum. Default 3 and 5,000. */
  readonly timeoutFactor?: number;
  readonly timeoutMinMs?: number;
  /** While nothing was measured yet. Default 300,000. */
  readonly timeoutUnknownMs?: number;
  /** How long a renderer may go on with an image that nobody waits for. Default 5,000. */
  readonly graceMs?: number;
  /** After a full channel, in ms. Default 5. */
  readonly channelPauseMs?: number;
}

export interface TaskTableFigures {
  readonly renderers: number;
  readonly queued: number;
  readonly running: number;
  readonly resting: number;
  readonly rendered: number;
  readonly failed: number;
  readonly retries: number;
  readonly stolen: number;
  readonly timeouts: number;
  readonly staleReplies: number;
  readonly channelsFull: number;
}
