// Makes calls as a plan says: so many at a time, as fast as answers come (closed loop) or as they fall due (open loop).
// At a fixed rate a latency counts from when its call fell due, so that a server that stalls is not let off the calls
// that could not even be sent meanwhile (coordinated omission). rpc-bench.ts supplies the calls; time comes in.

import { LatencyHistogram } from './latency-histogram.js';

export interface LoadPlan {
  /** Calls in flight at most. */
  readonly concurrency: number;
  /** Calls that fall due per second; null: the next one whenever one has ended. */
  readonly ratePerSecond: number | null;
  /** Calls that begin within it are made and not counted. */
  readonly warmupMs: number;
  /** Of these two, one at least. */
  readonly durationMs: number | null;
  readonly requests: number | null;
}

export interface LoadParts {
  nowMs(): number;
  /** Resolves after about so many milliseconds, or earlier. */
  pause(ms: number): Promise<void>;
  /** Makes the call of this number, of those that count or of the warm-up; rejects when it failed. */
  call(number: number, isCounted: boolean): Promise<void>;
  /** What a failure is counted under. */
  codeOf(error: unknown): string;
  /** The first call that counts is about to be made. */
  onMeasureBegin?(): void;
}

export interface FailureCount {
  readonly code: string;
  /** The first of them. */
  readonly error: unknown;
  count: number;
}

/** What is due this soon is sent now: timers are not finer. */
const AHEAD_MS = 0.5;
/** Of a call: times are not exact to the last bit. */
const ROUNDING = 1e-6;
/** Calls that fail at once would leave no time for anything else. */
const AFTER_FAILURE_MS = 1;

export class LoadRun {
  /** Of calls that succeeded. */
  readonly latencies: LatencyHistogram = new LatencyHistogram();
  readonly failures: Map<string, FailureCount> = new Map();
  readonly #parts: LoadParts;
  readonly #plan: LoadPlan;
  readonly #beginMs: number;
  readonly #measureMs: number;
  readonly #endMs: number;
  #number = 0;
  /** Calls that count and were begun. */
  #begun = 0;
  #ended = 0;
  #failed = 0;
  #inFlight = 0;
  #lastEndMs: number;
  #hasBegunMeasuring = false;
  #isStopped = false;
  #isAbandoned = false;
  #isPausing = false;
  /** When it was last looked, no further call could be made. */
  #isFull = false;
  #stoppedMs: number | null = null;
  readonly #done: Promise<void>;
  #resolve!: () => void;

  /** Begins at once. */
  constructor(plan: LoadPlan, parts: LoadParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#beginMs = parts.nowMs();
    this.#measureMs = this.#beginMs + plan.warmupMs;
    this.#lastEndMs = this.#measureMs;
    this.#endMs = plan.durationMs === null ? Infinity : this.#measureMs + plan.durationMs;
    this.#done = new Promise((resolve) => (this.#resolve = resolve));
    this.#pump();
  }

  /** Resolves when every call has ended. */
  get done(): Promise<void> {
    return this.#done;
  }

  get ended(): number {
    return this.#ended;
  }

  get failed(): number {
    return this.#failed;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Calls that fell due before the end and were not sent: as many were in flight as may be. */
  get unsent(): number {
    const { ratePerSecond, requests } = this.#plan;
    if (ratePerSecond === null || this.#isAbandoned || this.#stoppedMs === null || requests !== null)
      return 0;
    const due = Math.ceil(((this.#endMs - this.#beginMs) * ratePerSecond) / 1000 - ROUNDING);
    return Math.max(0, due - this.#number);
  }

  /** From the first call that counts to the end of the last one. */
  get seconds(): number {
    return Math.max(0, this.#lastEndMs - this.#measureMs) / 1000;
  }

  /** Nothing is begun any more, and what ends from now on is not counted. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#stop();
  }

  #pump(): void {
    const { concurrency, ratePerSecond, requests } = this.#plan;
    while (!this.#isStopped && this.#inFlight < concurrency) {
      const nowMs = this.#parts.nowMs();
      const dueMs = ratePerSecond === null ? nowMs : this.#beginMs + (this.#number * 1000) / ratePerSecond;
      if (this.#isOver(nowMs, dueMs) || (requests !== null && this.#begun >= requests)) {
        this.#stop();
        return;
      }
      if (dueMs > nowMs + AHEAD_MS) {
        this.#isFull = false;
        this.#pumpAfter(dueMs - nowMs);
        return;
      }
      this.#begin(Math.min(dueMs, nowMs));
    }
    this.#isFull = this.#inFlight >= concurrency;
  }

  /** What fell due before the end and is only late by the timer is sent yet; what found no room is not. */
  #isOver(nowMs: number, dueMs: number): boolean {
    if (dueMs >= this.#endMs - (ROUNDING * 1000) / (this.#plan.ratePerSecond ?? 1)) return true;
    return nowMs >= this.#endMs && (this.#plan.ratePerSecond === null || this.#isFull);
  }

  #pumpAfter(ms: number): void {
    if (this.#isPausing) return;
    this.#isPausing = true;
    void this.#parts.pause(ms).then(() => {
      this.#isPausing = false;
      this.#pump();
    });
  }

  #begin(sinceMs: number): void {
    const isCounted = sinceMs >= this.#measureMs;
    if (isCounted) {
      if (!this.#hasBegunMeasuring) this.#parts.onMeasureBegin?.();
      this.#hasBegunMeasuring = true;
      this.#begun += 1;
    }
    this.#inFlight += 1;
    this.#parts.call((this.#number += 1) - 1, isCounted).then(
      () => this.#settled(sinceMs, isCounted, null),
      (error: unknown) => this.#settled(sinceMs, isCounted, { error }),
    );
  }

  #settled(sinceMs: number, isCounted: boolean, failure: { readonly error: unknown } | null): void {
    const nowMs = this.#parts.nowMs();
    this.#inFlight -= 1;
    if (isCounted && !this.#isAbandoned) {
      this.#ended += 1;
      this.#lastEndMs = nowMs;
      if (failure === null) this.latencies.record(nowMs - sinceMs);
      else this.#count(failure.error);
    }
    if (this.#isStopped) this.#finishIfIdle();
    else if (failure === null) this.#pump();
    else this.#pumpAfter(AFTER_FAILURE_MS);
  }

  #count(error: unknown): void {
    this.#failed += 1;
    const code = this.#parts.codeOf(error);
    const known = this.failures.get(code);
    if (known === undefined) this.failures.set(code, { code, error, count: 1 });
    else known.count += 1;
  }

  #stop(): void {
    this.#isStopped = true;
    this.#stoppedMs ??= this.#parts.nowMs();
    this.#finishIfIdle();
  }

  #finishIfIdle(): void {
    if (this.#inFlight === 0) this.#resolve();
  }
}
