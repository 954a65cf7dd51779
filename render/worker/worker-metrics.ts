// A worker node's figures for Prometheus, read when they are asked for. cli serves them; a program may as well.

import { Counter, Gauge, Registry } from 'prom-client';
import type { WorkerFigures } from './worker-node.js';

const PREFIX = 'reactor_net_render_worker_';

type Read = (figures: WorkerFigures) => number;

const GAUGES: readonly (readonly [name: string, help: string, read: Read])[] = [
  ['renderers', 'Renderer processes that take work.', ({ slots }) => slots],
  ['renderers_starting', 'Renderer processes that do not take work yet.', ({ starting }) => starting],
  ['renderers_max', 'Renderer processes at most.', ({ slotsMax }) => slotsMax],
  ['images_queued', 'Images that wait.', ({ desk }) => desk.queued],
  ['images_running', 'Images that are being rendered.', ({ desk }) => desk.running],
  ['images_resting', 'Images that wait for another try.', ({ desk }) => desk.resting],
  [
    'requests',
    'Requests that are here, answered ones that are kept among them.',
    ({ desk }) => desk.requests,
  ],
  ['reserved_bytes', 'Memory that images of these requests may take.', ({ desk }) => desk.reservedBytes],
  ['cpu_ratio', 'CPU use of the machine, smoothed.', ({ load }) => load.cpu],
  ['cpu_others_ratio', 'CPU use of all but the renderers, smoothed.', ({ load }) => load.cpuOthers],
  ['memory_ratio', 'Memory of the machine that is not available, smoothed.', ({ load }) => load.memory],
  ['gpu_ratio', 'Use of the busiest GPU, smoothed.', ({ load }) => load.gpu],
  ['gpu_celsius', 'Temperature of the hottest GPU.', ({ load }) => load.gpuCelsius],
  ['scene_bytes', 'Scenes on the disk.', ({ scenes }) => scenes.bytes],
  [
    'is_registered',
    '1 while the main node answers and knows this node.',
    ({ isRegistered }) => (isRegistered ? 1 : 0),
  ],
  ['is_draining', '1 while no new work is taken.', ({ isDraining }) => (isDraining ? 1 : 0)],
];

const COUNTERS: readonly (readonly [name: string, help: string, read: Read])[] = [
  ['images_rendered_total', 'Images rendered.', ({ desk }) => desk.rendered],
  ['images_failed_total', 'Images that could not be had.', ({ desk }) => desk.failed],
  ['retries_total', 'Further tries at images.', ({ desk }) => desk.retries],
  ['stolen_total', 'Images that an idle renderer took from another.', ({ desk }) => desk.stolen],
  ['timeouts_total', 'Images that took too long.', ({ desk }) => desk.timeouts],
  ['stale_replies_total', 'Replies that nobody waited for any more.', ({ desk }) => desk.staleReplies],
  ['refused_total', 'Requests refused for want of room, or while draining.', ({ desk }) => desk.refused],
  ['renderer_restarts_total', 'Renderers started again after they had died.', ({ restarts }) => restarts],
  ['renderer_cpu_seconds_total', 'CPU time of renderers.', ({ rendererCpuMs }) => rendererCpuMs / 1000],
  ['scene_fetches_total', 'Scenes fetched from the main node.', ({ scenes }) => scenes.fetches],
  ['registrations_total', 'Registrations at the main node.', ({ registrations }) => registrations],
];

export class WorkerMetrics {
  readonly registry: Registry = new Registry();

  constructor(figures: () => WorkerFigures) {
    for (const [name, help, read] of GAUGES) {
      this.registry.registerMetric(
        new Gauge({
          name: PREFIX + name,
          help,
          registers: [],
          collect() {
            this.set(read(figures()));
          },
        }),
      );
    }
    for (const [name, help, read] of COUNTERS) {
      this.registry.registerMetric(
        new Counter({
          name: PREFIX + name,
          help,
          registers: [],
          collect() {
            this.reset();
            this.inc(read(figures()));
          },
        }),
      );
    }
  }

  /** The Prometheus text. */
  render(): Promise<string> {
    return this.registry.metrics();
  }
}
