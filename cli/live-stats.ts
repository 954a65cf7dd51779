// The figures shown while a server runs: taken from the shared counters, as rates between two looks.
// serve.ts looks once per interval; JSON for programs, one line for people. Pure: time comes in.

import type { SharedCounters } from '../reactor/index.js';

/** One thread at one moment; counters count from the start. */
export interface ThreadFigures {
  readonly thread: number | 'main';
  readonly connections: number;
  readonly utilization: number;
  readonly frames: number;
  readonly requests: number;
  readonly datagrams: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly queueDepth: number;
  readonly heapUsed: number;
  /** The supervised process the thread belongs to. */
  readonly process?: number;
}

export interface ProcessFigures {
  readonly rss: number;
  /** JavaScript heaps of all threads together. */
  readonly heapUsed: number;
  readonly threads: readonly ThreadFigures[];
}

export interface LiveStats extends ProcessFigures {
  readonly event: 'stats';
  /** HTTP requests, frames and datagrams answered per second since the last look. */
  readonly requestsPerSecond: number;
  readonly connections: number;
  readonly bytesReadPerSecond: number;
  readonly bytesWrittenPerSecond: number;
}

/** The main thread is a row of its own; it serves only where there are no sub-reactors, and has UDP. */
export function figuresOf(counters: SharedCounters): ProcessFigures {
  const subReactors = Array.from({ length: counters.threads }, (_, thread) =>
    threadFigures(counters, thread),
  );
  const threads = [...subReactors, threadFigures(counters, 'main')];
  return { rss: process.memoryUsage.rss(), heapUsed: sum(threads, ({ heapUsed }) => heapUsed), threads };
}

/** Sums what several processes report; each thread keeps the index of its process. */
export function joinFigures(
  processes: readonly { index: number; figures: ProcessFigures }[],
): ProcessFigures {
  return {
    rss: sum(processes, ({ figures }) => figures.rss),
    heapUsed: sum(processes, ({ figures }) => figures.heapUsed),
    threads: processes.flatMap(({ index, figures }) =>
      figures.threads.map((thread) => ({ ...thread, process: index })),
    ),
  };
}

/** Turns figures into rates; the first look has nothing to compare with and gives rates of 0. */
export class RateMeter {
  #before: {
    readonly nowMs: number;
    readonly answered: number;
    readonly read: number;
    readonly written: number;
  } | null = null;

  look(figures: ProcessFigures, nowMs: number): LiveStats {
    const { threads } = figures;
    const answered = sum(threads, ({ frames, requests, datagrams }) => frames + requests + datagrams);
    const read = sum(threads, ({ bytesRead }) => bytesRead);
    const written = sum(threads, ({ bytesWritten }) => bytesWritten);
    const before = this.#before ?? { nowMs, answered, read, written };
    this.#before = { nowMs, answered, read, written };
    const seconds = (nowMs - before.nowMs) / 1000;
    // Counters of a process that was started again begin at 0: a rate is never negative.
    const perSecond = (now: number, then: number): number =>
      seconds > 0 ? Math.max(0, Math.round((now - then) / seconds)) : 0;
    return {
      event: 'stats',
      requestsPerSecond: perSecond(answered, before.answered),
      connections: sum(threads, ({ connections }) => connections),
      bytesReadPerSecond: perSecond(read, before.read),
      bytesWrittenPerSecond: perSecond(written, before.written),
      ...figures,
    };
  }
}

/** `12,345 req/s  40 connections  load 93% 91%  rss 80 MiB`, cut to the terminal's width. */
export function liveLine(stats: LiveStats, columns: number): string {
  const serving = stats.threads.filter(({ thread }) => thread !== 'main');
  const load = (serving.length > 0 ? serving : stats.threads)
    .map(({ utilization }) => `${Math.round(utilization * 100)}%`)
    .join(' ');
  const line = [
    `${stats.requestsPerSecond.toLocaleString('en-US')} req/s`,
    `${stats.connections.toLocaleString('en-US')} connections`,
    `rss ${Math.round(stats.rss / 2 ** 20)} MiB`,
    `thread load ${load}`,
  ].join('  ');
  return line.slice(0, Math.max(columns - 1, 20));
}

function threadFigures(counters: SharedCounters, thread: number | 'main'): ThreadFigures {
  const row = counters.row(thread);
  return {
    thread,
    connections: row.get('connections_open'),
    utilization: Math.round(row.get('loop_utilization') * 1000) / 1000,
    frames: row.get('frames_received'),
    requests: row.get('requests'),
    datagrams: row.get('datagrams_received'),
    bytesRead: row.get('bytes_read'),
    bytesWritten: row.get('bytes_written'),
    queueDepth: row.get('queue_depth'),
    heapUsed: row.get('heap_used_bytes'),
  };
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
