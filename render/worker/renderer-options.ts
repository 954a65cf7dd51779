// What a renderer process may be asked for: times, bounds and their defaults, checked once.
// renderer-process.ts and renderer-pool.ts read it; inside, options are complete.

import { RenderError } from '../errors.js';

export interface RendererProcessOptions {
  /** Milliseconds from start to READY; a scene has to be loaded meanwhile. Default 60,000. */
  startTimeoutMs?: number;
  /** Milliseconds that a request to end, and then SIGTERM, have to take effect. Default 5000. */
  graceMs?: number;
  /** Milliseconds that a canceled task may go on before its process is killed. Default 2000. */
  cancelGraceMs?: number;
  /** Milliseconds for a request to find room in the ring. Default 5000. */
  writeTimeoutMs?: number;
  /** Restarts after it has died, in any minute; one more and it has failed. Default 5. */
  restartsPerMinute?: number;
  /** Milliseconds before the first restart; each further one waits twice as long. Default 200. */
  restartFirstMs?: number;
  /** The longest such wait. Default 10,000. */
  restartCapMs?: number;
  /** Requests after which a process is replaced, for Blender grows. Default: as the renderer says, or 10,000. */
  rendersMax?: number;
  /** Resident bytes beyond which it is replaced. Default 4 GiB. */
  rssBytesMax?: number;
  /** Bytes of output that are kept for a task. Default 16 KiB. */
  logBytesMax?: number;
  /** Bytes of the ring for requests, a power of two. Default 1 MiB. */
  capacityOut?: number;
  /** Bytes of the ring for replies, a power of two. Default 8 MiB. */
  capacityIn?: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const DEFAULTS: Readonly<Required<RendererProcessOptions>> = {
  startTimeoutMs: 60_000,
  graceMs: 5000,
  cancelGraceMs: 2000,
  writeTimeoutMs: 5000,
  restartsPerMinute: 5,
  restartFirstMs: 200,
  restartCapMs: 10_000,
  rendersMax: 10_000,
  rssBytesMax: 4096 * MIB,
  logBytesMax: 16 * KIB,
  capacityOut: MIB,
  capacityIn: 8 * MIB,
};
/** What each must be at least; the capacities are judged by jbus too. */
const LEAST: Partial<Record<keyof RendererProcessOptions, number>> = {
  rendersMax: 1,
  rssBytesMax: 1,
  capacityOut: 4 * KIB,
  capacityIn: 4 * KIB,
};

/** @throws RenderError RENDER_OPTION_INVALID naming the option. */
export function completeRendererOptions(options: RendererProcessOptions): Required<RendererProcessOptions> {
  const complete = { ...DEFAULTS, ...options };
  for (const name of Object.keys(DEFAULTS) as (keyof RendererProcessOptions)[]) {
    const value = complete[name];
    const least = LEAST[name] ?? 0;
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new RenderError(
      'RENDER_OPTION_INVALID',
      `${name} must be a whole number of at least ${least}, not ${String(value)}`,
    );
  }
  if (complete.restartCapMs >= complete.restartFirstMs) return complete;
  throw new RenderError('RENDER_OPTION_INVALID', 'restartCapMs must be at least restartFirstMs');
}
