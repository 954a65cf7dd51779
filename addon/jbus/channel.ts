// A channel: whole messages to one peer and back, over two rings and a doorbell, with deadlines on everything.
// open-channel.ts makes it of a link; channel-input.ts and channel-output.ts move messages, this file decides who waits,
// who is woken, and how it ends. Promises settle exactly once, in the order of submission. One thread only.
// What the peer wrote before it closed or died can still be read.

import { isMainThread } from 'node:worker_threads';

import { ChannelInput } from './channel-input.js';
import {
  type Cancelable,
  type ChannelOptions,
  checkMessage,
  checkTimeout,
  completeChannelOptions,
  type ReadOptions,
  type WriteOptions,
} from './channel-options.js';
import { ChannelOutput } from './channel-output.js';
import type { ChannelStats } from './channel-stats.js';
import { DeadlineTimer } from './deadline-timer.js';
import { JbusError } from './errors.js';
import { POISON_REASONS } from './layout.js';
import type { Lease, Message } from './lease.js';
import type { BackingName, ChannelLink } from './link.js';
import type { PeerState } from './peer-liveness.js';
import { PeerWatch } from './peer-watch.js';
import { canceled } from './pending.js';
import { ReadQueue } from './read-queue.js';
import { WriteQueue } from './write-queue.js';

/** A message with bytes of its own. */
export interface KeptMessage extends Message {
  readonly data: Buffer;
}

interface Listener {
  readonly onMessage: (lease: Lease) => void;
  readonly onEnd: (error: JbusError) => void;
}

/** Messages that a listener is given before the loop gets a turn. */
const LISTEN_PER_TURN = 64;
/** Operations in a row that are done at once before the loop gets a turn. */
const STREAK_MAX = 512;

const keep = (lease: Lease): KeptMessage => lease.keep();
const asIs = (lease: Lease): Lease => lease;

export class Channel {
  readonly name: string;
  readonly backing: BackingName;
  readonly #link: ChannelLink;
  readonly #options: Required<ChannelOptions>;
  readonly #input: ChannelInput;
  readonly #output: ChannelOutput;
  readonly #writes: WriteQueue;
  readonly #reads: ReadQueue;
  readonly #peer: PeerWatch;
  readonly #timer = new DeadlineTimer(() => this.#onTimer());
  #onPeerDown: ((error: JbusError) => void)[] = [];
  #listener: Listener | undefined;
  #turn: NodeJS.Immediate | undefined;
  #isClosed = false;
  /** Why nothing more will come or go. */
  #end: JbusError | undefined;
  #lastMsgId = 0;
  #rings = 0;
  #streak = 0;
  #foundByPolling = 0;
  #timeouts = 0;

  /** The channel owns the link from here on. @throws JbusError JBUS_INVALID_ARGUMENT, with the link closed. */
  constructor(link: ChannelLink, options: ChannelOptions = {}) {
    this.#link = link;
    try {
      this.#options = completeChannelOptions(options);
    } catch (error) {
      link.close();
      throw error;
    }
    this.name = this.#options.name;
    this.backing = link.backing;
    this.#input = new ChannelInput(link, this.#options.messageBytesMax);
    this.#output = new ChannelOutput(link);
    this.#writes = new WriteQueue(this.#output, this.#options);
    this.#reads = new ReadQueue(this.#options.pendingReadsMax);
    link.doorbell.listen(
      () => this.#onRing(),
      () => this.#onPeerGone(),
    );
    this.#peer = new PeerWatch(link, this.#output, this.#options.heartbeatMs, {
      onClosing: () => this.#finish(new JbusError('JBUS_CLOSED', `${this.#title()}: the peer closed it`)),
      onPoisoned: () => this.#failPoisoned(),
      onGone: () => this.#onPeerGone(),
    });
    this.#peer.look();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Why the channel has ended; undefined while it has not. */
  get ended(): JbusError | undefined {
    return this.#end;
  }

  // Writing

  /**
   * Writes a message, or has it wait for room behind those that wait already; resolves to its id once all of it is in
   * the ring. Until then the bytes must not change. A message larger than the ring goes while the peer reads.
   * @throws JbusError (as rejection) JBUS_TIMEOUT: nothing was written, or the channel has ended because a part was;
   * JBUS_QUEUE_FULL, JBUS_CANCELED, JBUS_MESSAGE_TOO_LARGE, JBUS_INVALID_ARGUMENT, or what ended the channel.
   */
  writeAsync(data: Uint8Array, options: WriteOptions & Cancelable = {}): Promise<number> {
    const {
      type = 0,
      msgId = this.#lastMsgId + 1,
      timeoutMs = this.#options.writeTimeoutMs,
      signal,
    } = options;
    try {
      this.#checkWrite(type, msgId, data, timeoutMs);
      if (signal?.aborted === true) throw canceled(signal);
      if (this.#writes.length === 0 && this.#output.tryWrite(type, msgId, data)) return this.#soon(msgId);
      const write = this.#writes.push(type, msgId, data, performance.now() + timeoutMs, signal);
      this.#pumpWrites();
      this.#arm();
      return write.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes a message of at most half the ring at once; false, and nothing done, when there is no room or others wait.
   * @throws JbusError JBUS_RECORD_TOO_LARGE, and as writeAsync.
   */
  tryWrite(data: Uint8Array, options: Pick<WriteOptions, 'type' | 'msgId'> = {}): boolean {
    const { type = 0, msgId = this.#lastMsgId + 1 } = options;
    this.#checkWrite(type, msgId, data, 0);
    if (data.length > this.#output.recordBytesMax) {
      throw new JbusError(
        'JBUS_RECORD_TOO_LARGE',
        `${data.length} bytes need several records: use writeAsync`,
      );
    }
    return this.#writes.length === 0 && this.#output.tryWrite(type, msgId, data);
  }

  /** As writeAsync, blocking the thread. @throws JbusError JBUS_MAIN_THREAD, JBUS_BUSY, and as writeAsync. */
  write(data: Uint8Array, options: WriteOptions = {}): number {
    const { type = 0, msgId = this.#lastMsgId + 1, timeoutMs = this.#options.writeTimeoutMs } = options;
    this.#checkBlocking(this.#writes.length);
    this.#checkWrite(type, msgId, data, timeoutMs);
    const outgoing = { type, msgId, data, written: 0 };
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      this.#throwIfEnded();
      const progress = this.#output.advance(outgoing);
      if (progress === 'done') return msgId;
      if (progress === 'broken') this.#failPoisoned();
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw this.#writeTimedOut(outgoing.written);
      if (progress === 'waiting') this.#block(leftMs);
    }
  }

  // Reading

  /**
   * The next message, copied out of the ring.
   * @throws JbusError (as rejection) JBUS_TIMEOUT, JBUS_QUEUE_FULL, JBUS_CANCELED, JBUS_INVALID_ARGUMENT, or what ended
   * the channel, once everything that came before that was read.
   */
  readAsync(options: ReadOptions & Cancelable = {}): Promise<KeptMessage> {
    return this.#read(keep, options);
  }

  /** The next message in place, lent until `release`. Errors as readAsync. */
  leaseAsync(options: ReadOptions & Cancelable = {}): Promise<Lease> {
    return this.#read(asIs, options);
  }

  /** Lends the next message to `use` until it returns, or its promise settles. Errors as readAsync, and those of `use`. */
  async readScoped<T>(
    use: (message: Lease) => T | Promise<T>,
    options: ReadOptions & Cancelable = {},
  ): Promise<T> {
    const lease = await this.leaseAsync(options);
    try {
      return await use(lease);
    } finally {
      lease.release();
    }
  }

  /** Lends message after message, each until the next is asked for, and ends when either side closes the channel. */
  async *leases(options: Cancelable = {}): AsyncGenerator<Lease, void, void> {
    for (;;) {
      let lease: Lease;
      try {
        lease = await this.leaseAsync({ ...options, timeoutMs: Infinity });
      } catch (error) {
        if (error instanceof JbusError && error.code === 'JBUS_CLOSED') return;
        throw error;
      }
      try {
        yield lease;
      } finally {
        lease.release();
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Lease, void, void> {
    return this.leases();
  }

  /** The next message if it is here, in place; undefined also while others wait. @throws JbusError what ended it. */
  tryLease(): Lease | undefined {
    if (this.#reads.length > 0 || this.#listener !== undefined) return undefined;
    const lease = this.#next();
    if (lease === undefined) this.#throwIfDrained();
    return lease;
  }

  /**
   * Gives every message from now on to `onMessage`, lent in place until it releases it, and at last, once, what ended the
   * channel to `onEnd`: reading without a promise for each message, instead of all other ways. Both are called in later
   * turns; what they throw is uncaught.
   * @throws JbusError JBUS_BUSY: reads wait, or somebody listens already; JBUS_CLOSED: by this side.
   */
  listen(onMessage: (lease: Lease) => void, onEnd: (error: JbusError) => void): void {
    if (this.#isClosed) this.#throwIfEnded();
    if (this.#reads.length > 0) throw new JbusError('JBUS_BUSY', `${this.#title()}: reads wait already`);
    this.#checkUnheard();
    this.#listener = { onMessage, onEnd };
    this.#takeTurn();
    this.#arm();
  }

  /** As readAsync, blocking the thread. @throws JbusError JBUS_MAIN_THREAD, JBUS_BUSY, and as readAsync. */
  read(options: ReadOptions = {}): KeptMessage {
    const { timeoutMs = this.#options.readTimeoutMs } = options;
    checkTimeout('timeoutMs', timeoutMs);
    this.#checkBlocking(this.#reads.length);
    this.#checkUnheard();
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const lease = this.#nextPatiently();
      if (lease !== undefined) return lease.keep();
      this.#throwIfDrained();
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw this.#timedOut('no message came');
      if (this.#input.hasMore) continue;
      if (this.#input.prepareSleep()) this.#block(leftMs);
      else this.#failIfPoisoned();
    }
  }

  // The peer

  /** Resolves when the peer has joined. @throws JbusError (as rejection) JBUS_TIMEOUT, JBUS_CANCELED, what ended it. */
  join(options: ReadOptions & Cancelable = {}): Promise<void> {
    const { timeoutMs = this.#options.readTimeoutMs, signal } = options;
    try {
      checkTimeout('timeoutMs', timeoutMs);
      this.#throwIfEnded();
      if (signal?.aborted === true) throw canceled(signal);
      if (this.#peer.hasPeer) return Promise.resolve();
      const joined = this.#peer.join(performance.now() + timeoutMs, signal);
      this.#arm();
      return joined;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  peerState(): PeerState {
    if (this.#end !== undefined) return this.#end.code === 'JBUS_PEER_DEAD' ? 'gone' : 'unknown';
    return this.#peer.state();
  }

  /** False once the peer's process is known to be gone. A peer that is busy or stopped lives. */
  checkAlive(): boolean {
    return this.peerState() !== 'gone';
  }

  /**
   * Calls back once when the channel ends by something else than `close`: the peer died (JBUS_PEER_DEAD) or closed
   * (JBUS_CLOSED), either side broke the format (JBUS_POISONED), a message was left half written (JBUS_CHANNEL_FULL).
   */
  onPeerDown(callback: (error: JbusError) => void): void {
    const end = this.#end;
    if (end === undefined) this.#onPeerDown.push(callback);
    else if (!this.#isClosed) queueMicrotask(() => callback(end));
  }

  stats(): ChannelStats {
    return {
      messagesWritten: this.#output.messages,
      bytesWritten: this.#output.bytes,
      messagesRead: this.#input.messages,
      bytesRead: this.#input.bytes,
      writesWaiting: this.#writes.length,
      writeBytesWaiting: this.#writes.bytes,
      readsWaiting: this.#reads.length,
      leasesOut: this.#input.lent,
      timeouts: this.#timeouts,
      ringFull: this.#output.waits,
      wakeups: this.#rings,
      foundByPolling: this.#foundByPolling,
      heartbeatsWritten: this.#output.heartbeats,
      heartbeatsRead: this.#input.heartbeats,
      fragmentsDropped: this.#input.fragmentsDropped,
      messagesTorn: this.#input.torn,
    };
  }

  /** Keeps the thread's loop alive while open, as it does from the start. */
  ref(): this {
    this.#link.doorbell.setRef(true);
    return this;
  }

  /** Lets the loop end although this is open. */
  unref(): this {
    this.#link.doorbell.setRef(false);
    return this;
  }

  /** Tells the peer and gives everything back; what waits rejects with JBUS_CLOSED. May be repeated. */
  close(): void {
    if (this.#isClosed) return;
    const closed = new JbusError('JBUS_CLOSED', `${this.#title()} is closed`);
    this.#isClosed = true;
    this.#onPeerDown = [];
    this.#link.mark('closing');
    this.#link.doorbell.ring();
    this.#finish(closed);
    this.#end = closed;
    this.#reads.fail(closed);
    this.#endListening(closed);
    this.#timer.clear();
    clearImmediate(this.#turn);
    this.#input.close();
    this.#link.close();
  }

  // Moving what waits

  #read<T>(take: (lease: Lease) => T, options: ReadOptions & Cancelable): Promise<T> {
    const { timeoutMs = this.#options.readTimeoutMs, signal } = options;
    try {
      checkTimeout('timeoutMs', timeoutMs);
      if (signal?.aborted === true) throw canceled(signal);
      this.#checkUnheard();
      const lease = this.#reads.length === 0 ? this.#nextPatiently() : undefined;
      if (lease !== undefined) return this.#soon(take(lease));
      this.#throwIfDrained();
      const read = this.#reads.push(take, performance.now() + timeoutMs, signal);
      this.#pumpReads();
      this.#arm();
      return read;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #next(spinMicros = 0): Lease | undefined {
    if (this.#isClosed) return undefined;
    try {
      return this.#input.next(spinMicros);
    } catch (error) {
      this.#fail(error as JbusError);
      return undefined;
    }
  }

  /** The next message; looks a little longer, where the options say so. */
  #nextPatiently(): Lease | undefined {
    return this.#next(this.#end === undefined ? this.#options.spinMicros : 0);
  }

  /** Moves what can be moved; whether a message was. */
  #pump(): boolean {
    const before = this.#output.messages + this.#input.messages;
    this.#pumpWrites();
    this.#pumpReads();
    return this.#output.messages + this.#input.messages > before;
  }

  #pumpReads(): void {
    for (let heard = 0; this.#reads.length > 0 || this.#listener !== undefined; ) {
      if (heard === LISTEN_PER_TURN) return this.#takeTurn();
      const lease = this.#next();
      if (lease !== undefined && this.#listener !== undefined) {
        heard += 1;
        this.#listener.onMessage(lease);
      } else if (lease !== undefined) this.#reads.settle(lease);
      else if (this.#input.hasMore) return this.#takeTurn();
      else if (this.#end !== undefined) this.#failReads(this.#end);
      else if (this.#input.prepareSleep()) return;
      else this.#failIfPoisoned();
    }
  }

  #pumpWrites(): void {
    const progress = this.#writes.pump();
    if (progress === 'yielding') this.#takeTurn();
    if (progress === 'broken') this.#failPoisoned();
  }

  /** Done already; but whoever awaits in a loop must not keep this thread from its timers and its other sockets. */
  #soon<T>(value: T): Promise<T> {
    this.#streak += 1;
    if (this.#streak < STREAK_MAX) return Promise.resolve(value);
    this.#streak = 0;
    return new Promise((resolve) => setImmediate(resolve, value));
  }

  /** Goes on after the other things of this thread had their turn. */
  #takeTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#pump();
    });
  }

  #expire(nowMs: number): void {
    this.#writes.expire(nowMs, (written) => this.#writeTimedOut(written));
    this.#reads.expire(nowMs, () => this.#timedOut('no message came'));
    this.#peer.expire(nowMs, () => this.#timedOut('the peer did not join'));
  }

  #timedOut(what: string): JbusError {
    this.#timeouts += 1;
    return new JbusError('JBUS_TIMEOUT', `${this.#title()}: ${what} in time`);
  }

  /** A message of which a part is in the ring cannot be taken back: nothing can follow it. */
  #writeTimedOut(written: number): JbusError {
    const error = this.#timedOut('the peer made no room');
    if (written > 0) {
      const why = `a message was left after ${written} bytes: the peer made no room in time`;
      this.#fail(new JbusError('JBUS_CHANNEL_FULL', `${this.#title()}: ${why}`));
    }
    return error;
  }

  // Waking and sleeping

  #onRing(): void {
    if (this.#isClosed) return;
    this.#rings += 1;
    this.#streak = 0;
    this.#peer.heard();
    // A ring that brought nothing is news.
    if (!this.#pump() || !this.#peer.hasPeer) this.#look();
  }

  #onPeerGone(): void {
    if (this.#isClosed) return;
    this.#look();
    this.#finish(new JbusError('JBUS_PEER_DEAD', `${this.#title()}: the peer is gone`));
  }

  /** Has the timer come for the next deadline, or for the look that makes up for a ring that was lost. */
  #arm(): void {
    const waiting = this.#writes.length + this.#reads.length + this.#peer.waiting;
    if (waiting === 0 && this.#listener === undefined) return;
    const nowMs = performance.now();
    const dueMs = Math.min(
      nowMs + this.#link.doorbell.sleepMsMax,
      this.#writes.earliestMs,
      this.#reads.earliestMs,
      this.#peer.earliestMs,
    );
    this.#timer.arm(dueMs, nowMs);
  }

  #onTimer(): void {
    this.#look();
    if (this.#pump() && !this.#wasRung()) this.#foundByPolling += 1;
    this.#expire(performance.now());
    this.#arm();
  }

  /** Whether the timer only was faster than the ring, which then lies in the doorbell. */
  #wasRung(): boolean {
    if (this.#isClosed || !this.#link.canBlock) return false;
    const answer = this.#link.doorbell.wait(0);
    if (answer === 'rung') this.#peer.heard();
    if (answer === 'gone') this.#onPeerGone();
    return answer !== 'silent';
  }

  /** Blocks until the peer rings, or it is time to look again. */
  #block(leftMs: number): void {
    const answer = this.#link.doorbell.wait(Math.min(leftMs, this.#link.doorbell.sleepMsMax));
    if (answer === 'gone') this.#onPeerGone();
    if (answer !== 'silent') return;
    this.#link.beat(); // the timers of this thread do not run meanwhile
    this.#look();
    if (this.#peer.hasPeer && !this.checkAlive()) this.#onPeerGone();
  }

  // Ending

  /** What both sides have put into the rings' states. */
  #look(): void {
    if (this.#end === undefined) this.#peer.look();
  }

  #failIfPoisoned(): void {
    if (this.#link.reader.poison() !== 0) this.#failPoisoned();
  }

  #failPoisoned(): void {
    const reason = Math.max(this.#link.reader.poison(), this.#link.writer.poison());
    this.#fail(new JbusError('JBUS_POISONED', `${this.#title()}: ${POISON_REASONS[reason] ?? 'given up'}`));
  }

  /** Gives both rings up and tells the peer. */
  #fail(error: JbusError): void {
    if (this.#end !== undefined) return;
    this.#link.mark('poisoned');
    this.#link.doorbell.ring();
    this.#finish(error);
  }

  /** The one way every channel ends. What was read before is delivered first, then `error`. */
  #finish(error: JbusError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#writes.fail(error);
    this.#peer.end(error);
    this.#pumpReads();
    const callbacks = this.#onPeerDown;
    this.#onPeerDown = [];
    for (const callback of callbacks) callback(error);
  }

  /** Nothing more can be read: what was half received will not be completed. */
  #failReads(end: JbusError): void {
    this.#input.abandon();
    this.#reads.fail(end);
    this.#endListening(end);
  }

  #endListening(end: JbusError): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.onEnd(end);
  }

  #throwIfDrained(): void {
    if (this.#end === undefined || this.#input.hasMore) return;
    this.#input.abandon();
    throw this.#end;
  }

  #throwIfEnded(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  #checkWrite(type: number, msgId: number, data: Uint8Array, timeoutMs: number): void {
    checkMessage(type, msgId, data, this.#options.messageBytesMax);
    checkTimeout('timeoutMs', timeoutMs);
    this.#throwIfEnded();
    this.#lastMsgId = msgId;
  }

  #checkUnheard(): void {
    if (this.#listener !== undefined)
      throw new JbusError('JBUS_BUSY', `${this.#title()}: somebody listens to it`);
  }

  #checkBlocking(waiting: number): void {
    if (isMainThread) {
      throw new JbusError('JBUS_MAIN_THREAD', 'blocking is for worker threads: use readAsync and writeAsync');
    }
    if (!this.#link.canBlock) {
      throw new JbusError('JBUS_UNSUPPORTED', `a channel over '${this.backing}' cannot block`);
    }
    if (waiting > 0) throw new JbusError('JBUS_BUSY', `${waiting} promises of this channel wait already`);
  }

  #title(): string {
    return this.name === '' ? `channel (${this.backing})` : `channel ${this.name} (${this.backing})`;
  }
}
