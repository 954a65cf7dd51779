// How far a job is, for people at a terminal: one line that is rewritten in place. render-submit.ts and render-fetch.ts own one.

import type { Io } from './main.js';

const CLEAR_LINE = '\r\u001b[2K';
const COLUMNS_DEFAULT = 80;
const BAR_WIDTH_MAX = 40;
/** Often enough for an eye. */
const REDRAW_MS = 100;

export interface Progress {
  readonly total: number;
  readonly done: number;
  readonly missing: number;
  /** Of those that are done, how many were there at the beginning: they tell nothing of the speed. */
  readonly before: number;
  /** What goes on, where it is not rendering; '' otherwise. */
  readonly note: string;
}

export class ProgressLine {
  readonly #io: Io;
  readonly #isShown: boolean;
  readonly #beganMs: number = performance.now();
  #drawnMs = -Infinity;

  /** Shows nothing where standard output is no terminal, or is for programs. */
  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#isShown = !json && io.stdout.isTTY === true;
  }

  show(progress: Progress): void {
    const nowMs = performance.now();
    const isEnd = progress.done + progress.missing >= progress.total;
    if (!this.#isShown || (!isEnd && progress.note === '' && nowMs - this.#drawnMs < REDRAW_MS)) return;
    this.#drawnMs = nowMs;
    const columns = this.#io.stdout.columns || COLUMNS_DEFAULT;
    this.#io.stdout.write(CLEAR_LINE + progressText(progress, nowMs - this.#beganMs, columns));
  }

  /** Leaves an empty line to whatever is printed next. */
  clear(): void {
    if (this.#isShown) this.#io.stdout.write(CLEAR_LINE);
  }
}

/** `█████░░░░░  5/10  2.5 images/s  2 s left`, cut to the width of the terminal. Pure. */
export function progressText(progress: Progress, elapsedMs: number, columns: number): string {
  const { total, done, missing, before, note } = progress;
  const settled = done + missing;
  const perSecond = elapsedMs > 0 ? ((settled - before) * 1000) / elapsedMs : 0;
  const words = [
    `${settled}/${total}`,
    ...(missing > 0 ? [`${missing} missing`] : []),
    ...(perSecond > 0 ? [`${perSecond.toFixed(perSecond < 10 ? 1 : 0)} images/s`] : []),
    ...(perSecond > 0 && settled < total ? [`${shownTime((total - settled) / perSecond)} left`] : []),
    ...(note === '' ? [] : [note]),
  ].join('  ');
  const width = Math.max(0, Math.min(BAR_WIDTH_MAX, columns - words.length - 3));
  const filled = total === 0 ? width : Math.floor((width * settled) / total);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}  ${words}`.slice(0, Math.max(columns - 1, 20));
}

/** `45 s`, `12 min`, `3.5 h`. */
export function shownTime(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
