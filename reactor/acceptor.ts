// Accepts connections from one listening socket through node:net, on the thread that runs it.
// The main reactor has one per server ('master'), or every sub-reactor has one ('reuseport', 'shared');
// what to do with an accepted socket is the sink's business. epoll-acceptor.ts does it on the native transport.
// accept-pause.ts stops it close to the descriptor limit, where libuv accepts and drops, and when it is too fast.

import net from 'node:net';
import { constants } from 'node:os';

import { type Addon, AddonError } from '../addon/index.js';
import { AcceptPause, isDescriptorShortage } from './accept-pause.js';
import { DescriptorWatch } from './descriptor-watch.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { type ListenAddress, type ListenTarget, listenWithNode } from './listening-socket.js';
import { CONNECTIONS_REFUSED, type CounterRow } from './shared-counters.js';

/** A listening descriptor that stays the main reactor's, so that a thread that dies cannot leak it. */
export interface SharedListener {
  readonly fd: number;
  /** Tells whether `fd` still is that socket: main may have closed it, and the number may be reused. */
  readonly inode: number;
  readonly backlog: number;
}

/** What to accept from, or where to listen when there is no addon. */
export type AcceptorSource =
  | { readonly kind: 'descriptor'; readonly addon: Addon; readonly listener: SharedListener }
  | { readonly kind: 'node'; readonly target: ListenTarget };

export interface AcceptorSink {
  /**
   * A connected socket that does not read yet and now belongs to the sink.
   * @throws AddonError with errno EMFILE or ENFILE when it needs a descriptor that is not there.
   */
  accepted(socket: net.Socket): void;
  /** Whoever gets the connections has no room for more: the next ones are left to the kernel's queue. */
  isFull(): boolean;
  /** Accepting stopped or an error came up; it goes on by itself. */
  troubled(error: ReactorError): void;
}

/** What accepts on one listening socket, whatever the transport. */
export interface Accepting {
  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED, REACTOR_FD_LIMIT, REACTOR_CLOSED */
  start(): Promise<ListenAddress>;
  /** Stops accepting for good; idempotent. Connections that were accepted stay. */
  close(): void;
}

/** Something else took the last one between two looks of ours; libuv then closes whoever waits. */
const OUT = 'out of descriptors (ulimit -n): those who connected just now were closed';

export class Acceptor implements Accepting {
  readonly #counters: CounterRow;
  readonly #source: AcceptorSource;
  readonly #sink: AcceptorSink;
  readonly #pause: AcceptPause;
  #server: net.Server | null = null;
  #isClosed = false;

  constructor(loop: EventLoop, counters: CounterRow, source: AcceptorSource, sink: AcceptorSink) {
    this.#counters = counters;
    this.#source = source;
    this.#sink = sink;
    // Without the addon accepting cannot be paused.
    const watch = source.kind === 'descriptor' ? new DescriptorWatch(source.addon, loop.threadCount) : null;
    this.#pause = new AcceptPause(loop, counters, watch, {
      stop: () => this.#stop(),
      goOn: () => void this.start().catch((error: ReactorError) => this.#restartFailed(error)),
      isFull: () => sink.isFull(),
      troubled: (error) => sink.troubled(error),
    });
  }

  async start(): Promise<ListenAddress> {
    const source = this.#source;
    const target =
      source.kind === 'node'
        ? source.target
        : { fd: ownDescriptor(source.addon, source.listener), backlog: source.listener.backlog };
    const server = this.#createServer();
    this.#server = server;
    return listenWithNode(server, target);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pause.close();
    this.#stop();
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
    try {
      this.#sink.accepted(socket);
    } catch (error) {
      socket.destroy();
      if (!isDescriptorShortage(error)) throw error;
      this.#counters.values[CONNECTIONS_REFUSED]! += 1;
      this.#pause.begin(OUT, error);
      return;
    }
    this.#pause.accepted();
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === 'EMFILE' || error.code === 'ENFILE') this.#pause.begin(OUT, error);
    else this.#sink.troubled(new ReactorError('REACTOR_LISTEN_FAILED', error.message, { cause: error }));
  }

  #restartFailed(error: ReactorError): void {
    if (this.#isClosed) return;
    this.#stop();
    this.#sink.troubled(error);
    if (error.code !== 'REACTOR_CLOSED') this.#pause.goOnLater();
  }

  /** Closes the socket at once; 'close' of the server itself may wait for connections and is of no interest. */
  #stop(): void {
    this.#server?.close();
    this.#server = null;
  }
}

/**
 * A number of our own for the listening socket.
 * @throws ReactorError REACTOR_FD_LIMIT, REACTOR_CLOSED when main has closed it, REACTOR_LISTEN_FAILED
 */
export function ownDescriptor(addon: Addon, { fd, inode }: SharedListener): number {
  let own = -1;
  try {
    own = addon.dupFd(fd);
    if (addon.socketInode(own) === inode) return own;
  } catch (cause) {
    const { EBADF, ENOTSOCK } = constants.errno;
    if (isDescriptorShortage(cause)) {
      throw new ReactorError('REACTOR_FD_LIMIT', 'no descriptor is left for the listening socket', { cause });
    }
    if (!(cause instanceof AddonError && (cause.errno === EBADF || cause.errno === ENOTSOCK))) {
      throw new ReactorError('REACTOR_LISTEN_FAILED', String(cause), { cause });
    }
  }
  if (own !== -1) addon.closeFd(own);
  throw new ReactorError('REACTOR_CLOSED', 'the listening socket is closed');
}

/** The descriptor under a node:net socket; -1 once it is destroyed. */
export function descriptorOf(socket: net.Socket): number {
  // Not in Node's typings: there is a public way to adopt a descriptor, and none to ask for one.
  return (socket as net.Socket & { _handle?: { fd: number } | null })._handle?.fd ?? -1;
}
