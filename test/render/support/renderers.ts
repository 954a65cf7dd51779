// Renderers in tests: a request to give them, and what a test must not leave behind: processes, segments, folders.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { TestContext } from 'node:test';

import { listSegments } from '../../../addon/jbus/index.js';
import {
  packLight,
  PixelFormat,
  type Renderer,
  RendererProcess,
  type RendererProcessOptions,
  RENDERER_OPS,
  rendererRequest,
  type RendererRequest,
} from '../../../render/index.js';
import { until } from '../../support/until.js';

/** Generous: on a busy machine everything takes longer. */
export const PATIENT = { deadlineMs: 300_000 } as const;
export const START_TIMEOUT_MS = 300_000;

export const WHITE: number = packLight({ intensity: 255, r: 255, g: 255, b: 255 });
export const RED: number = packLight({ intensity: 255, r: 255, g: 0, b: 0 });
export const DIM: number = packLight({ intensity: 60, r: 255, g: 255, b: 255 });

let lastSerial = 0;
const started = new WeakMap<TestContext, RendererProcess[]>();

/** One grey image of 16 × 12, unless the fields say otherwise; every request has ids of its own. */
export function imageRequest(fields: Partial<RendererRequest> = {}): RendererRequest {
  lastSerial += 1;
  const { lights = [WHITE, RED] } = fields;
  return rendererRequest({
    op: RENDERER_OPS.render,
    requestId: 2n ** 60n + BigInt(lastSerial),
    serial: lastSerial,
    version: 1,
    taskCount: 1,
    lightCount: lights.length / (fields.taskCount ?? 1),
    width: 16,
    height: 12,
    samples: 2,
    format: PixelFormat.GRAY8,
    lights,
    ...fields,
  });
}

/** Ready, with its states from here on; stopped after the test, with nothing left of it. */
export async function startRenderer(
  t: TestContext,
  renderer: Renderer,
  options: RendererProcessOptions = {},
): Promise<{ process: RendererProcess; states: string[] }> {
  const states: string[] = [];
  const process = new RendererProcess(
    renderer,
    { startTimeoutMs: START_TIMEOUT_MS, graceMs: 2000, restartFirstMs: 1, restartCapMs: 10, ...options },
    ({ state }) => states.push(state),
  );
  let mine = started.get(t);
  if (mine === undefined) {
    const all: RendererProcess[] = [];
    mine = all;
    started.set(t, all);
    t.after(async () => {
      await Promise.all(all.map((one) => one.stop()));
      assert.deepEqual(leftovers(), NOTHING_LEFT);
    });
  }
  mine.push(process);
  await process.start();
  return { process, states };
}

export async function idle(process: RendererProcess): Promise<void> {
  await until(() => process.state === 'idle');
}

export const NOTHING_LEFT: ReturnType<typeof leftovers> = { processes: [], segments: [], folders: [] };

/** What this process has started or made, and is still there. */
export function leftovers(): { processes: string[]; segments: number[]; folders: string[] } {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  const segments = listSegments().filter(({ header }) => header.creatorPid === process.pid);
  const mine = `reactor-net-render-${process.pid}-`;
  const folders = ['/dev/shm', tmpdir()].flatMap((parent) =>
    readdirSync(parent).filter((name) => name.startsWith(mine)),
  );
  return {
    processes: children === '' ? [] : children.split(' '),
    segments: segments.map(({ status }) => status.id),
    folders,
  };
}
