// A main node's figures for Prometheus, beside those of its farm (web/web-metrics.ts); asked for at scrape time.

import { Counter, Gauge, Registry } from 'prom-client';
import type { Farm } from './farm.js';
import type { MainFigures } from './membership.js';

const PREFIX = 'reactor_net_render_';

type Figure = readonly [name: string, help: string, read: (figures: MainFigures) => number];

const GAUGES: readonly Figure[] = [
  ['jobs_known', 'Jobs in the table, finished ones included.', ({ jobs }) => jobs],
  ['attempts_running', 'Attempts that worker nodes have.', ({ attemptsRunning }) => attemptsRunning],
  ['attempts_open', 'Answers of worker nodes that are awaited.', ({ attemptsOpen }) => attemptsOpen],
  ['calls_open', 'Calls in which drivers wait for images.', ({ callsOpen }) => callsOpen],
  ['result_memory_bytes', 'Images that are kept in memory.', ({ resultMemoryBytes }) => resultMemoryBytes],
];

const COUNTERS: readonly Figure[] = [
  ['dispatched_total', 'Attempts given to worker nodes.', ({ dispatched }) => dispatched],
  ['retries_total', 'Attempts that failed and were made again.', ({ retries }) => retries],
  ['timeouts_total', 'Attempts that took too long.', ({ timeouts }) => timeouts],
  ['losses_total', 'Attempts whose worker node went away.', ({ losses }) => losses],
  ['refusals_total', 'Attempts for which a worker node had no room.', ({ refusals }) => refusals],
  ['stale_answers_total', 'Answers to attempts that were given up.', ({ staleAnswers }) => staleAnswers],
  ['nodes_blocked_total', 'Worker nodes that get nothing more of a job.', ({ nodesBlocked }) => nodesBlocked],
  ['drivers_expired_total', 'Drivers that fell silent.', ({ driversExpired }) => driversExpired],
  ['workers_expired_total', 'Worker nodes that fell silent.', ({ workersExpired }) => workersExpired],
  [
    'registrations_refused_total',
    'Registrations refused: wrong token, other version, no id left.',
    ({ refusedRegistrations }) => refusedRegistrations,
  ],
];

/** What the page counts too, for those who look here alone. */
const FARM_GAUGES: readonly (readonly [name: string, help: string, read: (farm: Farm) => number])[] = [
  ['drivers', 'Drivers registered.', (farm) => farm.totals().drivers],
  ['workers', 'Worker nodes registered.', (farm) => farm.totals().workers],
  ['slots', 'Renderer processes of all worker nodes.', (farm) => farm.totals().slots],
  ['images_open', 'Images that are wanted and not there yet.', (farm) => farm.totals().imagesOpen],
  ['result_bytes', 'Images that are kept.', (farm) => farm.totals().resultBytes],
];

const FARM_COUNTERS: typeof FARM_GAUGES = [
  ['images_rendered_total', 'Images rendered.', (farm) => farm.totals().imagesRendered],
  ['images_failed_total', 'Images given up.', (farm) => farm.totals().imagesFailed],
];

export class MainMetrics {
  readonly #own = new Registry();
  readonly #farm = new Registry();

  constructor(farm: Farm, figures: () => MainFigures) {
    for (const [name, help, read] of GAUGES) gauge(this.#own, name, help, () => read(figures()));
    for (const [name, help, read] of COUNTERS) counter(this.#own, name, help, () => read(figures()));
    for (const [name, help, read] of FARM_GAUGES) gauge(this.#farm, name, help, () => read(farm));
    for (const [name, help, read] of FARM_COUNTERS) counter(this.#farm, name, help, () => read(farm));
  }

  /** Beside the page's own. */
  own(): Promise<string> {
    return this.#own.metrics();
  }

  async all(): Promise<string> {
    return `${await this.#farm.metrics()}${await this.#own.metrics()}`;
  }
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  const made: Gauge = new Gauge({
    name: `${PREFIX}${name}`,
    help,
    registers: [registry],
    collect: () => made.set(read()),
  });
}

function counter(registry: Registry, name: string, help: string, read: () => number): void {
  const made: Counter = new Counter({
    name: `${PREFIX}${name}`,
    help,
    registers: [registry],
    collect: () => {
      made.reset();
      made.inc(read());
    },
  });
}
