// Accepts connections from one listening socket on the thread that runs it.
// The main reactor has one per server ('master'), or every sub-reactor has one ('reuseport', 'shared');
// what to do with an accepted socket is the sink's business.
// Close to the descriptor limit it stops accepting for a while: newcomers wait in the kernel's queue instead
// of being accepted and dropped, which is what libuv does at the limit itself.

import net from 'node:net';
import { constants } from 'node:os';

import { type Addon, AddonError } from '../addon/index.js';
import { Backoff } from './backoff.js';
import { ReactorError } from './errors.js';
import type { EventLoop, TimerHandle } from './event-loop.js';
import { type ListenAddress, type ListenTarget, listenWithNode } from './listening-socket.js';
import { LISTEN_BACKLOG } from './limits.js';
import { ACCEPT_PAUSED, type CounterRow } from './shared-counters.js';

/** The listening descriptor an acceptor owns, or where to listen when there is no addon. */
export type AcceptorSource =
  | { readonly kind: 'descriptor'; readonly addon: Addon; readonly fd: number }
  | { readonly kind: 'node'; readonly target: ListenTarget };

export interface AcceptorSink {
  /**
   * A connected socket that does not read yet and now belongs to the sink.
   * @throws AddonError with errno EMFILE or ENFILE when it needs a descriptor that is not there.
   */
  accepted(socket: net.Socket): void;
  /** Accepting stopped or an error came up; it goes on by itself. */
  troubled(error: ReactorError): void;
}

/** Shape of the waits while descriptors are short. */
const PAUSE_BACKOFF = { firstMs: 20, capMs: 1000 };

export class Acceptor {
  readonly #loop: EventLoop;
  readonly #counters: CounterRow;
  readonly #source: AcceptorSource;
  readonly #sink: AcceptorSink;
  readonly #backoff: Backoff = new Backoff(Math.random, PAUSE_BACKOFF);
  #server: net.Server | null = null;
  #retry: TimerHandle | null = null;
  #isClosed = false;

  constructor(loop: EventLoop, counters: CounterRow, source: AcceptorSource, sink: AcceptorSink) {
    this.#loop = loop;
    this.#counters = counters;
    this.#source = source;
    this.#sink = sink;
  }

  get isPaused(): boolean {
    return this.#server === null && !this.#isClosed;
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED */
  async start(): Promise<ListenAddress> {
    const server = this.#createServer();
    this.#server = server;
    const source = this.#source;
    return listenWithNode(
      server,
      source.kind === 'node' ? source.target : { fd: source.addon.dupFd(source.fd), backlog: LISTEN_BACKLOG },
    );
  }

  /** Stops accepting for good and gives the descriptor back; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#retry !== null) this.#loop.cancel(this.#retry);
    await this.#stop();
    if (this.#source.kind === 'descriptor') this.#source.addon.closeFd(this.#source.fd);
  }

  #createServer(): net.Server {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    server.on('connection', (socket) => this.#accepted(socket));
    server.on('error', (error) => this.#failed(error));
    return server;
  }

  #accepted(socket: net.Socket): void {
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const fd = descriptorOf(socket);
    try {
      this.#sink.accepted(socket);
      this.#backoff.reset();
    } catch (error) {
      socket.destroy();
      if (!isDescriptorShortage(error)) throw error;
      this.#pause(error);
      return;
    }
    if (this.#isNearLimit(fd)) this.#pause(undefined);
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EMFILE' || error.code === 'ENFILE') this.#pause(error);
    else this.#sink.troubled(new ReactorError('REACTOR_LISTEN_FAILED', error.message, { cause: error }));
  }

  /** Leaves newcomers in the kernel's queue until descriptors are free again. */
  #pause(cause: unknown): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#counters.values[ACCEPT_PAUSED]! += 1;
    const message = 'close to the descriptor limit (ulimit -n): accepting is paused';
    this.#sink.troubled(new ReactorError('REACTOR_FD_LIMIT', message, { cause }));
    if (this.#source.kind === 'node') return; // closing would lose the queue: newcomers are refused one by one
    void this.#stop();
    this.#retryLater();
  }

  #retryLater(): void {
    this.#retry = this.#loop.runAfter(this.#backoff.nextDelayMs(), () => {
      this.#retry = null;
      if (this.#isClosed) return;
      if (this.#isShort()) this.#retryLater();
      else this.start().catch((error: ReactorError) => this.#sink.troubled(error));
    });
  }

  /** Whether a new descriptor would be among the last ones. */
  #isShort(): boolean {
    if (this.#source.kind !== 'descriptor') return false;
    const { addon, fd } = this.#source;
    try {
      const probe = addon.dupFd(fd);
      addon.closeFd(probe);
      return this.#isNearLimit(probe);
    } catch (error) {
      if (isDescriptorShortage(error)) return true;
      throw error;
    }
  }

  #isNearLimit(fd: number): boolean {
    if (this.#source.kind !== 'descriptor') return false;
    const { soft } = this.#source.addon.descriptorLimit();
    // The kernel hands out the lowest free number, so a number near the limit means that few are left.
    return fd >= soft - headroom(soft);
  }

  #stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return Promise.resolve();
    return new Promise((resolve) => server.close(() => resolve()));
  }
}

/** The descriptor under a node:net socket; -1 once it is destroyed. */
export function descriptorOf(socket: net.Socket): number {
  // Not in Node's typings, but the documented way in for `{ fd }` hand-over has no other source.
  return (socket as net.Socket & { _handle?: { fd: number } | null })._handle?.fd ?? -1;
}

/** Descriptors kept for files, logs and new sub-reactors: a sixteenth of the limit, 16 to 256. */
function headroom(soft: number): number {
  return Math.min(256, Math.max(16, Math.floor(soft / 16)));
}

function isDescriptorShortage(error: unknown): boolean {
  const { EMFILE, ENFILE } = constants.errno;
  return error instanceof AddonError && (error.errno === EMFILE || error.errno === ENFILE);
}
