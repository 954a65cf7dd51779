// Counters and gauges of every thread in one block of shared memory, one row per thread slot.
// A thread adds to its own row with plain arithmetic; the main thread reads all rows when somebody looks.
// Each row has one writer: its thread, or the main thread while that thread does not run (a restart).
// Rows outlive a restart of their thread: counters go on counting, gauges are set back by `resetGauges`.
// Nothing is formatted here: metrics.ts gives the columns their Prometheus names.

import { REACTOR_ERROR_CODES, type ReactorErrorCode } from './errors.js';

/** Every column of a row, in memory order, before the block of errors by code. */
export const COUNTER_COLUMNS = [
  { name: 'connections_opened', kind: 'counter' },
  { name: 'connections_closed', kind: 'counter' },
  { name: 'connections_open', kind: 'gauge' },
  { name: 'connections_refused', kind: 'counter' },
  { name: 'accept_paused', kind: 'counter' },
  { name: 'bytes_read', kind: 'counter' },
  { name: 'bytes_written', kind: 'counter' },
  { name: 'frames_received', kind: 'counter' },
  { name: 'frames_sent', kind: 'counter' },
  { name: 'frames_dropped', kind: 'counter' },
  { name: 'frames_unknown', kind: 'counter' },
  { name: 'handler_errors', kind: 'counter' },
  { name: 'reads_paused', kind: 'counter' },
  { name: 'output_overflows', kind: 'counter' },
  { name: 'timeouts', kind: 'counter' },
  { name: 'requests', kind: 'counter' },
  { name: 'datagrams_received', kind: 'counter' },
  { name: 'datagrams_sent', kind: 'counter' },
  { name: 'datagrams_dropped', kind: 'counter' },
  { name: 'queue_posted', kind: 'counter' },
  { name: 'queue_executed', kind: 'counter' },
  { name: 'queue_refused', kind: 'counter' },
  { name: 'queue_depth', kind: 'gauge' },
  { name: 'wakeups', kind: 'counter' },
  { name: 'tasks_failed', kind: 'counter' },
  { name: 'pool_owned_bytes', kind: 'gauge' },
  { name: 'pool_lent_bytes', kind: 'gauge' },
  { name: 'loop_turns', kind: 'counter' },
  { name: 'loop_utilization', kind: 'gauge' },
  { name: 'heap_used_bytes', kind: 'gauge' },
  { name: 'thread_restarts', kind: 'counter' },
] as const;

export type CounterName = (typeof COUNTER_COLUMNS)[number]['name'];
/** A counter only grows; a gauge says how things stand. */
export type CounterKind = (typeof COUNTER_COLUMNS)[number]['kind'];

// Positions in `CounterRow.values`, for hot paths: `row.values[FRAMES_RECEIVED] += 1`.
export const CONNECTIONS_OPENED: number = columnOf('connections_opened');
export const CONNECTIONS_CLOSED: number = columnOf('connections_closed');
export const CONNECTIONS_OPEN: number = columnOf('connections_open');
export const CONNECTIONS_REFUSED: number = columnOf('connections_refused');
export const ACCEPT_PAUSED: number = columnOf('accept_paused');
export const BYTES_READ: number = columnOf('bytes_read');
export const BYTES_WRITTEN: number = columnOf('bytes_written');
export const FRAMES_RECEIVED: number = columnOf('frames_received');
export const FRAMES_SENT: number = columnOf('frames_sent');
export const FRAMES_DROPPED: number = columnOf('frames_dropped');
export const FRAMES_UNKNOWN: number = columnOf('frames_unknown');
export const HANDLER_ERRORS: number = columnOf('handler_errors');
export const READS_PAUSED: number = columnOf('reads_paused');
export const OUTPUT_OVERFLOWS: number = columnOf('output_overflows');
export const TIMEOUTS: number = columnOf('timeouts');
export const REQUESTS: number = columnOf('requests');
export const DATAGRAMS_RECEIVED: number = columnOf('datagrams_received');
export const DATAGRAMS_SENT: number = columnOf('datagrams_sent');
export const DATAGRAMS_DROPPED: number = columnOf('datagrams_dropped');
export const QUEUE_POSTED: number = columnOf('queue_posted');
export const QUEUE_EXECUTED: number = columnOf('queue_executed');
export const QUEUE_REFUSED: number = columnOf('queue_refused');
export const QUEUE_DEPTH: number = columnOf('queue_depth');
export const WAKEUPS: number = columnOf('wakeups');
export const TASKS_FAILED: number = columnOf('tasks_failed');
export const POOL_OWNED_BYTES: number = columnOf('pool_owned_bytes');
export const POOL_LENT_BYTES: number = columnOf('pool_lent_bytes');
export const LOOP_TURNS: number = columnOf('loop_turns');
/** Share of time the event loop was busy since it was last written, 0 to 1. */
export const LOOP_UTILIZATION: number = columnOf('loop_utilization');
export const HEAP_USED_BYTES: number = columnOf('heap_used_bytes');
export const THREAD_RESTARTS: number = columnOf('thread_restarts');

const ERRORS_START = COUNTER_COLUMNS.length;
const ERROR_COLUMN = new Map<ReactorErrorCode, number>(
  REACTOR_ERROR_CODES.map((code, position) => [code, ERRORS_START + position]),
);
// Rounded to 128 bytes, two cache lines, so that neighbouring threads do not fetch each other's line.
const ROW_SLOTS = Math.ceil((ERRORS_START + REACTOR_ERROR_CODES.length) / 16) * 16;

/** What crosses to another thread: the memory and how many threads it has rows for. */
export interface SharedCountersMemory {
  readonly memory: SharedArrayBuffer;
  readonly threads: number;
}

/** One thread's row. Only the owner of the row writes `values`. */
export class CounterRow {
  /** Indexed by the exported positions (FRAMES_RECEIVED, …). */
  readonly values: Float64Array;
  /** Bytes in `bytes_written` that the kernel has not taken: others read it, so they are set off, not taken back. */
  bytesWrittenAhead: number = 0;

  constructor(values: Float64Array) {
    this.values = values;
  }

  countError(code: ReactorErrorCode, times = 1): void {
    this.values[errorColumn(code)]! += times;
  }

  errorCount(code: ReactorErrorCode): number {
    return this.values[errorColumn(code)]!;
  }

  get(name: CounterName): number {
    return this.values[columnOf(name)]!;
  }
}

/**
 * The rows of threads 0 to threads - 1, and the main thread's row behind them. The numbers are plain
 * 64-bit floats, exact to 2^53; a reader may be a few additions behind the writer, never between two.
 */
export class SharedCounters {
  /** Hand this to a worker, which calls `SharedCounters.attach`. */
  readonly shared: SharedCountersMemory;
  readonly threads: number;
  readonly #rows: readonly CounterRow[];

  private constructor(shared: SharedCountersMemory) {
    this.shared = shared;
    this.threads = shared.threads;
    this.#rows = Array.from({ length: shared.threads + 1 }, (_, thread) => {
      const offset = thread * ROW_SLOTS * Float64Array.BYTES_PER_ELEMENT;
      return new CounterRow(new Float64Array(shared.memory, offset, ROW_SLOTS));
    });
  }

  static create(threads: number): SharedCounters {
    const bytes = (threads + 1) * ROW_SLOTS * Float64Array.BYTES_PER_ELEMENT;
    return new SharedCounters({ memory: new SharedArrayBuffer(bytes), threads });
  }

  static attach(shared: SharedCountersMemory): SharedCounters {
    return new SharedCounters(shared);
  }

  /** @throws RangeError for a thread that does not exist; the caller has checked names from outside. */
  row(thread: number | 'main'): CounterRow {
    const row = this.#rows[thread === 'main' ? this.threads : thread];
    if (row === undefined) throw new RangeError(`there is no thread ${thread}`);
    return row;
  }

  /** Sum of a column over all threads and the main thread. */
  total(name: CounterName): number {
    let sum = 0;
    for (const row of this.#rows) sum += row.get(name);
    return sum;
  }

  /** Sum of one code's errors over all threads and the main thread. */
  errorTotal(code: ReactorErrorCode): number {
    let sum = 0;
    for (const row of this.#rows) sum += row.errorCount(code);
    return sum;
  }

  /** What a thread that ended still claims to hold: called by the main thread before it starts it again. */
  resetGauges(thread: number): void {
    const { values } = this.row(thread);
    for (const [column, { kind }] of COUNTER_COLUMNS.entries()) {
      if (kind === 'gauge') values[column] = 0;
    }
  }
}

function columnOf(name: CounterName): number {
  return COUNTER_COLUMNS.findIndex((column) => column.name === name);
}

function errorColumn(code: ReactorErrorCode): number {
  // The map is total over the union: it is built from the same closed list.
  return ERROR_COLUMN.get(code)!;
}
