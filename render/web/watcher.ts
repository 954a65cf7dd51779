// One page that is kept up to date by server-sent events. live-events.ts has them all.
// What a page has not read yet is bounded: one that is too slow is told to reload, and dropped.

import type { ServerResponse } from 'node:http';

/** Time in which a page that was told to reload may still read that. */
const FAREWELL_MS = 10_000;
/** After how long a browser connects again; the page itself decides how to go on. */
const RETRY_MS = 1000;

export class Watcher {
  readonly #response: ServerResponse;
  readonly #bytesMax: number;
  #isOver = false;
  #farewell: NodeJS.Timeout | null = null;

  /** @param onOver it is gone, or was told to go */
  constructor(response: ServerResponse, bytesMax: number, onOver: (watcher: Watcher) => void) {
    this.#response = response;
    this.#bytesMax = bytesMax;
    response.socket?.setTimeout(0);
    response.socket?.setNoDelay(true);
    response.once('close', () => {
      if (this.#farewell !== null) clearTimeout(this.#farewell);
      this.#isOver = true;
      onOver(this);
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** @returns false: it was too slow and has been told to go */
  tell(event: string): boolean {
    if (this.#isOver) return false;
    if (this.#response.writableLength <= this.#bytesMax) {
      this.#response.write(event);
      return true;
    }
    this.end('event: reload\ndata: {"reason":"slow"}\n\n');
    return false;
  }

  /** Ends it, with a last event where there is one. */
  end(last = ''): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.end(last);
    this.#farewell = setTimeout(() => this.#response.destroy(), FAREWELL_MS);
    this.#farewell.unref();
  }
}
