// Brings one thread's gauges, and what its event loop counts by itself, into the thread's shared row.
// sub-reactor.ts and reactor.ts have one each and ask it when somebody looks, never by a timer.

import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import v8 from 'node:v8';

import type { EventLoop } from './event-loop.js';
import {
  type CounterRow,
  HEAP_USED_BYTES,
  LOOP_TURNS,
  LOOP_UTILIZATION,
  POOL_LENT_BYTES,
  POOL_OWNED_BYTES,
  QUEUE_DEPTH,
  QUEUE_EXECUTED,
  QUEUE_POSTED,
  QUEUE_REFUSED,
  TASKS_FAILED,
  WAKEUPS,
} from './shared-counters.js';

export class ThreadGauges {
  readonly #loop: EventLoop;
  readonly #row: CounterRow;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();

  constructor(loop: EventLoop, row: CounterRow) {
    this.#loop = loop;
    this.#row = row;
  }

  /** To be called on the thread itself: heap and utilisation are those of the caller. */
  refresh(): void {
    const { values } = this.#row;
    const { pool, stats } = this.#loop;
    const { ownedBytes, lentBytes } = pool.stats();
    const now = performance.eventLoopUtilization();
    values[LOOP_UTILIZATION] = performance.eventLoopUtilization(now, this.#utilization).utilization;
    this.#utilization = now;
    values[POOL_OWNED_BYTES] = ownedBytes;
    values[POOL_LENT_BYTES] = lentBytes;
    values[HEAP_USED_BYTES] = v8.getHeapStatistics().used_heap_size;
    values[LOOP_TURNS] = stats.turns;
    values[QUEUE_POSTED] = stats.posted;
    values[QUEUE_EXECUTED] = stats.executed;
    values[QUEUE_REFUSED] = stats.refused;
    values[QUEUE_DEPTH] = stats.tasksWaiting;
    values[TASKS_FAILED] = stats.failed;
    values[WAKEUPS] = stats.wakesReceived;
  }
}
