// What is told of images and requests: times by stage, reasons with the last lines that were printed, the status of the whole.
// render-desk.ts makes results by it. Pure.

import type { RenderError } from '../errors.js';
import { Code, ErrCode, type Status } from '../proto/render.js';
import type { ImageResult } from './answer-pieces.js';
import type { RenderRun } from './render-run.js';
import type { CrewOutcome, Flight } from './renderer-crew.js';

/** Of what a renderer printed last, in the reason of a failure. */
const LAST_CHARS_MAX = 600;
const U32_MAX = 0xffff_ffff;

export function goodImage(attempts: number, outcome: CrewOutcome, flight: Flight): ImageResult {
  const { reply, tookMs, writeMs } = outcome;
  const { renderUs = 0, readOutUs = 0, body = new Uint8Array(0) } = reply ?? {};
  const shmUs = Math.max(0, tookMs * 1000 - renderUs);
  // This process may have slept between writing and noting it, while the renderer was at work: that is none of the write.
  const shmRequestUs = Math.min(shmUs, writeMs * 1000);
  return {
    index: flight.index,
    code: ErrCode.EC_OK,
    error: '',
    attempts,
    renderMs: u32(renderUs / 1000),
    times: {
      queueUs: u32((flight.sentAt - flight.run.takenAt) * 1000),
      shmRequestUs: u32(shmRequestUs),
      renderUs: u32(renderUs - readOutUs),
      readOutUs: u32(readOutUs),
      shmReplyUs: u32(shmUs - shmRequestUs),
    },
    pixels: body,
    atMs: performance.now(),
  };
}

/** Of a request whose images all have their result. */
export function endOf(run: RenderRun, { done, failed }: { done: number; failed: number }): Status {
  if (failed === 0) return { code: Code.OK, message: '', retryAfterMs: 0 };
  if (run.isCanceled) return { code: Code.CANCELED, message: 'canceled', retryAfterMs: 0 };
  const failures = run.results.filter(({ code }) => code !== ErrCode.EC_OK);
  const message = `${failed} of ${done + failed} images are missing: ${failures[0]?.error ?? ''}`;
  if (done > 0) return { code: Code.PARTIAL, message, retryAfterMs: 0 };
  const isLate = failures.every(({ code }) => code === ErrCode.EC_TIMEOUT);
  return { code: isLate ? Code.TIMEOUT : Code.INTERNAL, message, retryAfterMs: 0 };
}

/** Of a request that was not taken. */
export function statusOf({ code, message, retryAfterMs }: RenderError): Status {
  const wire = CODES[code] ?? Code.INTERNAL;
  return { code: wire, message, retryAfterMs: retryAfterMs ?? 0 };
}

const CODES: Readonly<Partial<Record<RenderError['code'], Code>>> = {
  RENDER_OVERLOAD: Code.OVERLOAD,
  RENDER_REQUEST_INVALID: Code.INVALID_ARGUMENT,
  RENDER_REQUEST_TOO_LARGE: Code.INVALID_ARGUMENT,
  RENDER_LIGHTS_MALFORMED: Code.INVALID_ARGUMENT,
  RENDER_NOT_FOUND: Code.NOT_FOUND,
  RENDER_CANCELED: Code.CANCELED,
  RENDER_UNAUTHORIZED: Code.UNAUTHORIZED,
};

/** So that whoever reads the reason need not ask for the log. */
export function withLastLines(reason: string, log: string): string {
  const last = log.trimEnd().slice(-LAST_CHARS_MAX);
  return last === '' ? reason : `${reason}; it printed last: ${last}`;
}

function u32(value: number): number {
  return Math.min(U32_MAX, Math.max(0, Math.round(value)));
}
