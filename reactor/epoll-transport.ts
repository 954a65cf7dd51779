// One thread's native transport as TypeScript drives it: hands the events of a batch to their connections, and
// gathers their output in the slab that C++ sends from.
// Each thread that uses transport 'epoll' has one (thread-transport.ts); epoll-connection.ts is what it serves, and
// epoll-acceptor.ts accepts with it. Mode 'master' has a small one on the main thread, only to accept.
// One call crosses into C++ per batch, however many connections and frames are in it.

import assert from 'node:assert/strict';
import { constants } from 'node:os';

import {
  type Addon,
  AddonError,
  CONTROL_FLUSH_FIRST,
  CONTROL_SEND_BYTES,
  CONTROL_SEND_RECORDS,
  CONTROL_SPIN_MICROS,
  CONTROL_WORDS,
  EVENT_A,
  EVENT_ACCEPT_FAILED,
  EVENT_ACCEPTED,
  EVENT_B,
  EVENT_C,
  EVENT_CLOSED,
  EVENT_CONNECTED,
  EVENT_DATA,
  EVENT_DRAINED,
  EVENT_END,
  EVENT_FILE_FAILED,
  EVENT_RECORDS_MIN,
  EVENT_SLOT,
  EVENT_TYPE,
  EVENT_WORDS,
  RECEIVE_SLAB_BYTES_MIN,
  SEND_BYTES,
  SEND_OFFSET,
  SEND_SLOT,
  SEND_WORDS,
  STATUS_FILE_BYTES,
  STATUS_FILES,
  STATUS_FLAG_OPEN,
  STATUS_FLAGS,
  STATUS_PENDING_BYTES,
  STATUS_WORDS,
  type Transport,
} from '../addon/index.js';
import { BatchScope } from './async-scope.js';
import { receivingMemory } from './body-lender.js';
import type { EpollDialSink, EpollListenSink, EpollSink } from './epoll-sinks.js';
import {
  EPOLL_EVENT_RECORDS,
  EPOLL_OUTPUT_BYTES_MAX,
  EPOLL_SEND_RECORDS,
  EPOLL_SLAB_BYTES,
  EPOLL_SLOTS_MAX,
} from './limits.js';
import type { SocketAddress } from './stream-connection.js';

/** Framing 0 of the transport: bytes as they come; the codecs of the reactor cut them. */
const RAW = 0;

const NOWHERE: SocketAddress = { address: undefined, port: undefined };

/** How much memory the transport shares with C++. */
export interface EpollSizes {
  readonly slabBytes: number;
  readonly eventRecords: number;
  readonly sendRecords: number;
  readonly slotsMax: number;
}

const SERVING: EpollSizes = {
  slabBytes: EPOLL_SLAB_BYTES,
  eventRecords: EPOLL_EVENT_RECORDS,
  sendRecords: EPOLL_SEND_RECORDS,
  slotsMax: EPOLL_SLOTS_MAX,
};

/** For a transport that only accepts and gives away: the least that C++ takes, and a slot per batched newcomer. */
export const ACCEPTING: EpollSizes = {
  slabBytes: RECEIVE_SLAB_BYTES_MIN,
  eventRecords: EVENT_RECORDS_MIN,
  sendRecords: 1,
  slotsMax: 4 * EVENT_RECORDS_MIN,
};

export class EpollTransport {
  readonly #addon: Addon;
  readonly #native: Transport;
  /** The async scope of every batch. */
  readonly scope: BatchScope = new BatchScope();
  /** What a batch brings: events point into it, and what is sent back unchanged leaves from it. */
  readonly received: Buffer;
  /** The same as memory: a Buffer takes longer to tell. */
  readonly receivedMemory: ArrayBufferLike;
  readonly #sendSlab: Buffer;
  readonly #events: Uint32Array;
  readonly #sends: Uint32Array;
  readonly #sendRecordsMax: number;
  readonly #status: Uint32Array;
  readonly #control: Uint32Array = new Uint32Array(CONTROL_WORDS);
  /** By slot; null once the connection has let go of it. */
  readonly #sinks: (EpollSink | null)[] = [];
  readonly #listeners = new Map<number, EpollListenSink>();
  /** Slots that are being connected. */
  readonly #dials = new Map<number, EpollDialSink>();
  /** The latest record: whose it is, where its bytes end, and how many records there were with it. */
  #lastSlot = -1;
  #lastEnd = 0;
  #lastCount = 0;
  /** Connections with bytes in the send slab. */
  #staged: EpollSink[] = [];
  /** Records of the flush that C++ does by itself. */
  #recordsAhead = 0;
  #open = 0;
  /** The next event of the running batch: where to go on after an exception. */
  #position = 0;
  #isInBatch = false;

  /** Keeps the thread alive only while it has connections or listens. */
  constructor(addon: Addon, sizes: EpollSizes = SERVING) {
    this.#addon = addon;
    this.received = receivingMemory(sizes.slabBytes); // with memory of its own, from offset 0
    this.receivedMemory = this.received.buffer;
    this.#sendSlab = Buffer.allocUnsafeSlow(sizes.slabBytes);
    this.#events = new Uint32Array(sizes.eventRecords * EVENT_WORDS);
    this.#sends = new Uint32Array(sizes.sendRecords * SEND_WORDS);
    this.#sendRecordsMax = sizes.sendRecords;
    this.#status = new Uint32Array(sizes.slotsMax * STATUS_WORDS);
    this.#native = new addon.Transport(
      {
        receiveSlab: this.received,
        events: this.#events,
        sendSlab: this.#sendSlab,
        sends: this.#sends,
        status: this.#status,
        control: this.#control,
        outputBytesMax: EPOLL_OUTPUT_BYTES_MAX,
        asyncResource: this.scope.resource,
      },
      (eventCount) => this.#runBatch(eventCount),
    );
    this.#native.unref();
    this.scope.begin();
  }

  /** How long to look for more after a batch, before the thread may sleep; 0 at first. */
  get spinMicros(): number {
    return this.#control[CONTROL_SPIN_MICROS]!;
  }

  set spinMicros(micros: number) {
    this.#control[CONTROL_SPIN_MICROS] = micros;
  }

  /** Whether events are being handed out: what is staged meanwhile leaves when the batch ends. */
  get isInBatch(): boolean {
    return this.#isInBatch;
  }

  /** Takes over a connected, non-blocking socket; `attach` its slot next. @throws AddonError; `fd` is still the caller's. */
  add(fd: number): number {
    return this.#native.add(fd, RAW);
  }

  /** From here on the slot's events are told to `sink`. */
  attach(slot: number, sink: EpollSink): void {
    this.#sinks[slot] = sink;
    this.#opened();
  }

  /** Gives a slot without a sink back as a descriptor, which is the caller's. */
  release(slot: number): number {
    return this.#native.release(slot);
  }

  /** Closes a slot without a sink. */
  discard(slot: number): void {
    this.#native.closeSlot(slot, false);
  }

  /**
   * Takes over a listening socket and accepts from it. `isExclusive`: threads share it, and each connection is to
   * wake one. @throws AddonError; `fd` is still the caller's.
   */
  listen(fd: number, isExclusive: boolean, sink: EpollListenSink): number {
    const slot = this.#native.listen(fd, isExclusive ? 1 : 0, RAW);
    this.#listeners.set(slot, sink);
    this.#opened();
    return slot;
  }

  closeListener(slot: number): void {
    if (!this.#listeners.delete(slot)) return;
    this.#native.closeSlot(slot);
    this.#closed();
  }

  /** Starts connecting to a numeric address. @throws AddonError */
  connectTcp(host: string, port: number, sink: EpollDialSink): number {
    const slot = this.#native.connectTcp(host, port, RAW);
    this.#addon.setSocketOption(this.#native.descriptorOf(slot), 'noDelay', 1);
    return this.#dialed(slot, sink);
  }

  /** @throws AddonError */
  connectUnix(path: string, sink: EpollDialSink): number {
    return this.#dialed(this.#native.connectUnix(path, RAW), sink);
  }

  /** Gives up a slot that is being connected. */
  cancelConnect(slot: number): void {
    if (!this.#dials.delete(slot)) return;
    this.#native.closeSlot(slot);
    this.#closed();
  }

  /** Of a connection, or accepting on a listening socket. */
  startReading(slot: number): void {
    this.#native.resume(slot);
  }

  stopReading(slot: number): void {
    this.#native.pause(slot);
  }

  /** FIN after everything staged so far. */
  shutdown(slot: number): void {
    this.#native.shutdown(slot);
    if (!this.#isInBatch) this.#native.flush();
  }

  /** Closes now; what is staged or waits is lost. */
  closeSlot(slot: number, reset: boolean): void {
    if (this.forget(slot)) this.#native.closeSlot(slot, reset);
  }

  /** The slot is gone, or about to: no event of it is handed out any more. */
  forget(slot: number): boolean {
    if (this.#sinks[slot] == null) return false;
    this.#sinks[slot] = null;
    this.#closed();
    return true;
  }

  /** False once the connection broke, also before the event that says so was handed out. */
  isOpen(slot: number): boolean {
    return (this.#status[slot * STATUS_WORDS + STATUS_FLAGS]! & STATUS_FLAG_OPEN) !== 0;
  }

  /** Bytes that the kernel has not taken and C++ keeps. */
  pendingBytes(slot: number): number {
    return this.#status[slot * STATUS_WORDS + STATUS_PENDING_BYTES]!;
  }

  /** Files that C++ keeps and has not sent to their end. */
  filesWaiting(slot: number): number {
    return this.#status[slot * STATUS_WORDS + STATUS_FILES]!;
  }

  /** Bytes of files that the kernel took since the slot came into use, modulo 2^32. */
  fileBytesSent(slot: number): number {
    return this.#status[slot * STATUS_WORDS + STATUS_FILE_BYTES]!;
  }

  /**
   * Sends a part of a file behind everything staged so far. `fd` stays the caller's: C++ gets a duplicate.
   * @throws AddonError when there is no descriptor left.
   */
  sendFile(slot: number, fd: number, start: number, bytes: number): void {
    const copy = this.#addon.dupFd(fd);
    try {
      this.#native.sendFile(slot, copy, start, bytes);
    } catch (error) {
      this.#addon.closeFd(copy);
      throw error;
    }
    this.flush(); // C++ did it; this tells the connections
  }

  /** The peer as the socket knows it: nothing for Unix sockets, and once the peer has reset the connection. */
  peerOf(slot: number): SocketAddress {
    const fd = this.#native.descriptorOf(slot);
    if (fd === -1) return NOWHERE; // it broke, and the event that says so follows
    try {
      const found = this.#addon.remoteAddress(fd);
      return 'host' in found ? { address: found.host, port: found.port } : NOWHERE;
    } catch (error) {
      if (!(error instanceof AddonError && error.errno === constants.errno.ENOTCONN)) throw error;
      return NOWHERE;
    }
  }

  /** Bytes one `stage` can take. */
  get stageBytesMax(): number {
    return this.#sendSlab.length;
  }

  /**
   * Makes room for `bytes` of a connection's output behind what it staged before, and returns the slab to write
   * them to; they start at `stageOffset`. May flush.
   */
  stage(slot: number, sink: EpollSink, bytes: number, isFirst: boolean): Buffer {
    assert(bytes <= this.#sendSlab.length);
    this.#admit(sink, bytes, isFirst);
    const offset = this.#control[CONTROL_SEND_BYTES]!;
    this.#record(slot, offset, bytes);
    this.#control[CONTROL_SEND_BYTES] = offset + bytes;
    this.stageOffset = offset;
    return this.#sendSlab;
  }

  /** Where the bytes of the latest `stage` go. A field, because a second result would cost an object per send. */
  stageOffset: number = 0;

  /**
   * The same without a copy, for bytes of this batch that lie at `offset` in `received`. Whoever had them must not
   * write to them any more. May flush.
   */
  stageReceived(slot: number, sink: EpollSink, offset: number, bytes: number, isFirst: boolean): void {
    this.#admit(sink, 0, isFirst);
    this.#record(slot, this.#sendSlab.length + offset, bytes);
  }

  /** Hands everything staged to the kernel, one system call per connection, and tells the connections. */
  flush(): void {
    if (this.#control[CONTROL_SEND_RECORDS]! > 0) this.#native.flush();
    const staged = this.#staged;
    if (staged.length === 0) return;
    this.#staged = [];
    for (const sink of staged) sink.flushed();
  }

  /** Closes every descriptor. The connections must have been closed before. */
  close(): void {
    this.#native.close();
  }

  /** Makes room for a record and `bytes` in the send slab, and has `sink` told when they are flushed. */
  #admit(sink: EpollSink, bytes: number, isFirst: boolean): void {
    const isFull =
      this.#control[CONTROL_SEND_BYTES]! + bytes > this.#sendSlab.length ||
      this.#control[CONTROL_SEND_RECORDS]! >= this.#sendRecordsMax;
    if (isFull) this.flush();
    if (isFull || isFirst) this.#staged.push(sink);
  }

  /** Describes output that lies at `offset`, counted through the send slab and on into the receive slab. */
  #record(slot: number, offset: number, bytes: number): void {
    const sends = this.#sends;
    const recordCount = this.#control[CONTROL_SEND_RECORDS]!; // C++ may have sent them and begun anew
    if (
      slot === this.#lastSlot &&
      offset === this.#lastEnd &&
      recordCount === this.#lastCount &&
      offset !== this.#sendSlab.length // the two slabs are not neighbours
    ) {
      sends[(recordCount - 1) * SEND_WORDS + SEND_BYTES]! += bytes;
    } else {
      const record = recordCount * SEND_WORDS;
      sends[record + SEND_SLOT] = slot;
      sends[record + SEND_OFFSET] = offset;
      sends[record + SEND_BYTES] = bytes;
      this.#lastSlot = slot;
      this.#lastCount = recordCount + 1;
      this.#control[CONTROL_SEND_RECORDS] = recordCount + 1;
    }
    this.#lastEnd = offset + bytes;
  }

  /** Connections keep their errors to themselves; what gets out is a defect, and the batch goes on after it. */
  #runBatch(eventCount: number): void {
    if (eventCount === 0) {
      this.#tellFallenBehind();
      return;
    }
    const isContinued = this.#isInBatch;
    if (!isContinued) this.#position = 0;
    this.#isInBatch = true;
    while (this.#position < eventCount) {
      const record = this.#position * EVENT_WORDS;
      this.#position += 1;
      this.#runEvent(record);
    }
    this.#isInBatch = false;
    this.#flushBatch();
  }

  /**
   * Has C++ flush when `#runBatch` returns, which saves a call: it calls again with no events if that went wrong. Not
   * when somebody waits for what the flush brings.
   */
  #flushBatch(): void {
    const staged = this.#staged;
    const recordCount = this.#control[CONTROL_SEND_RECORDS]!;
    for (let i = 0; i < staged.length; i += 1) {
      if (!staged[i]!.isTakenAtOnce) {
        this.flush();
        return;
      }
    }
    if (recordCount === 0) return;
    for (let i = 0; i < staged.length; i += 1) staged[i]!.flushing();
    this.#staged = [];
    this.#recordsAhead = recordCount;
    this.#control[CONTROL_FLUSH_FIRST] = 1;
  }

  /** The flush behind `#flushBatch` left something: its records still say of whom. */
  #tellFallenBehind(): void {
    for (let record = 0; record < this.#recordsAhead; record += 1) {
      this.#sinks[this.#sends[record * SEND_WORDS + SEND_SLOT]!]?.fellBehind();
    }
  }

  #runEvent(record: number): void {
    const events = this.#events;
    const slot = events[record + EVENT_SLOT]!;
    const sink = this.#sinks[slot];
    if (sink == null) {
      this.#runOtherEvent(record, slot);
      return;
    }
    switch (events[record + EVENT_TYPE]) {
      case EVENT_DATA: {
        const start = events[record + EVENT_B]!;
        sink.received(this.received, start, start + events[record + EVENT_C]!);
        break;
      }
      case EVENT_END:
        sink.ended();
        break;
      case EVENT_DRAINED:
        sink.drained();
        break;
      case EVENT_CLOSED:
        this.forget(slot);
        sink.broke(events[record + EVENT_A]!);
        break;
      case EVENT_FILE_FAILED:
        this.forget(slot);
        sink.fileBroke(events[record + EVENT_A]!);
        break;
      default:
        assert.fail('raw connections have no other events');
    }
  }
  /** An event of a listening socket, of a slot that is being connected, or of one that was closed in this batch. */
  #runOtherEvent(record: number, slot: number): void {
    const value = this.#events[record + EVENT_A]!;
    switch (this.#events[record + EVENT_TYPE]) {
      case EVENT_ACCEPTED: {
        const listener = this.#listeners.get(slot);
        if (listener === undefined) this.discard(value);
        else listener.accepted(value);
        break;
      }
      case EVENT_ACCEPT_FAILED:
        this.#listeners.get(slot)?.acceptFailed(value);
        break;
      case EVENT_CONNECTED:
        this.#takeDial(slot)?.connected(slot);
        break;
      case EVENT_CLOSED:
        this.#takeDial(slot)?.refused(value);
        break;
      default: // nobody waits for it any more
    }
  }

  #dialed(slot: number, sink: EpollDialSink): number {
    this.#dials.set(slot, sink);
    this.#opened();
    return slot;
  }

  #takeDial(slot: number): EpollDialSink | undefined {
    const sink = this.#dials.get(slot);
    if (this.#dials.delete(slot)) this.#closed();
    return sink;
  }

  #opened(): void {
    if (this.#open === 0) this.#native.ref();
    this.#open += 1;
  }

  #closed(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#native.unref();
  }
}
