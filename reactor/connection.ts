// One connection's life: its states, when its input is read, and when it is given up.
// sending-half.ts is its output, handler-calls.ts calls the user, connection-deadlines.ts has the timeouts.
// A transport (net-connection.ts, epoll-connection.ts) feeds it bytes. Nothing here knows sockets, so both
// transports keep the same promises.

import assert from 'node:assert/strict';
import type { PeerCertificate } from 'node:tls';

import { type BatchScope, inOwnScope } from './async-scope.js';
import { lender } from './body-lender.js';
import type { FrameDecoder, FrameSink } from './codec.js';
import { type ConnectionActivity, nextDeadlineMs, passedDeadline } from './connection-deadlines.js';
import type { ConnectionHost } from './connection-host.js';
import { ReactorError } from './errors.js';
import { HandlerCalls } from './handler-calls.js';
import type { CloseReason } from './handlers.js';
import type { Output } from './output-queue.js';
import { SendingHalf } from './sending-half.js';
import { BYTES_READ, FRAMES_RECEIVED, READS_PAUSED, TIMEOUTS } from './shared-counters.js';

export type ConnectionState =
  | 'connecting' // not usable yet: TCP connect, TLS handshake or PROXY header under way
  | 'open'
  | 'half-closed' // the peer sent FIN; what we send still arrives
  | 'draining' // end() was called: nothing more is accepted, output is being delivered
  | 'closed';

// Reasons for not reading; reading goes on when none is left.
const PAUSED_BY_USER = 1;
const PAUSED_BY_OUTPUT = 2;
const PAUSED_BY_HANDLERS = 4;
const PAUSED_BY_BUDGET = 8;
const PAUSED_BY_DRAIN = 16;

export abstract class Connection extends SendingHalf implements FrameSink {
  /** Yours: whatever the handlers want to remember about this peer. */
  context: unknown = undefined;
  /** The address whose share of the connection limits it takes, whatever a PROXY header says. @internal */
  countedAddress: string | undefined = undefined;

  readonly #decoder: FrameDecoder;
  readonly #calls: HandlerCalls;
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

  /** The scope of the batch that brings what is received now; null when nothing may run in it. */
  protected batchScope: BatchScope | null = null;

  #pauses = 0;
  /** The decoder keeps frames that a pause held back. */
  #holdsFrames = false;

  #bytesRead = 0;
  #framesReceived = 0;
  /** Start of the current state, first for the handshake or first byte, later for the drain deadline. */
  #stateSinceMs: number;
  #lastReadMs: number;

  constructor(host: ConnectionHost, id: number, output: Output) {
    super(host, id, output);
    this.#decoder = host.createDecoder?.(this) ?? host.codec.createDecoder(host.loop.pool);
    this.#calls = new HandlerCalls(this, host);
    this.#stateSinceMs = host.loop.nowMs;
    this.#lastReadMs = this.#stateSinceMs;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get stats(): { bytesRead: number; bytesWritten: number; framesReceived: number; framesSent: number } {
    return {
      bytesRead: this.#bytesRead,
      bytesWritten: this.bytesWritten,
      framesReceived: this.#framesReceived,
      framesSent: this.framesSent,
    };
  }

  /** Numeric address of the peer, or of the client a PROXY header named; undefined for Unix sockets. */
  abstract get remoteAddress(): string | undefined;
  abstract get remotePort(): number | undefined;

  /** The certificate the peer showed, if our authorities vouch for it; null without TLS or without one. */
  get peerCertificate(): PeerCertificate | null {
    return null;
  }

  // What a transport supplies.

  protected abstract startReading(): void;
  protected abstract stopReading(): void;
  /** Gives the socket up; `transportClosed` must be called once it is gone. With `reset`, by RST. */
  protected abstract closeTransport(reset: boolean): void;

  // Receiving.

  /** Stops delivering frames until `resume`; the kernel then makes the peer wait. */
  pause(): void {
    this.#pause(PAUSED_BY_USER);
  }

  resume(): void {
    this.#unpause(PAUSED_BY_USER);
  }

  // Ending.

  /**
   * Delivers what was sent, then FIN, then waits for the peer's FIN; all within the drain timeout, which starts
   * again whenever the peer takes a part of a file.
   */
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
    else if (!this.isInBatch) this.flush();
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
    if (!this.#calls.isAtWork) this.endFor('shutdown');
  }

  /** Whether it is a connection of this service. @internal */
  belongsTo(host: ConnectionHost): boolean {
    return this.host === host;
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
    if (!this.isInBatch) this.flush();
    this.watchDeadlines();
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
    this.#calls.report(error);
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
    this.watchDeadlines();
    if (!this.#calls.connected()) return;
    if (this.#pauses === 0) this.startReading();
    if (this.output.bytes > 0 || this.#outputEnded) this.flush();
  }

  /** Takes what one read brought: `bytes[start, end)`, only lent. */
  protected receive(bytes: Buffer, start: number, end: number): void {
    this.#bytesRead += end - start;
    this.host.counters.values[BYTES_READ]! += end - start;
    if (this.host.limits.idleTimeoutMs > 0 || this.host.limits.readTimeoutMs > 0) {
      this.#lastReadMs = this.loop.nowMs;
    }
    if (this.#state !== 'open') return; // after end() what still comes is read only so that no RST goes out
    this.#dispatch(bytes, start, end);
  }

  /** The peer's FIN arrived after all its bytes. */
  protected peerEnded(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    if (this.#state === 'draining') this.outputShrank();
    else if (!this.#holdsFrames) this.#tellHalfClose();
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
    this.output.clear();
    this.loseFiles();
    this.host.released(this);
    if (!this.#announced) return;
    this.#announced = false;
    this.#calls.closed(closeReason);
  }

  /** Yields to other connections: reading goes on in the next turn. */
  protected yieldTurn(): void {
    this.#pause(PAUSED_BY_BUDGET);
    setImmediate(() => this.#unpause(PAUSED_BY_BUDGET)); // no task of the loop: its queue may be full
  }

  protected get isReadingWanted(): boolean {
    return this.#pauses === 0 && this.#state !== 'closed';
  }

  /** FrameSink. @internal */
  onFrame(msgId: number, bytes: Buffer, start: number, end: number): boolean {
    this.#framesReceived += 1;
    this.host.counters.values[FRAMES_RECEIVED]! += 1;
    if (!this.#calls.frame(msgId, bytes, start, end)) this.#pause(PAUSED_BY_HANDLERS);
    return this.#pauses === 0 && this.#state === 'open';
  }

  /** A handler that was at work is done, well or not; its failure was reported before. @internal */
  handlerSettled(): void {
    this.#unpause(PAUSED_BY_HANDLERS);
    if (this.#isDraining && !this.#calls.isAtWork) this.endFor('shutdown');
    this.#endAfterPeer();
  }

  /** TimerNode: finds out which deadline passed, if any, and arms the next. @internal */
  override onTimer(): void {
    const reason = passedDeadline(this.#activity, this.host.limits, this.loop.nowMs);
    const isAboutOutput = reason === 'write-timeout' || reason === 'idle-timeout';
    if (reason === null || (isAboutOutput && this.hasTakenSome())) {
      this.watchDeadlines();
      return;
    }
    if (this.isDelivered) {
      this.close(reason); // only the peer's FIN is missing: nothing was lost
      return;
    }
    this.host.counters.values[TIMEOUTS]! += 1;
    this.report(new ReactorError('REACTOR_TIMEOUT', `connection ${this.id} closed by ${reason}`));
    this.close(reason, reason === 'write-timeout' || reason === 'drain-timeout');
  }

  // Input.

  /**
   * Hands out the frames of a chunk, or with null those that were held back: in an async scope of their own, or in one
   * that nobody will know from it.
   */
  #dispatch(bytes: Buffer | null, start: number, end: number): void {
    const scope = this.batchScope;
    this.batchScope = null; // a handler that lets others go on may have entered something
    if (scope !== null && scope.suits(this.host.context)) {
      try {
        this.#deliver(bytes, start, end);
      } finally {
        scope.leave();
      }
      return;
    }
    inOwnScope(this.host.context, Connection.#deliverTo, this, bytes, start, end);
  }

  static readonly #deliverTo = (to: Connection, bytes: Buffer | null, start: number, end: number): void =>
    to.#deliver(bytes, start, end);

  #deliver(bytes: Buffer | null, start: number, end: number): void {
    this.isInBatch = true;
    this.#holdsFrames = false;
    try {
      if (bytes === null) this.#decoder.resume(this);
      else this.#decoder.feed(bytes, this, start, end);
    } catch (error) {
      this.#inputFailed(error);
    } finally {
      this.isInBatch = false;
      lender.takeBack();
    }
    if (this.#pauses !== 0) this.#holdsFrames = this.#decoder.bufferedBytes > 0;
    this.flush();
  }

  /** Delivers frames that a pause held back, then reads on; unless something holds the input again. */
  #pump(): void {
    if (this.isInBatch) {
      this.startReading(); // the delivery under way goes on by itself
      return;
    }
    while (this.#holdsFrames && this.#pauses === 0 && this.#state === 'open') this.#dispatch(null, 0, 0);
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
      if (!this.isScheduled) this.watchDeadlines();
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
    if (this.#calls.halfClosed()) this.#endAfterPeer();
  }

  /** Answers the peer's FIN with ours once no handler is at work, unless half-open connections are wanted. */
  #endAfterPeer(): void {
    if (this.#state !== 'half-closed' || this.#calls.isAtWork) return;
    if (!this.host.limits.allowHalfOpen || this.#outputEnded) this.endFor('peer-ended');
  }

  // Output.

  protected get acceptsOutput(): boolean {
    return !this.#outputEnded && this.#state !== 'draining' && this.#state !== 'closed';
  }

  protected pauseForOutput(): void {
    this.#pause(PAUSED_BY_OUTPUT);
  }

  /** After end() a file has all the time its peer needs, as long as it takes some of it. */
  protected fileProgressed(): void {
    if (this.#state === 'draining' && !this.#isDraining) this.#stateSinceMs = this.loop.nowMs;
  }

  /** Output fell: lets a waiting sender and the input go on, and finishes an `end`. */
  protected outputShrank(): void {
    if (this.#state === 'closed') return;
    const isEnding = this.#state === 'draining' || (this.#outputEnded && this.#state === 'open');
    if (isEnding && this.outputBytes === 0 && this.filesWaiting === 0 && !this.#writeShutDown) {
      this.#writeShutDown = true;
      this.shutdownWrite();
      if (this.#isDraining) this.#linger();
    }
    if (this.#state === 'draining') {
      // Read on whatever paused it: for the peer's FIN, and for a peer that reads only when it has written.
      if (!this.#peerEnded) this.startReading();
      return;
    }
    if (!this.takeDrained()) return;
    this.#unpause(PAUSED_BY_OUTPUT);
    this.#calls.drained();
  }

  // Deadlines.

  /** Arms the timer for the nearest deadline; a transport calls it while it is still connecting. */
  protected watchDeadlines(): void {
    if (this.#state === 'closed') return;
    const nextMs = nextDeadlineMs(this.#activity, this.host.limits);
    if (nextMs !== Infinity) this.loop.timers.schedule(this, Math.max(0, nextMs - this.loop.nowMs));
  }

  get #activity(): ConnectionActivity {
    return {
      state: this.#state,
      stateSinceMs: this.#stateSinceMs,
      lastReadMs: this.#lastReadMs,
      lastWriteMs: this.lastWriteMs,
      wasHeard: this.#bytesRead > 0,
      isPaused: this.#pauses !== 0,
      isBehind: this.isBehind,
      isLingering: this.#isDraining && this.isDelivered,
    };
  }

  /** The server is closing and this peer has got everything: its FIN is not waited for much longer. */
  #linger(): void {
    this.#stateSinceMs = this.loop.nowMs;
    this.watchDeadlines();
  }
}
