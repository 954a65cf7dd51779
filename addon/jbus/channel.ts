// A channel: whole messages to one peer and back, over two rings and a doorbell, with deadlines on everything.
// open-channel.ts makes it of a link; channel-input.ts and channel-output.ts move messages, this file decides who waits,
// who is woken, and how it ends. Promises settle exactly once, in the order of submission. One thread only.
// What the peer wrote before it closed or died can still be read.

import { isMainThread } from 'node:worker_threads';

import { ChannelInput } from './channel-input.js';
import {
  type Cancelable,
  type ChannelOptions,
  CHANNEL_DEFAULTS,
  checkMessage,
  checkTimeout,
  completeChannelOptions,
  type ReadOptions,
  type WriteOptions,
} from './channel-options.js';
import { ChannelOutput } from './channel-output.js';
import type { ChannelStats } from './channel-stats.js';
import { JbusError } from './errors.js';
import { POISON_REASONS } from './layout.js';
import type { Lease, Message } from './lease.js';
import { type BackingName, type ChannelLink, monotonicMs } from './link.js';
import { judgePeer, type PeerState } from './peer-liveness.js';
import { canceled, Pending, PendingWrite } from './pending.js';
import { WaitingLine } from './waiting-line.js';

/** A message with bytes of its own. */
export interface KeptMessage extends Message {
  readonly data: Buffer;
}

/** A read that waits; `take` makes of the lease what its caller asked for. */
class PendingRead<T> extends Pending<T> {
  readonly #take: (lease: Lease) => T;

  constructor(take: (lease: Lease) => T, deadlineMs: number) {
    super(deadlineMs);
    this.#take = take;
  }

  settle(lease: Lease): void {
    this.resolve(this.#take(lease));
  }
}

const keep = (lease: Lease): KeptMessage => lease.keep();
const asIs = (lease: Lease): Lease => lease;

export class Channel {
  readonly name: string;
  readonly backing: BackingName;
  readonly #link: ChannelLink;
  readonly #options: Required<ChannelOptions>;
  readonly #input: ChannelInput;
  readonly #output: ChannelOutput;
  readonly #writes = new WaitingLine<PendingWrite>();
  // oxlint-disable-next-line typescript/no-explicit-any -- each is settled by its own `take`
  readonly #reads = new WaitingLine<PendingRead<any>>();
  readonly #joins = new WaitingLine<Pending<void>>();
  readonly #heartbeat: NodeJS.Timeout | undefined;
  #pendingWriteBytes = 0;
  #onPeerDown: ((error: JbusError) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;
  #turn: NodeJS.Immediate | undefined;
  #hasPeer = false;
  #isClosed = false;
  /** Why nothing more will come or go. */
  #end: JbusError | undefined;
  #heardMs = 0;
  #lastMsgId = 0;
  #rings = 0;
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
    link.doorbell.listen(
      () => this.#onRing(),
      () => this.#onPeerGone(),
    );
    link.beat();
    const { heartbeatMs } = this.#options;
    if (heartbeatMs > 0) this.#heartbeat = setInterval(() => this.#onHeartbeat(), heartbeatMs).unref();
    this.#look();
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
      if (this.#writes.length === 0 && this.#output.tryWrite(type, msgId, data))
        return Promise.resolve(msgId);
      this.#checkWriteQueue(data.length);
    } catch (error) {
      return Promise.reject(error);
    }
    const pending = new PendingWrite(type, msgId, data, performance.now() + timeoutMs);
    pending.watch(signal, () => this.#cancelWrite(pending, signal!));
    this.#writes.push(pending);
    this.#pendingWriteBytes += data.length;
    this.#pumpWrites();
    this.#arm();
    return pending.promise;
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
    use: (message: Message) => T | Promise<T>,
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
    if (this.#reads.length > 0) return undefined;
    const lease = this.#next();
    if (lease === undefined) this.#throwIfEnded();
    return lease;
  }

  /** As readAsync, blocking the thread. @throws JbusError JBUS_MAIN_THREAD, JBUS_BUSY, and as readAsync. */
  read(options: ReadOptions = {}): KeptMessage {
    const { timeoutMs = this.#options.readTimeoutMs } = options;
    checkTimeout('timeoutMs', timeoutMs);
    this.#checkBlocking(this.#reads.length);
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const lease = this.#next() ?? this.#spin();
      if (lease !== undefined) return lease.keep();
      this.#throwIfEnded();
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
    if (this.#hasPeer) return Promise.resolve();
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (signal?.aborted === true) return Promise.reject(canceled(signal));
    const pending = new Pending<void>(performance.now() + timeoutMs);
    pending.watch(signal, () => this.#joins.remove(pending) && pending.reject(canceled(signal!)));
    this.#joins.push(pending);
    this.#arm();
    return pending.promise;
  }

  peerState(): PeerState {
    if (this.#end !== undefined) return this.#end.code === 'JBUS_PEER_DEAD' ? 'gone' : 'unknown';
    const heartbeatMs = this.#options.heartbeatMs || CHANNEL_DEFAULTS.heartbeatMs;
    return judgePeer(this.#link.peer(), monotonicMs(), heartbeatMs, this.#heardMs);
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
      writeBytesWaiting: this.#pendingWriteBytes,
      readsWaiting: this.#reads.length,
      leasesOut: this.#input.lent,
      timeouts: this.#timeouts,
      ringFull: this.#output.waits,
      wakeups: this.#rings,
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
    for (const pending of this.#reads.drain()) pending.reject(closed);
    clearTimeout(this.#timer);
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
      const lease = this.#reads.length === 0 ? (this.#next() ?? this.#spin()) : undefined;
      if (lease !== undefined) return Promise.resolve(take(lease));
      this.#throwIfEnded();
      if (this.#reads.length >= this.#options.pendingReadsMax) {
        throw new JbusError('JBUS_QUEUE_FULL', `${this.#reads.length} reads wait already`);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    const pending = new PendingRead(take, performance.now() + timeoutMs);
    pending.watch(signal, () => this.#reads.remove(pending) && pending.reject(canceled(signal!)));
    this.#reads.push(pending);
    this.#pumpReads();
    this.#arm();
    return pending.promise;
  }

  #next(): Lease | undefined {
    if (this.#isClosed) return undefined;
    try {
      return this.#input.next();
    } catch (error) {
      this.#fail(error as JbusError);
      return undefined;
    }
  }

  /** Looks for a message a little longer, where the options say so. */
  #spin(): Lease | undefined {
    const { spinMicros } = this.#options;
    if (spinMicros === 0 || this.#end !== undefined) return undefined;
    return this.#link.reader.wait(spinMicros, 0) ? this.#next() : undefined;
  }

  #pumpReads(): void {
    while (this.#reads.length > 0) {
      const lease = this.#next();
      if (lease !== undefined) this.#reads.shift()!.settle(lease);
      else if (this.#end !== undefined) for (const pending of this.#reads.drain()) pending.reject(this.#end);
      else if (this.#input.hasMore) return this.#takeTurn();
      else if (this.#input.prepareSleep()) return;
      else this.#failIfPoisoned();
    }
  }

  #pumpWrites(): void {
    for (let write = this.#writes.first; write !== undefined; write = this.#writes.first) {
      const progress = this.#output.advance(write);
      if (progress === 'waiting') return;
      if (progress === 'yielding') return this.#takeTurn();
      if (progress === 'broken') return this.#failPoisoned();
      this.#writes.shift();
      this.#pendingWriteBytes -= write.data.length;
      write.resolve(write.msgId);
    }
  }

  /** Goes on after the other things of this thread had their turn. */
  #takeTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#pumpWrites();
      this.#pumpReads();
    });
  }

  #cancelWrite(write: PendingWrite, signal: AbortSignal): void {
    if (write.written > 0 || !this.#writes.remove(write)) return;
    this.#pendingWriteBytes -= write.data.length;
    write.reject(canceled(signal));
  }

  #expire(nowMs: number): void {
    for (const write of this.#writes.expire(nowMs)) {
      this.#pendingWriteBytes -= write.data.length;
      write.reject(this.#writeTimedOut(write.written));
    }
    for (const read of this.#reads.expire(nowMs)) read.reject(this.#timedOut('no message came'));
    for (const join of this.#joins.expire(nowMs)) join.reject(this.#timedOut('the peer did not join'));
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
    this.#heardMs = monotonicMs();
    const moved = this.#output.messages + this.#input.messages;
    this.#pumpWrites();
    this.#pumpReads();
    // A ring that brought nothing is news.
    if (!this.#hasPeer || moved === this.#output.messages + this.#input.messages) this.#look();
  }

  #onPeerGone(): void {
    if (this.#isClosed) return;
    this.#look();
    this.#finish(new JbusError('JBUS_PEER_DEAD', `${this.#title()}: the peer is gone`));
  }

  #onHeartbeat(): void {
    this.#link.beat();
    this.#look();
    if (this.#hasPeer) this.#output.beat();
    if (this.peerState() === 'gone') this.#onPeerGone();
  }

  /** Has the timer come for the next deadline, or for the look that makes up for a ring that was lost. */
  #arm(): void {
    const waiting = this.#writes.length + this.#reads.length + this.#joins.length;
    if (waiting === 0) return;
    const nowMs = performance.now();
    const dueMs = Math.min(
      nowMs + this.#link.doorbell.sleepMsMax,
      this.#writes.earliestMs,
      this.#reads.earliestMs,
      this.#joins.earliestMs,
    );
    if (dueMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(() => this.#onTimer(), Math.max(0, dueMs - nowMs));
  }

  #onTimer(): void {
    this.#timerDueMs = Infinity;
    this.#look();
    this.#pumpWrites();
    this.#pumpReads();
    this.#expire(performance.now());
    this.#arm();
  }

  /** Blocks until the peer rings, or it is time to look again. */
  #block(leftMs: number): void {
    const answer = this.#link.doorbell.wait(Math.min(leftMs, this.#link.doorbell.sleepMsMax));
    if (answer === 'gone') this.#onPeerGone();
    if (answer !== 'silent') return;
    this.#link.beat(); // the timers of this thread do not run meanwhile
    this.#look();
    if (this.#hasPeer && !this.checkAlive()) this.#onPeerGone();
  }

  // Ending

  /** What the peer says of itself in the rings' states. */
  #look(): void {
    if (this.#end !== undefined) return;
    const state = this.#link.state();
    if (state === 'poisoned') this.#failPoisoned();
    if (state === 'closing')
      this.#finish(new JbusError('JBUS_CLOSED', `${this.#title()}: the peer closed it`));
    if (state !== 'ready' || this.#hasPeer) return;
    this.#hasPeer = true;
    this.#heardMs = monotonicMs();
    this.#link.settle();
    for (const pending of this.#joins.drain()) pending.resolve();
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
    clearInterval(this.#heartbeat);
    this.#pendingWriteBytes = 0;
    for (const pending of this.#writes.drain()) pending.reject(error);
    for (const pending of this.#joins.drain()) pending.reject(error);
    this.#pumpReads();
    const callbacks = this.#onPeerDown;
    this.#onPeerDown = [];
    for (const callback of callbacks) callback(error);
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

  #checkWriteQueue(bytes: number): void {
    const { pendingWritesMax, pendingWriteBytesMax } = this.#options;
    const waiting = this.#writes.length;
    if (waiting === 0) return; // the first may be of any size
    if (waiting < pendingWritesMax && this.#pendingWriteBytes + bytes <= pendingWriteBytesMax) return;
    throw new JbusError(
      'JBUS_QUEUE_FULL',
      `${this.#title()}: ${waiting} writes with ${this.#pendingWriteBytes} bytes wait already`,
    );
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
