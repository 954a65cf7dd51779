// A connection on the native transport: one slot of epoll-transport.ts.
// tcp-service.ts makes it of an accepted slot or descriptor; connection.ts decides what happens on it.
// Its output is staged in the thread's send slab and leaves with that of all others when the batch ends.

import { constants } from 'node:os';

import type { ConnectionHost } from './connection-host.js';
import { EpollOutput } from './epoll-output.js';
import type { EpollSink } from './epoll-sinks.js';
import type { EpollTransport } from './epoll-transport.js';
import { ReactorError } from './errors.js';
import type { CloseReason } from './handlers.js';
import { fileFailed, type SendableFile } from './sendable-file.js';
import { type SocketAddress, StreamConnection, type StreamOptions } from './stream-connection.js';
import { systemError } from './system-error.js';

/** Output of one connection that is worth a system call before the batch ends. */
const STAGED_BYTES_MAX = 64 * 1024;

/** A socket whose output does not wait has room for as much, as a rule. */
const TAKEN_AT_ONCE_BYTES_MAX = 16 * 1024;

export class EpollConnection extends StreamConnection implements EpollSink {
  readonly #transport: EpollTransport;
  readonly #output: EpollOutput;
  /** -1 while a client has not reached its server. */
  #slot = -1;
  /** The slot is ours: from `attach` until the connection closes. */
  #hasSlot = false;
  #isReading = false;
  /** Waiting in C++ when we last looked. */
  #pendingSeen = 0;
  /** Counted as taken ahead of the latest flush. */
  #countedAhead = 0;
  /** Of files, modulo 2^32, when we last looked. */
  #fileBytesSeen = 0;
  #isFinAsked = false;
  #isEndHeld = false;
  #hasPeerEnded = false;
  #isClosing = false;

  /** Call `attach` and `start` next. */
  constructor(host: ConnectionHost, id: number, transport: EpollTransport, options: StreamOptions) {
    const output = new EpollOutput(transport, host.loop.pool);
    super(host, id, output, options);
    this.#transport = transport;
    this.#output = output;
  }

  /** Takes over `slot`, which is connected and has no sink yet. */
  attach(slot: number): void {
    this.#slot = slot;
    this.#hasSlot = true;
    this.#transport.attach(slot, this);
    this.#output.attach(slot, this);
  }

  // EpollSink.

  /** @internal */
  received(bytes: Buffer, start: number, end: number): void {
    this.batchScope = this.#transport.scope;
    this.take(bytes, start, end);
    this.batchScope = null;
  }

  /** @internal */
  ended(): void {
    if (this.state === 'connecting') {
      this.close('peer-ended');
    } else if (this.holdsBack) {
      this.#isEndHeld = true;
    } else {
      this.#endReading();
    }
  }

  /** @internal */
  broke(errno: number): void {
    if (this.state !== 'closed' && !this.isDelivered) {
      const cause = systemError(errno);
      this.report(new ReactorError('REACTOR_CONNECTION_CLOSED', cause.message, { cause }));
    }
    this.closeSoon('peer-reset');
  }

  /** @internal */
  fileBroke(errno: number): void {
    this.fileFailed(fileFailed(errno === constants.errno.ENODATA ? null : systemError(errno)));
  }

  /** @internal */
  drained(): void {
    this.#lookAtFiles();
    const taken = this.#pendingSeen - this.#look();
    if (taken > 0) this.writtenLater(taken);
  }

  /** @internal */
  flushed(): void {
    if (this.state === 'closed') return;
    if (!this.#transport.isOpen(this.#slot)) return; // nothing was taken, and the event that says why follows
    const before = this.#pendingSeen;
    const bytes = this.#output.takeStaged();
    this.transmitted(before + bytes - this.#look(), before === 0);
  }

  /** @internal */
  get isTakenAtOnce(): boolean {
    const { bytes } = this.#output;
    return (
      bytes > 0 &&
      bytes <= TAKEN_AT_ONCE_BYTES_MAX &&
      this.#pendingSeen === 0 &&
      !this.isAwaited &&
      !this.isBehind &&
      this.#transport.isOpen(this.#slot)
    );
  }

  /** @internal */
  flushing(): void {
    const bytes = this.#output.takeStaged();
    if (bytes === 0) return; // named twice
    this.#countedAhead = bytes;
    this.transmitted(bytes, true);
  }

  /** @internal */
  fellBehind(): void {
    if (this.#countedAhead === 0 || !this.#hasSlot) return;
    const isOpen = this.#transport.isOpen(this.#slot);
    const left = isOpen ? this.#look() : this.#countedAhead;
    if (left > 0) this.untransmitted(left);
    if (!isOpen) this.#output.putBack(left); // the event that says why follows
    this.#countedAhead = 0;
  }

  // Connection.

  protected get inFlightBytes(): number {
    return this.#hasSlot ? this.#transport.pendingBytes(this.#slot) : 0;
  }

  protected get untakenBytes(): number {
    return this.inFlightBytes;
  }

  protected socketAddress(): SocketAddress {
    return this.#hasSlot ? this.#transport.peerOf(this.#slot) : { address: undefined, port: undefined };
  }

  protected startReading(): void {
    if (!this.takeHeldBack()) return;
    if (this.#isEndHeld) {
      this.#isEndHeld = false;
      this.#endReading();
      return;
    }
    if (this.#isReading || this.state === 'closed') return;
    this.#isReading = true;
    this.#transport.startReading(this.#slot);
  }

  protected stopReading(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#transport.stopReading(this.#slot);
  }

  protected transmit(): void {
    if (!this.#transport.isInBatch || this.#output.bytes >= STAGED_BYTES_MAX) this.#transport.flush();
  }

  protected transmitFile(file: SendableFile): void {
    try {
      this.#transport.sendFile(this.#slot, file.fd, file.start, file.bytes);
    } catch (cause) {
      const { message } = cause as Error; // the addon throws nothing else
      throw new ReactorError('REACTOR_FILE_UNAVAILABLE', message, { cause });
    }
    file.close();
    this.#lookAtFiles();
  }

  protected shutdownWrite(): void {
    this.#isFinAsked = true;
    if (!this.#hasPeerEnded) this.#transport.shutdown(this.#slot);
    else this.closeSoon('peer-ended'); // closing sends the FIN
  }

  protected closeTransport(reset: boolean): void {
    if (this.#hasSlot) this.#transport.closeSlot(this.#slot, reset);
    this.closeSoon('destroyed');
  }

  /** All the peer's bytes have been delivered, and its FIN comes after them. */
  #endReading(): void {
    this.#hasPeerEnded = true;
    this.stopReading(); // a FIN stays readable for ever
    this.peerEnded();
    if (this.#isFinAsked && this.isDelivered) this.closeSoon('peer-ended');
  }

  /** Tells what the kernel took of files since we last looked. */
  #lookAtFiles(): void {
    if (this.filesWaiting === 0 || !this.#hasSlot || !this.#transport.isOpen(this.#slot)) return;
    const sent = this.#transport.fileBytesSent(this.#slot);
    const bytes = (sent - this.#fileBytesSeen) >>> 0;
    const finished = this.filesWaiting - this.#transport.filesWaiting(this.#slot);
    this.#fileBytesSeen = sent;
    if (bytes > 0 || finished > 0) this.filesWritten(bytes, finished);
  }

  /** Looks at what waits in C++ now, for the next difference. */
  #look(): number {
    this.#pendingSeen = this.inFlightBytes;
    return this.#pendingSeen;
  }

  /** The socket goes; the user hears of it when the caller has returned. */
  protected closeSoon(reason: CloseReason): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#hasSlot) this.#transport.closeSlot(this.#slot, false);
    this.#hasSlot = false;
    process.nextTick(() => this.transportClosed(reason));
  }
}
