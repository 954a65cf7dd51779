// What the HTTP API shows of a farm, as JSON: numbers of the contract become names, nothing else changes.
// schemas.ts describes the same shapes for the OpenAPI document; a test holds the two together.

import type { FarmImage, FarmJob, FarmTotals, FarmWorker } from '../main/farm.js';
import { Code, ErrCode, PixelFormat } from '../proto/render.js';

export interface WebJob extends Omit<FarmJob, 'format' | 'code'> {
  /** Name of a PixelFormat. */
  readonly format: string;
  /** Name of a Code. */
  readonly code: string | null;
}

export interface WebImage extends Omit<FarmImage, 'code'> {
  /** Name of an ErrCode. */
  readonly code: string;
}

export type WebWorker = FarmWorker;

export interface WebOutcome {
  readonly id: number;
  readonly error: string;
  readonly state: FarmJob['state'] | null;
}

export interface WebFarm {
  readonly version: string;
  /** Another one after each start of the main node. */
  readonly boot: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly main: string;
  readonly hasTokens: boolean;
  readonly totals: FarmTotals;
}

/** One point of the load graphs. */
export interface WebLoad {
  readonly atMs: number;
  /** Since the point before. */
  readonly imagesPerSecond: number;
  readonly workers: readonly WebWorkerLoad[];
}

export interface WebWorkerLoad {
  readonly serial: number;
  readonly cpu: number;
  readonly mem: number;
  readonly gpu: number;
  readonly running: number;
  readonly queued: number;
  readonly processes: number;
}

export function webJob(job: FarmJob): WebJob {
  const { format, code } = job;
  return { ...job, format: nameOf(PixelFormat, format), code: code === null ? null : nameOf(Code, code) };
}

export function webImage(image: FarmImage): WebImage {
  return { ...image, code: nameOf(ErrCode, image.code) };
}

/** Peers with a newer contract may send numbers that have no name here. */
function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value);
}
