// One connection's life: its states, what it may read and write, and when it is given up.
// A transport (net-connection.ts) feeds it bytes and carries its output; router.ts calls the user.
// Nothing here knows sockets, so both transports keep the same promises.

import assert from 'node:assert/strict';

import type { FrameCodec, FrameDecoder, FrameSink } from './codec.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { BorrowedFrame, type CloseReason } from './handlers.js';
import { LINGER_MS } from './limits.js';
import type { Output } from './output-queue.js';
import { NOT_SAMPLED, type RequestSampler } from './request-sample.js';
import type { Router } from './router.js';
import {
  BYTES_READ,
  BYTES_WRITTEN,
  type CounterRow,
  FRAMES_DROPPED,
  FRAMES_RECEIVED,
  FRAMES_SENT,
  FRAMES_UNKNOWN,
  HANDLER_ERRORS,
  OUTPUT_OVERFLOWS,
  READS_PAUSED,
  TIMEOUTS,
} from './shared-counters.js';
import { TimerNode } from './timer-wheel.js';

export type ConnectionState =
  | 'connecting' // not usable yet: TCP connect, TLS handshake or PROXY header under way
  | 'open'
  | 'half-closed' // the peer sent FIN; what we send still arrives
  | 'draining' // end() was called: nothing more is accepted, output is being delivered
  | 'closed';

/**
 * What became of a send. 'sent': accepted, go on. 'full': accepted, but output is above the high-water mark;
 * wait for `onDrain`. 'dropped': refused by the overflow policy. 'closed': refused, the connection is ending.
 */
export type SendOutcome = 'sent' | 'full' | 'dropped' | 'closed';

/** Complete options of a connection; tcp-options.ts documents and fills them. */
export interface ConnectionLimits {
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  readonly hardCapBytes: number;
  readonly overflow: 'close' | 'drop' | 'pause';
  readonly pauseReadingWhenFull: boolean;
  readonly sequential: boolean;
  readonly pendingHandlersMax: number;
  readonly allowHalfOpen: boolean;
  /** All timeouts in milliseconds; 0 is off. */
  readonly firstByteTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly drainTimeoutMs: number;
}

/** What all connections of one service on one thread share. */
export interface ConnectionHost {
  readonly loop: EventLoop;
  readonly codec: FrameCodec;
  readonly limits: ConnectionLimits;
  readonly counters: CounterRow;
  readonly sampler: RequestSampler;
  /** Replaced by a reload. */
  readonly router: Router;
  /** Calls `connection.flush()` once, at the end of this turn. */
  scheduleFlush(connection: Connection): void;
  /** The connection has ended and holds nothing any more. */
  released(connection: Connection): void;
  /** onError or onClose failed itself: nobody is left to tell but the log, which also counts the code. */
  hookFailed(error: unknown): void;
}

// Reasons for not reading; reading goes on when none is left.
const PAUSED_BY_USER = 1;
const PAUSED_BY_OUTPUT = 2;
const PAUSED_BY_HANDLERS = 4;
const PAUSED_BY_BUDGET = 8;
const PAUSED_BY_DRAIN = 16;

export abstract class Connection extends TimerNode implements FrameSink {
  /** Never used twice on its thread; see ConnectionTable. */
  readonly id: number;
  /** Yours: whatever the handlers want to remember about this peer. */
  context: unknown = undefined;

  protected readonly host: ConnectionHost;
  readonly #decoder: FrameDecoder;
  readonly #output: Output;
  #state: ConnectionState = 'connecting';
  #closeReason: CloseReason | null = null;
  /** onConnect was called, so onClose is owed. */
  #announced = false;
  #peerEnded = false;
  #halfCloseTold = false;
  /** endOutput() was called: nothing more is accepted, but frames still come. */
  #outputEnded = false;
  #writeShutDown = false;
  /** drain() was called: the last handler to finish ends the connection. */
  #isDraining = false;

  #pauses = 0;
  /** The decoder keeps frames that a pause held back. */
  #holdsFrames = false;
  /** Inside decoder.feed or resume: output is flushed when it returns. */
  #dispatching = false;
  #corkDepth = 0;
  #flushScheduled = false;
  /** A send answered 'full' and onDrain is owed. */
  #full = false;
  #pendingHandlers = 0;
  /** Inside onError. */
  #isReporting = false;

  #bytesRead = 0;
  #bytesWritten = 0;
  #framesReceived = 0;
  #framesSent = 0;
  /** Start of the current state, first for the handshake or first byte, later for the drain deadline. */
  #stateSinceMs: number;
  #lastReadMs: number;
  #lastWriteMs: number;
  /** Untaken bytes when they were last looked at. */
  #untakenSeen = 0;

  constructor(host: ConnectionHost, id: number, output: Output) {
    super();
    this.host = host;
    this.id = id;
    this.#decoder = host.codec.createDecoder(host.loop.pool);
    this.#output = output;
    this.#stateSinceMs = host.loop.nowMs;
    this.#lastReadMs = this.#stateSinceMs;
    this.#lastWriteMs = this.#stateSinceMs;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The event loop of the thread that owns this connection for life. */
  get loop(): EventLoop {
    return this.host.loop;
  }

  /** Bytes accepted by `send` and not yet taken by the kernel. */
  get outputBytes(): number {
    return this.#output.bytes + this.inFlightBytes;
  }

  get stats(): { bytesRead: number; bytesWritten: number; framesReceived: number; framesSent: number } {
    return {
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      framesReceived: this.#framesReceived,
      framesSent: this.#framesSent,
    };
  }

  /** Numeric address of the peer, or of the client a PROXY header named; undefined for Unix sockets. */
  abstract get remoteAddress(): string | undefined;
  abstract get remotePort(): number | undefined;

  // What a transport supplies.

  /** Bytes handed to the kernel's care but not taken yet, in whole chunks. */
  protected abstract get inFlightBytes(): number;
  /** The same to the byte, as far as the transport knows; falls while a slow peer takes a long chunk. */
  protected abstract get untakenBytes(): number;
  protected abstract startReading(): void;
  protected abstract stopReading(): void;
  /**
   * Writes as much of the output as the kernel takes, now or at the end of the transport's batch; what it takes
   * is reported by `written`, `transmitted` or `writtenLater`.
   */
  protected abstract transmit(): void;
  /** Sends FIN after everything transmitted. */
  protected abstract shutdownWrite(): void;
  /** Gives the socket up; `transportClosed` must be called once it is gone. With `reset`, by RST. */
  protected abstract closeTransport(reset: boolean): void;

  // Sending.

  /**
   * Sends one frame; `body` is copied and may be reused at once. Strings are sent as UTF-8. Frames sent
   * during one batch of input, one `cork` or one turn leave in one write.
   * @throws ReactorError REACTOR_BODY_TOO_LARGE, REACTOR_FRAME_MALFORMED (the codec cannot express this
   *   body), REACTOR_POOL_EXHAUSTED. Nothing is sent then and the connection goes on.
   */
  send(msgId: number, body: Uint8Array | string): SendOutcome;
  /** The same for codecs without message ids. */
  send(body: Uint8Array | string): SendOutcome;
  send(first: number | Uint8Array | string, second?: Uint8Array | string): SendOutcome {
    const msgId = typeof first === 'number' ? first : 0;
    const payload = typeof first === 'number' ? (second ?? '') : first;
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const frameBytes = this.host.codec.encodedBytes(msgId, body);
    const refusal = this.#refusal(frameBytes);
    if (refusal !== null) return refusal;
    this.#output.appendFrame(this.host.codec, msgId, body, frameBytes);
    this.#framesSent += 1;
    this.host.counters.values[FRAMES_SENT]! += 1;
    return this.#accepted();
  }

  /** Sends bytes as they are, past the codec. @throws ReactorError REACTOR_POOL_EXHAUSTED. */
  write(bytes: Uint8Array | string): SendOutcome {
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const refusal = this.#refusal(body.length);
    if (refusal !== null) return refusal;
    this.#output.appendBytes(body);
    return this.#accepted();
  }

  /** Whatever `fill` sends on this connection leaves in one write. */
  cork(fill: (connection: this) => void): void {
    this.#corkDepth += 1;
    try {
      fill(this);
    } finally {
      this.#corkDepth -= 1;
      if (this.#corkDepth === 0 && !this.#dispatching) this.flush();
    }
  }

  /** Hands waiting output to the kernel now. Called for you at the end of a batch, a cork or a turn. */
  flush(): void {
    this.#flushScheduled = false;
    this.#transmit();
    this.#outputShrank();
  }

  // Receiving.

  /** Stops delivering frames until `resume`; the kernel then makes the peer wait. */
  pause(): void {
    this.#pause(PAUSED_BY_USER);
  }

  resume(): void {
    this.#unpause(PAUSED_BY_USER);
  }

  // Ending.

  /** Delivers what was sent, then FIN, then waits for the peer's FIN; all within the drain timeout. */
  end(): void {
    this.endFor('ended');
  }

  /**
   * Delivers what was sent, then FIN, and goes on receiving until the peer's FIN, which ends the connection.
   * Later sends answer 'closed'.
   */
  endOutput(): void {
    if (this.#outputEnded || this.#state === 'closed') return;
    this.#outputEnded = true;
    if (this.#state === 'half-closed') this.#endAfterPeer();
    else if (!this.#dispatching) this.flush();
  }

  /** Closes at once; unsent output is lost. */
  destroy(): void {
    this.close('destroyed');
  }

  /** Closes by RST: the peer learns at once that something was lost. */
  reset(): void {
    this.close('reset', true);
  }

  /** The server closes: takes no more frames, waits for handlers at work, then ends. @internal */
  drain(): void {
    if (this.#state === 'connecting') {
      this.close('shutdown');
      return;
    }
    this.#isDraining = true;
    this.#pause(PAUSED_BY_DRAIN);
    if (this.#pendingHandlers === 0) this.endFor('shutdown');
  }

  /** `end` with another reason: what was sent is delivered, what still comes is not looked at. @internal */
  endFor(reason: CloseReason): void {
    if (this.#state === 'closed' || this.#state === 'draining') return;
    if (this.#state === 'connecting') {
      this.close(reason);
      return;
    }
    this.#closeReason ??= reason;
    this.#state = 'draining';
    this.#stateSinceMs = this.loop.nowMs;
    this.#decoder.release(); // no frame is taken any more
    if (!this.#dispatching) this.flush();
    this.#armTimer();
  }

  /** Every other way to end: immediate, for `reason`. @internal */
  close(reason: CloseReason, reset: boolean = false): void {
    if (this.#state === 'closed') return;
    if (!this.isDelivered) this.#closeReason = reason;
    this.#state = 'closed';
    this.loop.timers.cancel(this);
    this.closeTransport(reset);
  }

  /** Counts a coded error of this connection and tells its handlers. @internal */
  report(error: ReactorError): void {
    this.host.counters.countError(error.code);
    if (this.#isReporting) return; // caused by the very hook that would be told
    this.#isReporting = true;
    this.#tell('onError', () => this.host.router.failed(this, error));
    this.#isReporting = false;
  }

  /** Everything accepted was taken by the kernel and FIN sent: however the rest goes, `end` succeeded. @internal */
  get isDelivered(): boolean {
    return this.#state === 'draining' && this.#writeShutDown && this.outputBytes === 0;
  }

  // What the transport tells.

  /** The connection is usable: calls `onConnect`, then starts reading. */
  protected opened(): void {
    assert(!this.#announced);
    if (this.#state === 'closed') return;
    this.#state = 'open';
    this.#stateSinceMs = this.loop.nowMs;
    this.#lastReadMs = this.#stateSinceMs;
    this.#announced = true;
    this.#armTimer();
    try {
      this.#watch(this.host.router.connected(this));
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    if (this.#pauses === 0) this.startReading();
    if (this.#output.bytes > 0 || this.#outputEnded) this.flush();
  }

  /** Takes what one read brought. `chunk` is only lent. */
  protected receive(chunk: Buffer): void {
    this.#bytesRead += chunk.length;
    this.host.counters.values[BYTES_READ]! += chunk.length;
    if (this.host.limits.idleTimeoutMs > 0 || this.host.limits.readTimeoutMs > 0) {
      this.#lastReadMs = this.loop.nowMs;
    }
    if (this.#state !== 'open') return; // after end() what still comes is read only so that no RST goes out
    this.#dispatch(chunk);
  }

  /** The peer's FIN arrived after all its bytes. */
  protected peerEnded(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    if (this.#state === 'draining') this.#outputShrank();
    else if (!this.#holdsFrames) this.#tellHalfClose();
  }

  /** The kernel took `bytes` of output. */
  protected written(bytes: number): void {
    this.#bytesWritten += bytes;
    this.host.counters.values[BYTES_WRITTEN]! += bytes;
  }

  /** A batch of output was handed over: the kernel took `bytes` of ours, and what is in flight it did not. */
  protected transmitted(bytes: number, wasCaughtUp: boolean): void {
    this.written(bytes);
    this.#noteTransmitted(wasCaughtUp);
    if (this.#full || this.#state !== 'open' || this.#outputEnded) this.#outputShrank();
  }

  /** The kernel caught up with some of what `transmit` left behind. */
  protected writtenLater(bytes: number): void {
    this.written(bytes);
    this.#lastWriteMs = this.loop.nowMs;
    if (this.#state !== 'closed') this.flush();
  }

  /** The socket is gone: gives everything back, then calls `onClose`. */
  protected transportClosed(reason: CloseReason): void {
    const closeReason =
      this.#closeReason !== null && (this.#state === 'closed' || this.isDelivered)
        ? this.#closeReason
        : reason;
    this.#state = 'closed';
    this.loop.timers.cancel(this);
    this.#decoder.release();
    this.#output.clear();
    this.host.released(this);
    if (!this.#announced) return;
    this.#announced = false;
    this.#tell('onClose', () => this.host.router.closed(this, closeReason));
  }

  /** Yields to other connections: reading goes on in the next turn. */
  protected yieldTurn(): void {
    this.#pause(PAUSED_BY_BUDGET);
    setImmediate(() => this.#unpause(PAUSED_BY_BUDGET)); // no task of the loop: its queue may be full
  }

  /** Starts the clock on the current state; a transport calls it while it is still connecting. */
  protected watchDeadlines(): void {
    this.#armTimer();
  }

  protected get isReadingWanted(): boolean {
    return this.#pauses === 0 && this.#state !== 'closed';
  }

  /** FrameSink. @internal */
  onFrame(msgId: number, bytes: Buffer, start: number, end: number): boolean {
    this.#framesReceived += 1;
    this.host.counters.values[FRAMES_RECEIVED]! += 1;
    const { router } = this.host;
    const handler = router.find(msgId);
    const frame = new BorrowedFrame(msgId, bytes, start, end);
    const ticket = this.host.sampler.begin();
    const sampled = ticket === NOT_SAMPLED ? null : this.#startSample(ticket, frame);
    try {
      const result = handler === undefined ? this.#unknownFrame(frame) : handler(this, frame);
      if (result !== undefined && isThenable(result)) this.#track(result, sampled);
      else sampled?.('ok');
    } catch (error) {
      sampled?.('REACTOR_HANDLER_FAILED');
      this.#handlerFailed(error);
      return false;
    } finally {
      frame.revoke();
    }
    return this.#pauses === 0 && this.#state === 'open';
  }

  /** TimerNode: finds out which deadline passed, if any, and arms the next. @internal */
  override onTimer(): void {
    const nowMs = this.loop.nowMs;
    const due = this.#deadlines().find(([, dueMs]) => dueMs <= nowMs);
    const isAboutOutput = due?.[0] === 'write-timeout' || due?.[0] === 'idle-timeout';
    if (due === undefined || (isAboutOutput && this.#hasTakenSome())) {
      this.#armTimer();
      return;
    }
    const [reason] = due;
    if (this.isDelivered) {
      this.close(reason); // only the peer's FIN is missing: nothing was lost
      return;
    }
    this.host.counters.values[TIMEOUTS]! += 1;
    this.report(new ReactorError('REACTOR_TIMEOUT', `connection ${this.id} closed by ${reason}`));
    this.close(reason, reason === 'write-timeout' || reason === 'drain-timeout');
  }

  // Input.

  #dispatch(chunk: Buffer | null): void {
    this.#dispatching = true;
    this.#holdsFrames = false;
    try {
      if (chunk === null) this.#decoder.resume(this);
      else this.#decoder.feed(chunk, this);
    } catch (error) {
      this.#inputFailed(error);
    } finally {
      this.#dispatching = false;
    }
    if (this.#pauses !== 0) this.#holdsFrames = this.#decoder.bufferedBytes > 0;
    this.flush();
  }

  /** Delivers frames that a pause held back, then reads on; unless something holds the input again. */
  #pump(): void {
    if (this.#dispatching) {
      this.startReading(); // the delivery under way goes on by itself
      return;
    }
    while (this.#holdsFrames && this.#pauses === 0 && this.#state === 'open') this.#dispatch(null);
    if (this.#pauses !== 0 || this.#state === 'closed') return;
    if (this.#peerEnded) this.#tellHalfClose();
    else this.startReading();
  }

  #pause(by: number): void {
    if (this.#pauses === 0 && this.#state !== 'closed' && this.#state !== 'draining') {
      this.host.counters.values[READS_PAUSED]! += 1;
      this.stopReading();
    }
    this.#pauses |= by;
  }

  #unpause(by: number): void {
    if ((this.#pauses & by) === 0) return;
    this.#pauses &= ~by;
    if (this.#pauses !== 0 || this.#state === 'closed' || this.#state === 'connecting') return;
    const { readTimeoutMs, firstByteTimeoutMs } = this.host.limits;
    if (readTimeoutMs > 0 || (this.#bytesRead === 0 && firstByteTimeoutMs > 0)) {
      this.#lastReadMs = this.loop.nowMs; // the peer could not be heard until now
      if (!this.isScheduled) this.#armTimer();
    }
    this.#pump();
  }

  #inputFailed(error: unknown): void {
    if (!(error instanceof ReactorError)) throw error; // a decoder throws coded errors only: our own defect
    this.report(error);
    // The frames before this one have earned their answers.
    this.endFor(error.code === 'REACTOR_POOL_EXHAUSTED' ? 'pool-exhausted' : 'frame-error');
  }

  #tellHalfClose(): void {
    if (this.#halfCloseTold || this.#state !== 'open') return;
    this.#halfCloseTold = true;
    this.#state = 'half-closed';
    if (this.#decoder.bufferedBytes > 0) {
      this.report(
        new ReactorError(
          'REACTOR_FRAME_MALFORMED',
          `the peer closed inside a frame: ${this.#decoder.bufferedBytes} bytes left over`,
        ),
      );
    }
    try {
      this.#watch(this.host.router.halfClosed(this));
    } catch (error) {
      this.#handlerFailed(error);
      return;
    }
    this.#endAfterPeer();
  }

  /** Answers the peer's FIN with ours once no handler is at work, unless half-open connections are wanted. */
  #endAfterPeer(): void {
    if (this.#state !== 'half-closed' || this.#pendingHandlers > 0) return;
    if (!this.host.limits.allowHalfOpen || this.#outputEnded) this.endFor('peer-ended');
  }

  // Handlers.

  #unknownFrame(frame: BorrowedFrame): unknown {
    this.host.counters.values[FRAMES_UNKNOWN]! += 1;
    if (this.host.router.handlesUnknown) return this.host.router.unknown(this, frame);
    this.report(new ReactorError('REACTOR_UNKNOWN_MSG_ID', `no handler for message id ${frame.msgId}`));
    return undefined;
  }

  /** Counts an async handler as at work until its promise settles, and holds input while too many are. */
  #track(result: PromiseLike<unknown>, sampled: ((outcome: string) => void) | null): void {
    this.#pendingHandlers += 1;
    const { sequential, pendingHandlersMax } = this.host.limits;
    if (this.#pendingHandlers >= (sequential ? 1 : pendingHandlersMax)) this.#pause(PAUSED_BY_HANDLERS);
    result.then(
      () => {
        sampled?.('ok');
        this.#handlerDone();
      },
      (error: unknown) => {
        sampled?.('REACTOR_HANDLER_FAILED');
        this.#handlerFailed(error);
        this.#handlerDone();
      },
    );
  }

  #handlerDone(): void {
    this.#pendingHandlers -= 1;
    this.#unpause(PAUSED_BY_HANDLERS);
    if (this.#isDraining && this.#pendingHandlers === 0) this.endFor('shutdown');
    this.#endAfterPeer();
  }

  /** Times one of the few frames that are sampled; call what it returns when the frame is dealt with. */
  #startSample(ticket: number, frame: BorrowedFrame): (outcome: string) => void {
    const { loop, sampler } = this.host;
    const startedMs = Date.now();
    const beganMs = loop.nowMs;
    const sentBefore = this.#bytesAccepted;
    return (outcome) => {
      sampler.finish(ticket, {
        name: `frame ${frame.msgId}`,
        thread: loop.threadIndex === 'main' ? 0 : loop.threadIndex,
        startedMs,
        durationUs: Math.round((loop.nowMs - beganMs) * 1000),
        bytesIn: frame.bodyBytes,
        bytesOut: this.#bytesAccepted - sentBefore,
        outcome,
      });
    };
  }

  /** Bytes of output ever accepted. */
  get #bytesAccepted(): number {
    return this.#bytesWritten + this.outputBytes;
  }

  /** A hook that is not about a frame may be async too; only its failure matters. */
  #watch(result: unknown): void {
    if (isThenable(result)) result.then(undefined, (error: unknown) => this.#handlerFailed(error));
  }

  /** Calls a hook whose own failure has nobody left to be told but the log. */
  #tell(hook: 'onError' | 'onClose', call: () => unknown): void {
    const failed = (cause: unknown): void => {
      this.host.counters.values[HANDLER_ERRORS]! += 1;
      this.host.hookFailed(handlerError(hook, cause));
    };
    try {
      const result = call();
      if (isThenable(result)) result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }

  #handlerFailed(cause: unknown): void {
    this.host.counters.values[HANDLER_ERRORS]! += 1;
    this.report(handlerError('handler', cause));
    this.endFor('handler-error'); // the frames before this one have earned their answers
  }

  // Output.

  /** Why `bytes` more cannot be accepted now; null when they can. */
  #refusal(bytes: number): SendOutcome | null {
    if (this.#outputEnded || this.#state === 'draining' || this.#state === 'closed') return 'closed';
    const { hardCapBytes, overflow } = this.host.limits;
    if (this.outputBytes + bytes <= hardCapBytes) return null;
    this.#transmit(); // the batch may have gathered what the kernel would take
    if (this.outputBytes + bytes <= hardCapBytes) return null;
    this.host.counters.values[OUTPUT_OVERFLOWS]! += 1;
    this.host.counters.values[FRAMES_DROPPED]! += 1;
    this.report(
      new ReactorError(
        'REACTOR_OUTPUT_OVERFLOW',
        `the peer does not read: ${this.outputBytes} bytes wait, ${bytes} more would pass ${hardCapBytes}`,
      ),
    );
    if (overflow === 'close') {
      this.close('output-overflow', true);
      return 'closed';
    }
    if (this.outputBytes === 0) return 'dropped'; // above the cap by itself: there is no drain to wait for
    this.#full = true;
    if (overflow === 'pause') this.#pause(PAUSED_BY_OUTPUT);
    return 'dropped';
  }

  #transmit(): void {
    if (this.#state === 'closed' || this.#state === 'connecting' || this.#output.bytes === 0) return;
    const wasCaughtUp = this.inFlightBytes === 0;
    this.transmit();
    this.#noteTransmitted(wasCaughtUp);
  }

  /** Starts the clock on a peer that did not take everything. */
  #noteTransmitted(wasCaughtUp: boolean): void {
    const isBehind = this.inFlightBytes > 0;
    if (this.host.limits.idleTimeoutMs > 0 || isBehind) {
      if (wasCaughtUp) this.#lastWriteMs = this.loop.nowMs;
      if (wasCaughtUp && isBehind) {
        this.#untakenSeen = this.untakenBytes;
        this.#armTimer();
      }
    }
  }

  /** Something was appended: flush it now, later, or say that it is enough. */
  #accepted(): SendOutcome {
    const { highWaterBytes, pauseReadingWhenFull } = this.host.limits;
    if (this.outputBytes >= highWaterBytes) {
      if (this.#corkDepth === 0) this.#transmit();
      if (this.outputBytes >= highWaterBytes) {
        this.#full = true;
        if (pauseReadingWhenFull) this.#pause(PAUSED_BY_OUTPUT);
        return 'full';
      }
    }
    if (!this.#dispatching && this.#corkDepth === 0 && !this.#flushScheduled) {
      this.#flushScheduled = true;
      this.host.scheduleFlush(this);
    }
    return 'sent';
  }

  /** Output fell: lets a waiting sender and the input go on, and finishes an `end`. */
  #outputShrank(): void {
    if (this.#state === 'closed') return;
    const left = this.outputBytes;
    const isEnding = this.#state === 'draining' || (this.#outputEnded && this.#state === 'open');
    if (isEnding && left === 0 && !this.#writeShutDown) {
      this.#writeShutDown = true;
      this.shutdownWrite();
      if (this.#isDraining) this.#linger();
    }
    if (this.#state === 'draining') {
      // Read on whatever paused it: for the peer's FIN, and for a peer that reads only when it has written.
      if (!this.#peerEnded) this.startReading();
      return;
    }
    if (!this.#full || left > this.host.limits.lowWaterBytes) return;
    this.#full = false;
    this.#unpause(PAUSED_BY_OUTPUT);
    try {
      this.#watch(this.host.router.drained(this));
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  // Deadlines.

  #armTimer(): void {
    if (this.#state === 'closed') return;
    let nextMs = Infinity;
    for (const [, dueMs] of this.#deadlines()) if (dueMs < nextMs) nextMs = dueMs;
    if (nextMs !== Infinity) this.loop.timers.schedule(this, Math.max(0, nextMs - this.loop.nowMs));
  }

  /** Every deadline that counts in this state, as [reason, time]. Called by timers only, never per frame. */
  #deadlines(): [CloseReason, number][] {
    const { limits } = this.host;
    const deadlines: [CloseReason, number][] = [];
    const add = (reason: CloseReason, sinceMs: number, timeoutMs: number): void => {
      if (timeoutMs > 0) deadlines.push([reason, sinceMs + timeoutMs]);
    };
    if (this.#state === 'connecting') add('handshake-timeout', this.#stateSinceMs, limits.handshakeTimeoutMs);
    if (this.#state === 'draining') {
      const isLingering = this.#isDraining && this.isDelivered;
      add('drain-timeout', this.#stateSinceMs, isLingering ? LINGER_MS : limits.drainTimeoutMs);
    }
    if (this.#state === 'open' || this.#state === 'half-closed') {
      add('idle-timeout', Math.max(this.#lastReadMs, this.#lastWriteMs), limits.idleTimeoutMs);
    }
    if (this.#state === 'open' && this.#pauses === 0) {
      if (this.#bytesRead === 0) add('first-byte-timeout', this.#lastReadMs, limits.firstByteTimeoutMs);
      add('read-timeout', this.#lastReadMs, limits.readTimeoutMs);
    }
    // What only waits for the end of the turn is not in flight.
    if (this.inFlightBytes > 0) add('write-timeout', this.#lastWriteMs, limits.writeTimeoutMs);
    return deadlines;
  }

  /** The server is closing and this peer has got everything: its FIN is not waited for much longer. */
  #linger(): void {
    this.#stateSinceMs = this.loop.nowMs;
    this.#armTimer();
  }

  /** Whether a slow peer has taken a part of the chunk in flight since somebody looked; asked at deadlines. */
  #hasTakenSome(): boolean {
    if (this.inFlightBytes === 0 || this.untakenBytes === this.#untakenSeen) return false;
    this.#untakenSeen = this.untakenBytes;
    this.#lastWriteMs = this.loop.nowMs;
    return true;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

function handlerError(what: string, cause: unknown): ReactorError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ReactorError('REACTOR_HANDLER_FAILED', `${what} failed: ${message}`, { cause });
}
