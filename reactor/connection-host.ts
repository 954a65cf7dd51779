// What a connection is given when it is made: the limits it keeps to, and the service it belongs to.
// tcp-service.ts and tcp-client.ts are such hosts; connection.ts and its halves ask them.

import type { HandlerContext } from './async-scope.js';
import type { FrameCodec, FrameDecoder } from './codec.js';
import type { Connection } from './connection.js';
import type { EventLoop } from './event-loop.js';
import type { RequestSampler } from './request-sample.js';
import type { Router } from './router.js';
import type { SendingHalf } from './sending-half.js';
import type { CounterRow } from './shared-counters.js';

/** How long a connection waits for its peer. All in milliseconds; 0 is off. */
export interface ConnectionTimeouts {
  readonly firstByteTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly drainTimeoutMs: number;
}

/** Complete options of a connection; tcp-options.ts documents and fills them. */
export interface ConnectionLimits extends ConnectionTimeouts {
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  readonly hardCapBytes: number;
  readonly overflow: 'close' | 'drop' | 'pause';
  readonly pauseReadingWhenFull: boolean;
  readonly sequential: boolean;
  readonly pendingHandlersMax: number;
  readonly allowHalfOpen: boolean;
}

/** What all connections of one service on one thread share. */
export interface ConnectionHost {
  /** What is entered where the service or client was made is entered in every handler. */
  readonly context: HandlerContext;
  readonly loop: EventLoop;
  readonly codec: FrameCodec;
  readonly limits: ConnectionLimits;
  readonly counters: CounterRow;
  readonly sampler: RequestSampler;
  /** Replaced by a reload. */
  readonly router: Router;
  /** A decoder that knows its connection; where this is missing, the codec's. */
  createDecoder?(connection: Connection): FrameDecoder;
  /** Calls `sender.flush()` once, at the end of this turn. */
  scheduleFlush(sender: SendingHalf): void;
  /** The connection has ended and holds nothing any more. */
  released(connection: Connection): void;
  /** onError or onClose failed itself: nobody is left to tell but the log, which also counts the code. */
  hookFailed(error: unknown): void;
}
