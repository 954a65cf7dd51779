// The farm's figures for Prometheus, and those of its web side; asked for at scrape time. web-server.ts serves them.

import { Counter, Gauge, Registry } from 'prom-client';
import { type Farm, JOB_STATES } from '../main/farm.js';
import type { FarmImages } from './farm-images.js';
import type { LiveEvents } from './live-events.js';

const PREFIX = 'reactor_net_render_';

export class WebMetrics {
  readonly #registry = new Registry();

  constructor(farm: Farm, live: LiveEvents, images: FarmImages) {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      const collected: Gauge = new Gauge({
        name: `${PREFIX}${name}`,
        help,
        registers,
        collect: () => collected.set(read()),
      });
    };
    const counter = (name: string, help: string, read: () => number): void => {
      const collected: Counter = new Counter({
        name: `${PREFIX}${name}`,
        help,
        registers,
        collect: () => {
          collected.reset();
          collected.inc(read());
        },
      });
    };
    gauge('drivers', 'Drivers registered.', () => farm.totals().drivers);
    gauge('workers', 'Worker nodes registered.', () => farm.totals().workers);
    gauge('slots', 'Renderer processes of all worker nodes.', () => farm.totals().slots);
    gauge('images_open', 'Images that are wanted and not there yet.', () => farm.totals().imagesOpen);
    counter('images_rendered_total', 'Images rendered.', () => farm.totals().imagesRendered);
    counter('images_failed_total', 'Images given up.', () => farm.totals().imagesFailed);
    gauge('result_bytes', 'Images that are kept.', () => farm.totals().resultBytes);
    gauge('web_watchers', 'Pages that are kept up to date.', () => live.figures().watchers);
    counter('web_watchers_slow_total', 'Pages dropped for being slow.', () => live.figures().slow);
    gauge('web_png_cache_bytes', 'PNG files that are kept.', () => images.figures().bytes);
    const jobs: Gauge<'state'> = new Gauge({
      name: `${PREFIX}jobs`,
      help: 'Jobs by state.',
      labelNames: ['state'],
      registers,
      collect: () => {
        const totals = farm.totals();
        for (const state of JOB_STATES) jobs.set({ state }, totals.jobs[state]);
      },
    });
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}
