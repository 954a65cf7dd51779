// Prometheus metrics of one process: the shared counters of all threads, and the process itself.
// AdminServer serves `render()`; a process master collects `snapshot()` of its processes and joins them.
// Values are copied at scrape time: a thread that serves never touches prom-client.

import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { REACTOR_ERROR_CODES } from './errors.js';
import {
  COUNTER_COLUMNS,
  type CounterKind,
  type CounterName,
  type SharedCounters,
} from './shared-counters.js';

const PREFIX = 'reactor_net_';

export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** One process's metrics as plain data: it crosses to another process. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

export class Metrics {
  /** For an application's own metrics beside ours. */
  readonly registry: Registry = new Registry();

  /** @param labels go on every line, e.g. `{ process: '0' }` */
  constructor(counters: SharedCounters, labels: Record<string, string> = {}) {
    this.registry.setDefaultLabels(labels);
    for (const { name, kind } of COUNTER_COLUMNS) registerColumn(this.registry, counters, name, kind);
    registerErrors(this.registry, counters);
    registerProcess(this.registry);
  }

  /** The Prometheus text format, METRICS_CONTENT_TYPE. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  /** The same as plain data, for `renderSnapshots` in another process. */
  snapshot(): Promise<MetricsSnapshot> {
    return this.registry.getMetricsAsJSON();
  }
}

/** The metrics of several processes as one text; each must carry a label that tells it from the others. */
export function renderSnapshots(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate([...snapshots]).metrics();
}

/** How often each supervised process was started again, by its index: the master's share of a joint text. */
export async function restartsSnapshot(restarts: readonly number[]): Promise<MetricsSnapshot> {
  const registry = new Registry();
  const counter = new Counter({
    name: `${PREFIX}process_restarts_total`,
    help: 'Times the process was started again after it ended.',
    labelNames: ['process'],
    registers: [registry],
  });
  for (const [index, count] of restarts.entries()) counter.inc({ process: String(index) }, count);
  return registry.getMetricsAsJSON();
}

/** The Prometheus name and the line of help of each column; both are public, docs/metrics.md lists them. */
const DESCRIPTIONS: Record<CounterName, readonly [name: string, help: string]> = {
  connections_opened: ['connections_opened_total', 'Connections that a thread began to serve.'],
  connections_closed: ['connections_closed_total', 'Connections that ended.'],
  connections_open: ['connections', 'Connections that are open now.'],
  connections_refused: ['connections_refused_total', 'Connections closed at once because of a limit.'],
  accept_paused: [
    'accept_pauses_total',
    'Times accepting was paused, for want of descriptors or of threads that keep up.',
  ],
  bytes_read: ['read_bytes_total', 'Bytes read from connections.'],
  bytes_written: ['written_bytes_total', 'Bytes handed to the kernel for connections.'],
  frames_received: ['frames_received_total', 'Whole frames received.'],
  frames_sent: ['frames_sent_total', 'Frames sent.'],
  frames_dropped: ['frames_dropped_total', 'Frames dropped by an overflow policy.'],
  frames_unknown: ['frames_unknown_total', 'Frames whose msgId has no handler.'],
  handler_errors: ['handler_errors_total', 'Handlers that threw or whose promise rejected.'],
  reads_paused: ['read_pauses_total', 'Times reading paused because output was above its high-water mark.'],
  output_overflows: ['output_overflows_total', 'Times output reached its hard cap.'],
  timeouts: ['timeouts_total', 'Connections whose idle, read, write or handshake deadline passed.'],
  requests: ['http_requests_total', 'HTTP requests answered.'],
  datagrams_received: ['datagrams_received_total', 'UDP datagrams received.'],
  datagrams_sent: ['datagrams_sent_total', 'UDP datagrams sent.'],
  datagrams_dropped: ['datagrams_dropped_total', 'UDP datagrams that were malformed or could not be sent.'],
  queue_posted: ['tasks_posted_total', 'Tasks this thread posted to others.'],
  queue_executed: ['tasks_executed_total', 'Tasks from other threads that ran here.'],
  queue_refused: ['tasks_refused_total', 'Tasks refused because a queue was full.'],
  queue_depth: ['task_queue_depth', 'Tasks that wait for this thread.'],
  wakeups: ['wakeups_total', 'Times this thread was woken by another.'],
  tasks_failed: ['tasks_failed_total', 'Tasks that threw.'],
  pool_owned_bytes: ['pool_owned_bytes', 'Memory the buffer pool owns, idle and lent.'],
  pool_lent_bytes: ['pool_lent_bytes', 'Memory the buffer pool has lent.'],
  loop_turns: ['loop_turns_total', 'Turns of the event loop that ran queued work.'],
  loop_utilization: ['loop_utilization_ratio', 'Share of time the event loop was busy lately, 0 to 1.'],
  heap_used_bytes: ['thread_heap_used_bytes', 'JavaScript heap in use by the thread.'],
  thread_restarts: ['thread_restarts_total', 'Times the thread was started again after it ended.'],
};

function registerColumn(
  registry: Registry,
  counters: SharedCounters,
  column: CounterName,
  kind: CounterKind,
): void {
  const [name, help] = DESCRIPTIONS[column];
  const options = { name: PREFIX + name, help, labelNames: ['thread'], registers: [registry] };
  if (kind === 'gauge') {
    const gauge = new Gauge({
      ...options,
      collect: () => {
        for (const thread of threadsOf(counters))
          gauge.set({ thread: String(thread) }, counters.row(thread).get(column));
      },
    });
    return;
  }
  const counter = new Counter({
    ...options,
    collect: () => {
      counter.reset();
      for (const thread of threadsOf(counters))
        counter.inc({ thread: String(thread) }, counters.row(thread).get(column));
    },
  });
}

/** Only codes that occurred have a line: most never do, and the list is long. */
function registerErrors(registry: Registry, counters: SharedCounters): void {
  const counter = new Counter({
    name: `${PREFIX}errors_total`,
    help: 'Errors by code.',
    labelNames: ['thread', 'code'],
    registers: [registry],
    collect: () => {
      counter.reset();
      for (const thread of threadsOf(counters)) {
        const row = counters.row(thread);
        for (const code of REACTOR_ERROR_CODES) {
          const count = row.errorCount(code);
          if (count > 0) counter.inc({ thread: String(thread), code }, count);
        }
      }
    },
  });
}

function registerProcess(registry: Registry): void {
  // The lag monitor is a timer that fires at its precision, for ever. An idle reactor wakes nobody: it is
  // set to an hour and its metrics are taken out; loop_utilization_ratio tells the same story per thread.
  collectDefaultMetrics({ register: registry, prefix: PREFIX, eventLoopMonitoringPrecision: 3_600_000 });
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith(`${PREFIX}nodejs_eventloop_lag`)) registry.removeSingleMetric(name);
  }
}

function* threadsOf(counters: SharedCounters): Generator<number | 'main'> {
  for (let thread = 0; thread < counters.threads; thread += 1) yield thread;
  yield 'main';
}
