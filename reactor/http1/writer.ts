// The body of an answer that is sent piece by piece: in chunks, of a length told before, or up to the connection's end.
// exchange.ts makes it and tells it when its turn has come: pieces written before wait here, up to a bound.

import type { Connection } from '../connection.js';
import { ReactorError } from '../errors.js';
import { OUTPUT_HARD_CAP_BYTES, OUTPUT_HIGH_WATER_BYTES } from '../limits.js';
import type { SendOutcome } from '../sending-half.js';
import type { Framing } from './response-head.js';

const LAST_CHUNK = '0\r\n\r\n';

/** What a writer asks of its exchange. */
export interface WriterOwner {
  readonly connection: Connection;
  /** The connection has ended. */
  readonly isGone: boolean;
  /** Output is above the high-water mark. */
  readonly isFull: boolean;
  /** The body was written to its end. */
  ended(): void;
  /** The client cannot be told the truth any more: the connection has to break. */
  broken(error: ReactorError): void;
}

export class Http1Writer {
  readonly #owner: WriterOwner;
  readonly #framing: Framing;
  /** False for HEAD and the like: what is written is counted and dropped. */
  readonly #hasBody: boolean;
  #hasTurn = false;
  #isEnded = false;
  /** `sendBody` is at work. */
  #isLent = false;
  #writtenBytes = 0;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #waiters: (() => void)[] = [];

  /** @internal */
  constructor(owner: WriterOwner, framing: Framing, hasBody: boolean) {
    this.#owner = owner;
    this.#framing = framing;
    this.#hasBody = hasBody;
  }

  /** @internal Its head is out. */
  get hasBegun(): boolean {
    return this.#hasTurn;
  }

  /** Bytes of the body that were written. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /**
   * Sends a piece, which is copied and may be reused at once. 'full': accepted, but wait for `drained()` before the
   * next. 'closed': the client is gone.
   * @throws ReactorError REACTOR_ANSWER_INVALID after `end`, and beyond the content-length
   */
  write(piece: string | Uint8Array): SendOutcome {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    if (!(bytes instanceof Uint8Array)) throw invalid('a piece must be a string or a Uint8Array');
    this.#take(bytes.length);
    if (this.#owner.isGone) return 'closed';
    if (!this.#hasBody || bytes.length === 0) return 'sent';
    if (this.#hasTurn) return this.#send(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > OUTPUT_HARD_CAP_BYTES) {
      const text = `an answer that waits for its turn has more than ${OUTPUT_HARD_CAP_BYTES} bytes`;
      this.#owner.broken(new ReactorError('REACTOR_OUTPUT_OVERFLOW', text));
      return 'closed';
    }
    this.#held.push(Buffer.from(bytes));
    return this.#isFull ? 'full' : 'sent';
  }

  /** Resolves when the client has taken enough. @throws ReactorError REACTOR_CONNECTION_CLOSED */
  async drained(): Promise<void> {
    while (this.#isFull) await this.#change();
    if (this.#owner.isGone) throw gone();
  }

  /**
   * Lets `send` put exactly `bytes` of the body on the connection by itself (`connection.sendFile`), when it is this
   * answer's turn; only with a content-length. Write nothing until it resolves. Without a body (HEAD) it is not called.
   * @throws ReactorError REACTOR_ANSWER_INVALID, REACTOR_CONNECTION_CLOSED; whatever `send` throws, which breaks the
   *   connection: the length that was promised cannot be kept
   */
  async sendBody(bytes: number, send: (connection: Connection) => Promise<unknown>): Promise<void> {
    if (typeof this.#framing !== 'number') throw invalid('sendBody needs a content-length header');
    this.#take(bytes);
    if (!this.#hasBody) return;
    this.#isLent = true;
    try {
      while (!this.#hasTurn && !this.#owner.isGone) await this.#change();
      if (this.#owner.isGone) throw gone();
      await send(this.#owner.connection);
    } catch (cause) {
      this.#owner.broken(
        new ReactorError('REACTOR_CONNECTION_CLOSED', 'a body could not be sent', { cause }),
      );
      throw cause;
    } finally {
      this.#isLent = false;
    }
  }

  /**
   * The body is complete, after this last piece.
   * @throws ReactorError REACTOR_ANSWER_INVALID when it is shorter than its content-length: the connection is broken off
   */
  end(lastPiece?: string | Uint8Array): void {
    if (lastPiece !== undefined) this.write(lastPiece);
    this.#take(0);
    this.#isEnded = true;
    if (this.#owner.isGone) return;
    if (this.#hasBody && typeof this.#framing === 'number' && this.#writtenBytes < this.#framing) {
      const error = invalid(
        `the body has ${this.#writtenBytes} bytes, not its content-length ${this.#framing}`,
      );
      this.#owner.broken(error);
      throw error;
    }
    if (this.#hasTurn) this.#finish();
  }

  /** @internal The head is out: what was held follows. */
  begin(): void {
    this.#hasTurn = true;
    for (const piece of this.#held) this.#send(piece);
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#isEnded) this.#finish();
    else this.wake();
  }

  /** @internal Output has drained, or the connection is gone. */
  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  get #isFull(): boolean {
    if (this.#owner.isGone) return false;
    return this.#hasTurn ? this.#owner.isFull : this.#heldBytes >= OUTPUT_HIGH_WATER_BYTES;
  }

  /** Counts `bytes` more of the body. */
  #take(bytes: number): void {
    if (this.#isEnded) throw invalid('the answer was ended before');
    if (this.#isLent) throw invalid('sendBody is still at work');
    if (typeof this.#framing === 'number' && this.#writtenBytes + bytes > this.#framing) {
      throw invalid(`the body has more bytes than its content-length ${this.#framing}`);
    }
    this.#writtenBytes += bytes;
  }

  #send(bytes: Uint8Array): SendOutcome {
    const { connection } = this.#owner;
    if (this.#framing !== 'chunked') return connection.write(bytes);
    const size = `${bytes.length.toString(16)}\r\n`;
    connection.writeText(size, size.length, 'latin1');
    connection.write(bytes);
    return connection.writeText('\r\n', 2, 'latin1');
  }

  #finish(): void {
    if (this.#framing === 'chunked' && this.#hasBody)
      this.#owner.connection.writeText(LAST_CHUNK, LAST_CHUNK.length, 'latin1');
    this.#owner.ended();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}

function gone(): ReactorError {
  return new ReactorError('REACTOR_CONNECTION_CLOSED', 'the client closed the connection');
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_ANSWER_INVALID', message);
}
