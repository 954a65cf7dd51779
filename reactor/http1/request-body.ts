// A request's body on its way from the parser to the handler that asks for it, and the wait when nobody does.
// session.ts pushes what arrives and stops reading while `isWanted` says no; request.ts is what handlers ask.

import { ReactorError } from '../errors.js';
import { bodyTooLarge } from './head-rules.js';
import { PieceList } from './piece-list.js';

/** Bytes that wait for a slow reader of the stream before the connection is not read any more. */
const WAITING_BYTES_MAX = 64 * 1024;

/** Told when the handler's wishes change. */
export interface BodyOwner {
  /** Somebody asked for the body, or will not: it may be read again. */
  bodyWanted(): void;
}

type Reading = 'unread' | 'collecting' | 'streaming' | 'discarding';

export class RequestBody {
  readonly #owner: BodyOwner;
  /** Bytes announced; null: chunked. */
  readonly #announcedBytes: number | null;
  readonly #bytesMax: number;
  #reading: Reading = 'unread';
  readonly #pieces: PieceList = new PieceList();
  #receivedBytes = 0;
  #isWhole: boolean;
  #error: ReactorError | null = null;
  /** What `collect` may take. */
  #collectBytesMax = 0;
  #notify: (() => void) | null = null;

  constructor(owner: BodyOwner, announcedBytes: number | null, bytesMax: number) {
    this.#owner = owner;
    this.#announcedBytes = announcedBytes;
    this.#bytesMax = bytesMax;
    this.#isWhole = announcedBytes === 0;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  get wasAskedFor(): boolean {
    return this.#reading === 'collecting' || this.#reading === 'streaming';
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Why it will not become whole. */
  get error(): ReactorError | null {
    return this.#error;
  }

  /** More of it may be read from the connection now. */
  get isWanted(): boolean {
    if (this.#reading === 'streaming') return this.#pieces.bytes < WAITING_BYTES_MAX;
    return this.#reading !== 'unread';
  }

  // What the session tells.

  /** Takes a piece, which is only lent. @throws Refusal 413 above the limit of the server */
  push(piece: Buffer): void {
    this.#receivedBytes += piece.length;
    if (this.#receivedBytes > this.#bytesMax) throw bodyTooLarge(this.#bytesMax);
    if (this.#reading === 'discarding' || this.#error !== null) return;
    if (this.#reading === 'collecting' && this.#receivedBytes > this.#collectBytesMax) {
      this.#fail(bodyTooLarge(this.#collectBytesMax));
      return;
    }
    this.#pieces.append(piece);
    if (this.#reading === 'streaming') this.#wake();
  }

  /** All of it has come. */
  end(): void {
    this.#isWhole = true;
    this.#wake();
  }

  /** It will not become whole; whoever waits for it is told `error`. */
  fail(error: ReactorError): void {
    if (!this.#isWhole) this.#fail(error);
  }

  /** Nobody will ask for it any more. */
  discard(): void {
    if (this.#reading === 'streaming' || this.#reading === 'collecting') return;
    this.#startReading('discarding');
  }

  // What handlers ask.

  /** The whole body. @throws Refusal 413; ReactorError when it was read before or does not become whole */
  async collect(bytesMax: number): Promise<Buffer> {
    this.#checkUnread();
    this.#collectBytesMax = Math.min(bytesMax, this.#bytesMax);
    if ((this.#announcedBytes ?? 0) > this.#collectBytesMax) {
      this.#startReading('discarding');
      throw bodyTooLarge(this.#collectBytesMax);
    }
    this.#startReading('collecting');
    while (!this.#isWhole && this.#error === null) await this.#change();
    if (this.#error !== null) throw this.#error;
    const pieces = this.#pieces.take();
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** The pieces as they come; the client is slowed down to the reader's pace. @throws like `collect` */
  async *stream(): AsyncGenerator<Buffer, void, undefined> {
    this.#checkUnread();
    this.#startReading('streaming');
    try {
      for (;;) {
        const pieces = this.#pieces.take();
        if (pieces.length > 0) this.#owner.bodyWanted();
        yield* pieces;
        if (this.#pieces.bytes > 0) continue;
        if (this.#error !== null) throw this.#error;
        if (this.#isWhole) return;
        await this.#change();
      }
    } finally {
      this.#startReading('discarding');
    }
  }

  #checkUnread(): void {
    if (this.#error !== null) throw this.#error;
    if (this.#reading === 'unread') return;
    throw new ReactorError('REACTOR_ANSWER_INVALID', 'the body of this request was read or given up before');
  }

  #startReading(reading: Reading): void {
    this.#reading = reading;
    if (reading === 'discarding') this.#pieces.take();
    this.#owner.bodyWanted();
  }

  #fail(error: ReactorError): void {
    this.#error = error;
    this.#pieces.take();
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#notify = resolve;
    });
  }

  #wake(): void {
    const notify = this.#notify;
    this.#notify = null;
    notify?.();
  }
}
