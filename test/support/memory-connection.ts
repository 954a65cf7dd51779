// A connection over a transport in memory: the kernel's side is a number of bytes it still takes.
// Shows what connection.ts and its parts decide on their own, in the same way for every transport, at any
// time on the clock.

import type { TestContext } from 'node:test';
import { HandlerContext } from '../../reactor/async-scope.js';
import { BufferPool } from '../../reactor/buffer-pool.js';
import { createCodec } from '../../reactor/codecs/create-codec.js';
import { Connection } from '../../reactor/connection.js';
import type { ConnectionHost, ConnectionLimits } from '../../reactor/connection-host.js';
import { ReactorError } from '../../reactor/errors.js';
import { EventLoop } from '../../reactor/event-loop.js';
import type { CloseReason, Handlers } from '../../reactor/handlers.js';
import { type OutputChunk, OutputQueue } from '../../reactor/output-queue.js';
import { RequestSampler } from '../../reactor/request-sample.js';
import { Router } from '../../reactor/router.js';
import type { SendingHalf } from '../../reactor/sending-half.js';
import { SharedBudget } from '../../reactor/shared-budget.js';
import { type CounterRow, SharedCounters } from '../../reactor/shared-counters.js';
import { type ConnectionOptions, resolveConnectionLimits } from '../../reactor/tcp-options.js';
import { ThreadMesh } from '../../reactor/thread-mesh.js';
import { tlvFrame } from './tlv.js';

/** All that connections need besides a transport; give it the handlers and the options under test. */
export class MemoryHost implements ConnectionHost {
  readonly context: HandlerContext = new HandlerContext();
  readonly loop: EventLoop;
  readonly codec: ConnectionHost['codec'];
  readonly limits: ConnectionLimits;
  readonly counters: CounterRow = SharedCounters.create(1).row(0);
  readonly sampler: RequestSampler = new RequestSampler(() => 0.5);
  readonly router: Router;
  /** What hooks threw that have nobody else to tell. */
  readonly logged: unknown[] = [];
  nowMs: number = 1_000_000;
  #dirty: SendingHalf[] = [];

  constructor(t: TestContext, handlers: Handlers, options: ConnectionOptions = {}) {
    const mesh = ThreadMesh.create({ threads: 0 });
    const pool = new BufferPool({ leakDetection: 'paranoid' }, 0, SharedBudget.create(256 * 1024 * 1024, 1));
    this.loop = new EventLoop(mesh.seat, pool, { nowMs: () => this.nowMs });
    this.codec = createCodec(options.codec ?? { kind: 'tlv' });
    this.limits = resolveConnectionLimits(options);
    this.router = new Router(handlers);
    t.after(async () => {
      for (const connection of this.loop.connections) connection.destroy();
      await Promise.resolve(); // their transports go in a microtask
      this.loop.close();
      mesh.close();
      pool.close(); // asserts that nothing is lent
    });
  }

  connect(kernelBytes: number = Infinity): MemoryConnection {
    const connection = this.loop.connections.add((id) => new MemoryConnection(this, id, kernelBytes));
    connection.open();
    return connection;
  }

  /** The end of a turn: flushes what was sent outside of a batch. */
  endTurn(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const sender of dirty) sender.flush();
  }

  scheduleFlush(sender: SendingHalf): void {
    this.#dirty.push(sender);
  }

  released(connection: Connection): void {
    this.loop.connections.remove(connection.id);
  }

  hookFailed(error: unknown): void {
    this.logged.push(error);
  }
}

export class MemoryConnection extends Connection {
  readonly remoteAddress = undefined;
  readonly remotePort = undefined;
  /** Every write, as the kernel got it. */
  readonly writes: Buffer[] = [];
  isReading: boolean = false;
  hasSentFin: boolean = false;
  /** How the transport was given up: null while it was not. */
  closedBy: 'close' | 'reset' | null = null;
  readonly #queue: OutputQueue;
  #kernelBytes: number;
  #inFlight: OutputChunk | null = null;
  #takenOfInFlight = 0;

  constructor(host: ConnectionHost, id: number, kernelBytes: number) {
    const queue = new OutputQueue(host.loop.pool);
    super(host, id, queue);
    this.#queue = queue;
    this.#kernelBytes = kernelBytes;
  }

  open(): void {
    this.opened();
  }

  /** The peer's bytes arrive, in one read. */
  feed(...frames: (readonly [msgId: number, body: string])[]): void {
    this.feedBytes(Buffer.concat(frames.map(([msgId, body]) => tlvFrame(msgId, body))));
  }

  feedBytes(bytes: Buffer): void {
    this.receive(bytes, 0, bytes.length);
  }

  feedEnd(): void {
    this.peerEnded();
  }

  /** The peer has read: the kernel takes `bytes` more. */
  peerReads(bytes: number): void {
    this.#kernelBytes += bytes;
    const chunk = this.#inFlight;
    if (chunk === null) return;
    this.#take(chunk);
    if (this.#takenOfInFlight < chunk.usedBytes) return;
    this.#takenOfInFlight = 0;
    this.#inFlight = null;
    chunk.slab.release();
    this.writtenLater(chunk.usedBytes);
  }

  /** The socket is gone; after `close`, or because of the peer. */
  gone(reason: CloseReason = 'peer-reset'): void {
    this.#inFlight?.slab.release();
    this.#inFlight = null;
    this.transportClosed(reason);
  }

  /** The transport read a lot at once and lets others have their turn. */
  readALot(): void {
    this.yieldTurn();
  }

  sent(): Buffer {
    return Buffer.concat(this.writes);
  }

  protected get inFlightBytes(): number {
    return this.#inFlight === null ? 0 : this.#inFlight.usedBytes;
  }

  protected get untakenBytes(): number {
    return this.inFlightBytes - this.#takenOfInFlight;
  }

  protected startReading(): void {
    this.isReading = true;
  }

  protected stopReading(): void {
    this.isReading = false;
  }

  protected transmit(): void {
    while (this.#inFlight === null && this.state !== 'closed') {
      const chunk = this.#queue.shift();
      if (chunk === null) return;
      this.#takenOfInFlight = 0;
      this.#take(chunk);
      if (this.#takenOfInFlight < chunk.usedBytes) {
        this.#inFlight = chunk;
      } else {
        this.#takenOfInFlight = 0;
        chunk.slab.release();
        this.written(chunk.usedBytes);
      }
    }
  }

  protected transmitFile(): void {
    throw new ReactorError('REACTOR_UNSUPPORTED', 'files are for real transports');
  }

  protected shutdownWrite(): void {
    this.hasSentFin = true;
  }

  protected closeTransport(reset: boolean): void {
    this.closedBy = reset ? 'reset' : 'close';
    queueMicrotask(() => this.gone('destroyed'));
  }

  #take(chunk: OutputChunk): void {
    const from = this.#takenOfInFlight;
    const to = Math.min(chunk.usedBytes, from + this.#kernelBytes);
    if (to === from) return;
    this.writes.push(Buffer.from(chunk.slab.bytes.subarray(from, to)));
    this.#kernelBytes -= to - from;
    this.#takenOfInFlight = to;
  }
}
