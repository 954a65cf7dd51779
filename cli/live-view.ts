// Shows the figures of a running server at an interval: a line that is rewritten in place on a terminal,
// JSON lines with --json, nothing otherwise (a log file has no use for it). serve.ts owns one.

import { liveLine, type ProcessFigures, RateMeter } from './live-stats.js';
import type { Io } from './main.js';

/** Also for a terminal that says it has none, as some pseudo-terminals do. */
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = '\r\u001b[2K';

export class LiveView {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #figures: () => ProcessFigures | Promise<ProcessFigures>;
  readonly #meter = new RateMeter();
  readonly #timer: NodeJS.Timeout | null;
  #isLooking = false;
  #isClosed = false;

  /** `statsIntervalMs` 0 shows nothing */
  constructor(
    io: Io,
    figures: () => ProcessFigures | Promise<ProcessFigures>,
    { json, statsIntervalMs }: { json: boolean; statsIntervalMs: number },
  ) {
    this.#io = io;
    this.#json = json;
    this.#figures = figures;
    const shows = statsIntervalMs > 0 && (json || io.stdout.isTTY === true);
    this.#timer = shows ? setInterval(() => void this.#look(), statsIntervalMs) : null;
    if (shows) void this.#look();
  }

  /** Leaves the cursor on a line of its own. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    if (!this.#json) this.#io.stdout.write(CLEAR_LINE);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const stats = this.#meter.look(await this.#figures(), performance.now());
    this.#isLooking = false;
    if (this.#isClosed) return;
    if (this.#json) this.#io.stdout.write(`${JSON.stringify(stats)}\n`);
    else this.#io.stdout.write(CLEAR_LINE + liveLine(stats, this.#io.stdout.columns || COLUMNS_DEFAULT));
  }
}
