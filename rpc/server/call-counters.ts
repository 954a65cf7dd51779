// Counts the calls of one thread by method and status, and how long they took.
// thread-server.ts and the client feed it; rpc-metrics.ts adds the figures of all threads up for Prometheus. Pure.

/** Upper bounds in seconds; the last bucket is everything above. From 0.1 ms, because most calls are that short. */
export const LATENCY_BUCKETS_S: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Figures of one method, plain data. */
export interface CallFigures {
  readonly path: string;
  readonly started: number;
  readonly handlerFailures: number;
  /** By status number. */
  readonly ended: readonly number[];
  /** Calls by latency bucket, not cumulative; one more than LATENCY_BUCKETS_S. */
  readonly buckets: readonly number[];
  readonly latencySumS: number;
}

const STATUS_COUNT = 17;

class MethodCounters {
  readonly path: string;
  started = 0;
  handlerFailures = 0;
  latencySumS = 0;
  readonly ended: Float64Array = new Float64Array(STATUS_COUNT);
  readonly buckets: Float64Array = new Float64Array(LATENCY_BUCKETS_S.length + 1);

  constructor(path: string) {
    this.path = path;
  }
}

export class CallCounters {
  readonly #methods = new Map<string, MethodCounters>();
  /** The one that was asked for last: as a rule the next one too. */
  #latest: MethodCounters | null = null;

  started(path: string): void {
    this.#of(path).started += 1;
  }

  ended(path: string, status: number, latencyMs: number): void {
    const counters = this.#of(path);
    const latencyS = latencyMs / 1000;
    counters.ended[status < STATUS_COUNT ? status : 2]! += 1;
    counters.latencySumS += latencyS;
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS_S.length && latencyS > LATENCY_BUCKETS_S[bucket]!) bucket += 1;
    counters.buckets[bucket]! += 1;
  }

  handlerFailed(path: string): void {
    this.#of(path).handlerFailures += 1;
  }

  figures(): CallFigures[] {
    return [...this.#methods.values()].map(
      ({ path, started, handlerFailures, ended, buckets, latencySumS }) => ({
        path,
        started,
        handlerFailures,
        latencySumS,
        ended: [...ended],
        buckets: [...buckets],
      }),
    );
  }

  #of(path: string): MethodCounters {
    if (this.#latest?.path === path) return this.#latest;
    let counters = this.#methods.get(path);
    if (counters === undefined) {
      counters = new MethodCounters(path);
      this.#methods.set(path, counters);
    }
    this.#latest = counters;
    return counters;
  }
}
