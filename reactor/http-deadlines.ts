// The clock by which the HTTP connections of one service are looked at: one timer for all of them.

import type { HttpConnection } from './http-connection.js';
import { DEADLINE_CHECK_MS } from './limits.js';

export class HttpDeadlines {
  readonly #timer: NodeJS.Timeout;
  #looks = 0;

  /** Looks at all `connections` every `everyMs`; does not keep the thread alive. */
  constructor(connections: ReadonlyMap<unknown, HttpConnection>, everyMs: number = DEADLINE_CHECK_MS) {
    this.#timer = setInterval(() => {
      this.#looks += 1;
      for (const connection of connections.values()) connection.checkDeadlines(this.#looks, everyMs);
    }, everyMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
