// Keeps pages up to date: listens to the farm, gathers changes, samples the load, and tells all watchers the same lines.
// A line is made once however many watch, and not at all when nobody does. web-server.ts owns it.

import type { ServerResponse } from 'node:http';
import { RenderError } from '../errors.js';
import type { Farm } from '../main/farm.js';
import { Changes } from './changes.js';
import { LoadHistory } from './load-history.js';
import { webJob, type WebFarm } from './shapes.js';
import { Watcher } from './watcher.js';
import type { FarmWebSettings } from './web-options.js';

/** The load graphs go back so far. */
const HISTORY_MS = 10 * 60_000;
/** Proxies end connections that say nothing. */
const BEAT_MS = 15_000;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

export type LiveSettings = Pick<
  FarmWebSettings,
  'watchersMax' | 'watcherBytesMax' | 'gatherMs' | 'loadStepMs'
>;

export class LiveEvents {
  readonly #farm: Farm;
  readonly #facts: () => WebFarm;
  readonly #settings: LiveSettings;
  readonly #watchers = new Set<Watcher>();
  readonly #changes = new Changes();
  readonly #history: LoadHistory;
  readonly #unsubscribe: () => void;
  readonly #timers: readonly NodeJS.Timeout[];
  #gathering: NodeJS.Timeout | null = null;
  #slowCount = 0;

  constructor(farm: Farm, facts: () => WebFarm, settings: LiveSettings) {
    this.#farm = farm;
    this.#facts = facts;
    this.#settings = settings;
    this.#history = new LoadHistory(Math.max(1, Math.floor(HISTORY_MS / settings.loadStepMs)));
    this.#unsubscribe = farm.subscribe((event) => {
      if (this.#watchers.size === 0) return;
      this.#changes.note(event);
      this.#gathering ??= setTimeout(() => this.#flush(), settings.gatherMs);
    });
    this.#timers = [
      setInterval(() => this.#sample(), settings.loadStepMs),
      setInterval(() => this.#tellAll(': beat\n\n'), BEAT_MS),
    ];
    for (const timer of this.#timers) timer.unref();
    this.#sample();
  }

  get history(): LoadHistory {
    return this.#history;
  }

  figures(): { readonly watchers: number; readonly slow: number } {
    return { watchers: this.#watchers.size, slow: this.#slowCount };
  }

  /** @throws RenderError RENDER_OVERLOAD: as many watch as may */
  watch(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
    const { watchersMax, watcherBytesMax } = this.#settings;
    if (this.#watchers.size >= watchersMax)
      throw new RenderError('RENDER_OVERLOAD', `${watchersMax} pages are kept up to date already`, {
        retryAfterMs: 5000,
      });
    response.writeHead(200, { ...headers, ...HEADERS });
    const watcher = new Watcher(response, watcherBytesMax, (gone) => this.#watchers.delete(gone));
    this.#watchers.add(watcher);
    watcher.tell(eventOf('hello', this.#facts()));
  }

  close(): void {
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    for (const watcher of this.#watchers) watcher.end();
    this.#watchers.clear();
  }

  #flush(): void {
    this.#gathering = null;
    const { jobs, jobsRemoved, images, workers, workersRemoved, more } = this.#changes.take();
    const lines: string[] = [];
    if (jobs.length > 0 || jobsRemoved.length > 0)
      lines.push(eventOf('jobs', { jobs: jobs.flatMap((id) => this.#job(id)), removed: jobsRemoved }));
    for (const [job, changed] of images) {
      lines.push(
        eventOf('images', { job, images: [...changed].map(([index, state]) => ({ index, state })) }),
      );
    }
    if (workers.length > 0 || workersRemoved.length > 0) {
      const named = new Set(workers);
      lines.push(
        eventOf('workers', {
          workers: this.#farm.workers().filter(({ serial }) => named.has(serial)),
          removed: workersRemoved,
        }),
      );
    }
    lines.push(eventOf('totals', this.#farm.totals()));
    if (more) lines.push(eventOf('more', {}));
    this.#tellAll(lines.join(''));
  }

  /** None: it was removed meanwhile, which the next telling says. */
  #job(id: number): object[] {
    try {
      return [webJob(this.#farm.job(id))];
    } catch (error) {
      if (error instanceof RenderError && error.code === 'RENDER_NOT_FOUND') return [];
      throw error;
    }
  }

  #sample(): void {
    const point = this.#history.note(Date.now(), this.#farm.totals().imagesRendered, this.#farm.workers());
    if (this.#watchers.size > 0) this.#tellAll(eventOf('load', point));
  }

  #tellAll(lines: string): void {
    for (const watcher of this.#watchers) {
      if (watcher.tell(lines)) continue;
      this.#watchers.delete(watcher);
      this.#slowCount += 1;
    }
  }
}

function eventOf(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
