// Accepts connections from one listening socket through the native transport of the thread that runs it.
// The counterpart of acceptor.ts for transport 'epoll': what it accepts is a slot of that transport already.
// Up to a few dozen connections come in one batch; with 'shared' one connection wakes one thread.

import type { Addon } from '../addon/index.js';
import { AcceptPause, isShortageErrno } from './accept-pause.js';
import { type Accepting, ownDescriptor, type SharedListener } from './acceptor.js';
import { DescriptorWatch } from './descriptor-watch.js';
import type { EpollListenSink } from './epoll-sinks.js';
import type { EpollTransport } from './epoll-transport.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import type { ListenAddress } from './listening-socket.js';
import type { CounterRow } from './shared-counters.js';
import { systemError } from './system-error.js';

export interface EpollAcceptorSource {
  readonly addon: Addon;
  readonly transport: EpollTransport;
  readonly listener: SharedListener;
  /** Other threads accept from the same socket: one connection is to wake one of them. */
  readonly isShared: boolean;
}

export interface EpollAcceptorSink {
  /** A slot of the transport that is not read yet and now belongs to the sink. */
  accepted(slot: number): void;
  /** Whoever gets the connections has no room for more: the next ones are left to the kernel's queue. */
  isFull(): boolean;
  /** Accepting stopped or an error came up; it goes on by itself. */
  troubled(error: ReactorError): void;
}

const OUT = 'out of descriptors (ulimit -n): accepting is paused';

export class EpollAcceptor implements Accepting, EpollListenSink {
  readonly #source: EpollAcceptorSource;
  readonly #sink: EpollAcceptorSink;
  readonly #pause: AcceptPause;
  /** The listening socket's; null unless it listens. */
  #slot: number | null = null;

  constructor(loop: EventLoop, counters: CounterRow, source: EpollAcceptorSource, sink: EpollAcceptorSink) {
    this.#source = source;
    this.#sink = sink;
    this.#pause = new AcceptPause(loop, counters, new DescriptorWatch(source.addon, loop.threadCount), {
      stop: () => this.#whileOpen((slot) => source.transport.stopReading(slot)),
      goOn: () => this.#whileOpen((slot) => source.transport.startReading(slot)),
      isFull: () => sink.isFull(),
      troubled: (error) => sink.troubled(error),
    });
  }

  async start(): Promise<ListenAddress> {
    const { addon, transport, listener, isShared } = this.#source;
    const fd = ownDescriptor(addon, listener);
    try {
      const address = addon.localAddress(fd);
      if ('port' in address) addon.setSocketOption(fd, 'noDelay', 1); // what it accepts inherits it
      this.#slot = transport.listen(fd, isShared, this);
      return address;
    } catch (cause) {
      addon.closeFd(fd);
      throw new ReactorError('REACTOR_LISTEN_FAILED', String(cause), { cause });
    }
  }

  close(): void {
    this.#pause.close();
    this.#whileOpen((slot) => this.#source.transport.closeListener(slot));
    this.#slot = null;
  }

  // EpollListenSink.

  /** @internal */
  accepted(slot: number): void {
    this.#pause.accepted();
    this.#sink.accepted(slot);
  }

  /** @internal */
  acceptFailed(errno: number): void {
    const cause = systemError(errno, 'accept');
    if (isShortageErrno(errno)) {
      this.#pause.begin(OUT, cause);
    } else {
      this.#sink.troubled(new ReactorError('REACTOR_LISTEN_FAILED', cause.message, { cause }));
      this.#pause.goOnLater(); // C++ has stopped
    }
  }

  #whileOpen(act: (slot: number) => void): void {
    if (this.#slot !== null) act(this.#slot);
  }
}
