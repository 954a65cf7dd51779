// What a user writes: the handler module's shape, and the frame and peer it is handed.
// sub-reactor.ts loads the module once per thread; handler-calls.ts calls what it returned.

import { lender } from './body-lender.js';
import type { Connection } from './connection.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';

/**
 * One received frame. `body` may be read until the handler first returns or awaits, because its memory is
 * the thread's read buffer; `copy()` keeps the frame longer.
 */
export interface Frame {
  /** 0 for codecs without message ids. */
  readonly msgId: number;
  /**
   * To be read. Write to it only if it is not sent on: what is sent as it came may leave from where it lies.
   * @throws ReactorError REACTOR_FRAME_RELEASED when read after the handler returned.
   */
  readonly body: Buffer;
  /** Bytes in `body`; readable at any time. */
  readonly bodyBytes: number;
  /** A frame with memory of its own. Same condition as `body`. */
  copy(): Frame;
}

/** May be async: a rejection counts like a throw. */
export type FrameHandler = (connection: Connection, frame: Frame) => unknown;

/** Why a connection ended; the second argument of `onClose`. */
export type CloseReason =
  | 'peer-ended' // the peer closed in order, and so did we
  | 'ended' // end() was called, output was delivered
  | 'destroyed' // destroy() was called
  | 'reset' // reset() was called
  | 'peer-reset' // the peer or the network broke the connection off
  | 'frame-error' // the peer's bytes were not frames, or too large
  | 'handler-error' // a handler threw or rejected
  | 'output-overflow' // the peer read too slowly and the overflow policy is 'close'
  | 'file-failed' // a file that was being sent became shorter or unreadable
  | 'first-byte-timeout'
  | 'handshake-timeout'
  | 'idle-timeout'
  | 'read-timeout'
  | 'write-timeout'
  | 'drain-timeout' // output could not be delivered before the deadline
  | 'pool-exhausted' // no memory for the peer's unfinished frame
  | 'shutdown'; // the server closed

/** What a handler module's default export returns. Every member is optional. */
export interface Handlers {
  /** By message id, or one function for all frames (and for codecs without ids). */
  readonly onFrame?: Readonly<Record<number, FrameHandler>> | FrameHandler;
  onConnect?(connection: Connection): unknown;
  /** Called exactly once for every connection that `onConnect` saw. */
  onClose?(connection: Connection, reason: CloseReason): unknown;
  /** A frame whose id has no handler; without this hook it is counted and reported to `onError`. */
  onUnknown?(connection: Connection, frame: Frame): unknown;
  /** Every coded error of this connection, before the connection is closed because of it, if it is. */
  onError?(connection: Connection, error: ReactorError): unknown;
  /** Output fell to the low-water mark after `send` had answered 'full'. */
  onDrain?(connection: Connection): unknown;
  /** The peer sent FIN; its last frames have been delivered and we may still answer. */
  onHalfClose?(connection: Connection): unknown;
}

/** The default export of a handler module; runs once on every sub-reactor. `data` is the server's `handlerData`. */
export type HandlerModule = (loop: EventLoop, data?: unknown) => Handlers | Promise<Handlers>;

/** A frame in borrowed memory. HandlerCalls revokes it when the handler returns. */
export class BorrowedFrame implements Frame {
  readonly msgId: number;
  readonly bodyBytes: number;
  #bytes: Buffer | null;
  readonly #start: number;
  #body: Buffer | null = null;

  constructor(msgId: number, bytes: Buffer, start: number, end: number) {
    this.msgId = msgId;
    this.bodyBytes = end - start;
    this.#bytes = bytes;
    this.#start = start;
  }

  get body(): Buffer {
    if (this.#body !== null) return this.#body;
    if (this.#bytes === null) {
      throw new ReactorError(
        'REACTOR_FRAME_RELEASED',
        'frame.body was read after its handler returned or awaited; call frame.copy() first',
      );
    }
    this.#body = lender.lend(this.#bytes, this.#start, this.bodyBytes);
    return this.#body;
  }

  copy(): Frame {
    return { msgId: this.msgId, body: Buffer.from(this.body), bodyBytes: this.bodyBytes, copy: copyOwned };
  }

  /** The memory goes back to its owner: later reads throw. */
  revoke(): void {
    this.#bytes = null;
    this.#body = null;
  }
}

function copyOwned(this: Frame): Frame {
  return { msgId: this.msgId, body: Buffer.from(this.body), bodyBytes: this.bodyBytes, copy: copyOwned };
}
