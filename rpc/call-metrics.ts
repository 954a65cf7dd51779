// The figures of calls as Prometheus metrics, the same for servers and for clients; values are asked for at scrape time.
// rpc-metrics.ts says whose figures and what else there is. Counting itself is call-counters.ts, on the threads that serve.

import {
  Counter,
  Gauge,
  Histogram,
  type MetricType,
  type MetricValueWithName,
  type Registry,
} from 'prom-client';
import { type CallFigures, LATENCY_BUCKETS_S } from './server/call-counters.js';
import { statusName } from './status.js';

/** One source of figures and the label it goes by. */
export interface Named<T> {
  readonly name: string;
  readonly figures: T;
}

/** Asks everybody once per scrape, however many metrics are made of the answer. */
export class Scrape<T> {
  readonly #sources = new Map<() => T | Promise<T>, string>();
  #running: Promise<Named<T>[]> | null = null;

  /** @returns takes it out again */
  add(name: string, source: () => T | Promise<T>): () => void {
    this.#sources.set(source, name);
    return () => {
      this.#sources.delete(source);
    };
  }

  figures(): Promise<Named<T>[]> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #ask(): Promise<Named<T>[]> {
    const asked = Array.from(this.#sources, async ([source, name]) => ({ name, figures: await source() }));
    const answers = await Promise.allSettled(asked);
    // Who cannot answer is closed or hung up: the others' figures are still wanted.
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }
}

/**
 * `<prefix>calls_started_total`, `calls_total` by status, `calls_in_flight` and `call_duration_seconds`.
 * @param label what tells one source from another: `server` or `client`
 */
export function registerCalls<T>(
  registry: Registry,
  prefix: string,
  label: string,
  scrape: Scrape<T>,
  callsOf: (figures: T) => readonly CallFigures[],
): void {
  const registers = [registry];
  const each = async (take: (labels: Record<string, string>, calls: CallFigures) => void): Promise<void> => {
    for (const { name, figures } of await scrape.figures()) {
      for (const calls of merged(callsOf(figures)))
        take({ [label]: name, method: calls.path.slice(1) }, calls);
    }
  };
  const started: Counter = new Counter({
    name: `${prefix}calls_started_total`,
    help: 'Calls that were begun.',
    labelNames: [label, 'method'],
    registers,
    collect: async () => {
      started.reset();
      await each((labels, calls) => started.inc(labels, calls.started));
    },
  });
  const ended: Counter = new Counter({
    name: `${prefix}calls_total`,
    help: 'Calls that ended, by status.',
    labelNames: [label, 'method', 'status'],
    registers,
    collect: async () => {
      ended.reset();
      await each((labels, calls) => {
        for (const [status, count] of calls.ended.entries())
          if (count > 0) ended.inc({ ...labels, status: statusName(status) }, count);
      });
    },
  });
  const inFlight: Gauge = new Gauge({
    name: `${prefix}calls_in_flight`,
    help: 'Calls that are under way.',
    labelNames: [label, 'method'],
    registers,
    collect: async () => {
      inFlight.reset();
      await each((labels, calls) => inFlight.set(labels, calls.started - countEnded(calls)));
    },
  });
  void new DurationHistogram(registry, `${prefix}call_duration_seconds`, label, each); // the registry keeps it
}

const NOTHING = (): void => {};
/** prom-client's enum is only in its types: at run time it is this text. */
const HISTOGRAM = 'histogram' as unknown as MetricType;

type Each = (take: (labels: Record<string, string>, calls: CallFigures) => void) => Promise<void>;

/** Buckets that were counted elsewhere. */
class DurationHistogram extends Histogram {
  readonly #each: Each;
  readonly #name: string;
  readonly #help: string;

  constructor(registry: Registry, name: string, label: string, each: Each) {
    const help = 'Time from the begin of a call to its end, in seconds.';
    super({
      name,
      help,
      labelNames: [label, 'method'],
      buckets: [...LATENCY_BUCKETS_S],
      registers: [registry],
    });
    this.#name = name;
    this.#help = help;
    this.#each = each;
  }

  override async get(): ReturnType<Histogram['get']> {
    const values: MetricValueWithName<string>[] = [];
    await this.#each((labels, calls) => {
      let below = 0;
      for (const [index, count] of calls.buckets.entries()) {
        below += count;
        const le = LATENCY_BUCKETS_S[index] ?? '+Inf';
        values.push({ metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: below });
      }
      values.push({ metricName: `${this.#name}_sum`, labels, value: calls.latencySumS });
      values.push({ metricName: `${this.#name}_count`, labels, value: below });
    });
    return {
      name: this.#name,
      help: this.#help,
      type: HISTOGRAM,
      aggregator: 'sum',
      collect: NOTHING,
      values,
    };
  }

  /** What the registry asks where there is one: prom-client keeps it out of its types. */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }
}

/** One entry per method, over all threads. */
function merged(figures: readonly CallFigures[]): CallFigures[] {
  const byPath = new Map<string, CallFigures>();
  for (const one of figures) {
    const other = byPath.get(one.path);
    byPath.set(one.path, other === undefined ? one : sum(one, other));
  }
  return [...byPath.values()];
}

function sum(one: CallFigures, other: CallFigures): CallFigures {
  return {
    path: one.path,
    started: one.started + other.started,
    handlerFailures: one.handlerFailures + other.handlerFailures,
    ended: one.ended.map((count, status) => count + (other.ended[status] ?? 0)),
    buckets: one.buckets.map((count, bucket) => count + (other.buckets[bucket] ?? 0)),
    latencySumS: one.latencySumS + other.latencySumS,
  };
}

function countEnded({ ended }: CallFigures): number {
  return ended.reduce((total, count) => total + count, 0);
}
