// The sending half of a connection: what is accepted, what has to wait, and when the kernel is given it.
// connection.ts adds the receiving half and the life of both; a transport carries the output.
// Frames sent during one batch of input, one cork or one turn leave in one write.

import type { ConnectionState } from './connection.js';
import type { ConnectionHost } from './connection-host.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { FileSends } from './file-sends.js';
import type { CloseReason } from './handlers.js';
import { FILES_WAITING_MAX } from './limits.js';
import type { Output } from './output-queue.js';
import { type FileRange, SendableFile } from './sendable-file.js';
import { BYTES_WRITTEN, FRAMES_DROPPED, FRAMES_SENT, OUTPUT_OVERFLOWS } from './shared-counters.js';
import { TimerNode } from './timer-wheel.js';

/**
 * What became of a send. 'sent': accepted, go on. 'full': accepted, but output is above the high-water mark;
 * wait for `onDrain`. 'dropped': refused by the overflow policy. 'closed': refused, the connection is ending.
 */
export type SendOutcome = 'sent' | 'full' | 'dropped' | 'closed';

export abstract class SendingHalf extends TimerNode {
  /** Never used twice on its thread; see ConnectionTable. */
  readonly id: number;

  protected readonly host: ConnectionHost;
  protected readonly output: Output;
  /** Input is being delivered: output is flushed when that ends. */
  protected isInBatch: boolean = false;
  #corkDepth = 0;
  #flushScheduled = false;
  /** A send answered 'full' and onDrain is owed. */
  #full = false;
  #framesSent = 0;
  #bytesWritten = 0;
  #lastWriteMs: number;
  /** Made for the first file. */
  #files: FileSends | null = null;
  /** Untaken bytes when they were last looked at. */
  #untakenSeen = 0;

  constructor(host: ConnectionHost, id: number, output: Output) {
    super();
    this.host = host;
    this.id = id;
    this.output = output;
    this.#lastWriteMs = host.loop.nowMs;
  }

  /** The event loop of the thread that owns this connection for life. */
  get loop(): EventLoop {
    return this.host.loop;
  }

  /** Bytes accepted by `send` and not yet taken by the kernel; files do not count. */
  get outputBytes(): number {
    return this.output.bytes + this.inFlightBytes;
  }

  protected get framesSent(): number {
    return this.#framesSent;
  }

  protected get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Files accepted by `sendFile` of which the kernel has not taken everything. */
  protected get filesWaiting(): number {
    return this.#files === null ? 0 : this.#files.count;
  }

  /** Somebody waits for output to fall: a sender who was told 'full', or the end of the connection. */
  protected get isAwaited(): boolean {
    return this.#full || !this.acceptsOutput;
  }

  /** The kernel has not taken everything it was given. */
  protected get isBehind(): boolean {
    return this.inFlightBytes > 0 || this.filesWaiting > 0; // what only waits for the end of the turn does not count
  }

  /** When the kernel last took something, or began not to. */
  protected get lastWriteMs(): number {
    return this.#lastWriteMs;
  }

  // What the other half and the life of the connection supply.

  abstract get state(): ConnectionState;
  /** Neither the connection nor its output is ending. */
  protected abstract get acceptsOutput(): boolean;
  /** Too much waits: the peer is not read until `outputShrank` finds that it took enough. */
  protected abstract pauseForOutput(): void;
  /** Output fell, or is to end: lets go on, or finishes, what waited for it. */
  protected abstract outputShrank(): void;
  /** The kernel took a part of a file. */
  protected abstract fileProgressed(): void;
  /** Deadlines may be nearer than they were. */
  protected abstract watchDeadlines(): void;
  /** @internal */
  abstract report(error: ReactorError): void;
  /** @internal */
  abstract close(reason: CloseReason, reset?: boolean): void;

  // What a transport supplies.

  /** Bytes handed to the kernel's care but not taken yet, in whole chunks. */
  protected abstract get inFlightBytes(): number;
  /** The same to the byte, as far as the transport knows; falls while a slow peer takes a long chunk. */
  protected abstract get untakenBytes(): number;
  /**
   * Writes as much of the output as the kernel takes, now or at the end of the transport's batch; what it takes
   * is reported by `written`, `transmitted` or `writtenLater`.
   */
  protected abstract transmit(): void;
  /**
   * Takes `file` over and sends it behind all output so far; what the kernel takes is reported by `filesWritten`.
   * @throws ReactorError REACTOR_FILE_UNAVAILABLE when there is no descriptor left; `file` is still the caller's then.
   */
  protected abstract transmitFile(file: SendableFile): void;
  /** Sends FIN after everything transmitted. */
  protected abstract shutdownWrite(): void;

  // Sending.

  /**
   * Sends one frame; `body` is copied and may be reused at once, unless it is a received `frame.body`: that
   * may leave from where it lies, so do not write to it once it was sent. Strings are sent as UTF-8. Frames
   * sent during one batch of input, one `cork` or one turn leave in one write.
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
    const { codec, limits, counters } = this.host;
    const frameBytes = codec.encodedBytes(msgId, body);
    const waitingBytes = this.outputBytes + frameBytes;
    if (waitingBytes > limits.hardCapBytes || !this.acceptsOutput) {
      const refusal = this.#refusal(frameBytes);
      if (refusal !== null) return refusal;
    }
    this.output.appendFrame(codec, msgId, body, frameBytes);
    this.#framesSent += 1;
    counters.values[FRAMES_SENT]! += 1;
    if (waitingBytes < limits.highWaterBytes && this.isInBatch) return 'sent'; // as `#accepted`, in short
    return this.#accepted();
  }

  /** Sends bytes as they are, past the codec. @throws ReactorError REACTOR_POOL_EXHAUSTED. */
  write(bytes: Uint8Array | string): SendOutcome {
    const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const refusal = this.#refusal(body.length);
    if (refusal !== null) return refusal;
    this.output.appendBytes(body);
    return this.#accepted();
  }

  /**
   * `write` for text whose length is known, encoded in place; `bytes` is its length in that encoding.
   * @throws ReactorError REACTOR_POOL_EXHAUSTED.
   */
  writeText(text: string, bytes: number, encoding: 'latin1' | 'utf8'): SendOutcome {
    const refusal = this.#refusal(bytes);
    if (refusal !== null) return refusal;
    this.output.appendText(text, bytes, encoding);
    return this.#accepted();
  }

  /**
   * Sends a regular file, or a part of it, past the codec and in order with all other output: by sendfile(2) on
   * the native transport, in pieces on the portable one. Fulfilled with the number of bytes once the kernel has
   * taken them all; the file's bytes do not count as waiting output. A descriptor stays the caller's, who keeps
   * it open until then. The file is opened, and its size taken, before this returns.
   * Rejected with nothing sent: REACTOR_FILE_UNAVAILABLE, REACTOR_FILE_RANGE_INVALID, REACTOR_QUEUE_FULL (64
   * files wait). Rejected later: REACTOR_FILE_FAILED when the file became shorter, which resets the
   * connection, and REACTOR_CONNECTION_CLOSED.
   */
  sendFile(file: string | URL | number, range: FileRange = {}): Promise<number> {
    try {
      return this.sendOpenFile(SendableFile.open(file, range));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same with an open file, which is this connection's from here on. @internal */
  sendOpenFile(file: SendableFile): Promise<number> {
    const files = (this.#files ??= new FileSends());
    const wasBehind = this.isBehind;
    const sent = files.add(file.bytes);
    try {
      if (!this.acceptsOutput || this.state === 'connecting') throw this.#fileLost();
      if (files.count > FILES_WAITING_MAX) {
        throw new ReactorError(
          'REACTOR_QUEUE_FULL',
          `${FILES_WAITING_MAX} files wait on connection ${this.id}`,
        );
      }
      this.transmitFile(file);
    } catch (error) {
      files.dropNewest();
      file.close();
      return Promise.reject(error);
    }
    if (!wasBehind) this.#lastWriteMs = this.loop.nowMs;
    if (this.filesWaiting > 0) {
      if (!wasBehind) this.watchDeadlines();
      this.#requestFlush();
    }
    return sent;
  }

  /** Whatever `fill` sends on this connection leaves in one write. */
  cork(fill: (connection: this) => void): void {
    this.#corkDepth += 1;
    try {
      fill(this);
    } finally {
      this.#corkDepth -= 1;
      if (this.#corkDepth === 0 && !this.isInBatch) this.flush();
    }
  }

  /** Hands waiting output to the kernel now. Called for you at the end of a batch, a cork or a turn. */
  flush(): void {
    this.#flushScheduled = false;
    this.#transmit();
    this.outputShrank();
  }

  // What the transport tells.

  /** The kernel took `bytes` of output. */
  protected written(bytes: number): void {
    this.#bytesWritten += bytes;
    const { counters } = this.host;
    const counted = Math.min(bytes, counters.bytesWrittenAhead);
    counters.bytesWrittenAhead -= counted;
    counters.values[BYTES_WRITTEN]! += bytes - counted;
  }

  /** A batch of output was handed over: the kernel took `bytes` of ours, and what is in flight it did not. */
  protected transmitted(bytes: number, wasCaughtUp: boolean): void {
    this.written(bytes);
    this.#noteTransmitted(wasCaughtUp);
    if (this.isAwaited) this.outputShrank();
  }

  /** Of what `transmitted` was told ahead of the fact, the kernel did not take `bytes`. */
  protected untransmitted(bytes: number): void {
    this.#bytesWritten -= bytes;
    this.host.counters.bytesWrittenAhead += bytes;
    this.#noteTransmitted(true);
  }

  /** The kernel caught up with some of what `transmit` left behind. */
  protected writtenLater(bytes: number): void {
    this.written(bytes);
    this.#lastWriteMs = this.loop.nowMs;
    if (this.state !== 'closed') this.flush();
  }

  /** The kernel took `bytes` of files, and with them the last ones of the oldest `finished`. */
  protected filesWritten(bytes: number, finished: number): void {
    this.written(bytes);
    this.#lastWriteMs = this.loop.nowMs;
    this.#files!.finish(finished);
    this.fileProgressed();
    if (finished > 0 && this.state !== 'closed') this.flush();
  }

  /** The file whose turn it is cannot be sent to its end: the peer must not take what it got for the whole. */
  protected fileFailed(error: ReactorError): void {
    this.#files!.failOldest(error);
    this.report(error);
    this.close(error.code === 'REACTOR_POOL_EXHAUSTED' ? 'pool-exhausted' : 'file-failed', true);
  }

  /** The connection is gone, and with it the files that waited. */
  protected loseFiles(): void {
    if (this.filesWaiting > 0) this.#files!.failAll(this.#fileLost());
  }

  // What the life of the connection asks.

  /** Whether senders who were told 'full' may go on; true once for all of them. */
  protected takeDrained(): boolean {
    if (!this.#full || this.outputBytes > this.host.limits.lowWaterBytes) return false;
    this.#full = false;
    return true;
  }

  /** Whether a slow peer has taken a part of the chunk in flight since somebody looked; asked at deadlines. */
  protected hasTakenSome(): boolean {
    if (!this.isBehind || this.untakenBytes === this.#untakenSeen) return false;
    this.#untakenSeen = this.untakenBytes;
    this.#lastWriteMs = this.loop.nowMs;
    return true;
  }

  /** Why `bytes` more cannot be accepted now; null when they can. */
  #refusal(bytes: number): SendOutcome | null {
    if (!this.acceptsOutput) return 'closed';
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
    if (overflow === 'pause') this.pauseForOutput();
    return 'dropped';
  }

  /** Something was appended: flush it now, later, or say that it is enough. */
  #accepted(): SendOutcome {
    const { highWaterBytes, pauseReadingWhenFull } = this.host.limits;
    if (this.outputBytes >= highWaterBytes) {
      if (this.#corkDepth === 0) this.#transmit();
      if (this.outputBytes >= highWaterBytes) {
        this.#full = true;
        if (pauseReadingWhenFull) this.pauseForOutput();
        return 'full';
      }
    }
    this.#requestFlush();
    return 'sent';
  }

  /** Has the output flushed at the end of the batch, the cork or the turn. */
  #requestFlush(): void {
    if (this.isInBatch || this.#corkDepth > 0 || this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.host.scheduleFlush(this);
  }

  #fileLost(): ReactorError {
    return new ReactorError(
      'REACTOR_CONNECTION_CLOSED',
      `connection ${this.id} ended before the file was sent`,
    );
  }

  #transmit(): void {
    if (this.output.isEmpty || this.state === 'closed' || this.state === 'connecting') return;
    const wasCaughtUp = this.inFlightBytes === 0;
    this.transmit();
    this.#noteTransmitted(wasCaughtUp);
  }

  /** Starts the clock on a peer that did not take everything. */
  #noteTransmitted(wasCaughtUp: boolean): void {
    const isBehind = this.inFlightBytes > 0;
    if (!isBehind && this.host.limits.idleTimeoutMs === 0) return;
    if (wasCaughtUp) this.#lastWriteMs = this.loop.nowMs;
    if (wasCaughtUp && isBehind) {
      this.#untakenSeen = this.untakenBytes;
      this.watchDeadlines();
    }
  }
}
