// A whole answer on its way to the connection: at once where it is short, else piece by piece as the client takes it.
// exchange.ts makes it when the answer's turn has come. A long body is not copied: it is the handler's memory.

import type { Connection } from '../connection.js';
import { OUTPUT_HIGH_WATER_BYTES } from '../limits.js';

/** A body above this goes out in pieces of this size. */
const PIECE_BYTES = OUTPUT_HIGH_WATER_BYTES;

export class Payload {
  readonly #connection: Connection;
  readonly #body: Uint8Array;
  #sentBytes = 0;

  private constructor(connection: Connection, body: Uint8Array) {
    this.#connection = connection;
    this.#body = body;
  }

  /** Sends head and body, of which text takes `bytes` as UTF-8. Returns what is left to send, or null. */
  static send(
    connection: Connection,
    head: string,
    body: string | Uint8Array | null,
    bytes: number,
  ): Payload | null {
    if (typeof body === 'string' && body.length === bytes && bytes <= PIECE_BYTES) {
      connection.writeText(head + body, head.length + bytes, 'latin1'); // as many bytes as characters: ASCII
      return null;
    }
    connection.writeText(head, head.length, 'latin1');
    if (body === null) return null;
    const payload = new Payload(connection, typeof body === 'string' ? Buffer.from(body) : body);
    return payload.proceed() ? null : payload;
  }

  /** Sends what the connection takes now. True when that was the rest. */
  proceed(): boolean {
    const body = this.#body;
    while (this.#sentBytes < body.length) {
      const end = Math.min(body.length, this.#sentBytes + PIECE_BYTES);
      const outcome = this.#connection.write(body.subarray(this.#sentBytes, end));
      if (outcome === 'closed') return false; // the session hears of it, and forgets us
      this.#sentBytes = end;
      if (outcome === 'full') break;
    }
    return this.#sentBytes === body.length;
  }
}
