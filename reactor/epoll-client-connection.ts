// A client's connection on the native transport: it exists, with its deadline, before it has a slot.
// tcp-client.ts makes one per attempt; epoll-dialer.ts finds the slot, and from then on it is like a server's.

import type { ConnectionHost } from './connection-host.js';
import { EpollConnection } from './epoll-connection.js';
import { type DialTarget, EpollDialer } from './epoll-dialer.js';
import type { EpollTransport } from './epoll-transport.js';
import { ReactorError } from './errors.js';

export class EpollClientConnection extends EpollConnection {
  readonly #dialer: EpollDialer;

  /** Call `connect` next. */
  constructor(host: ConnectionHost, id: number, transport: EpollTransport, target: DialTarget) {
    super(host, id, transport, {});
    this.#dialer = new EpollDialer(transport, target, {
      connected: (slot) => {
        this.attach(slot);
        this.start();
      },
      failed: (cause) => {
        this.report(new ReactorError('REACTOR_CONNECT_FAILED', cause.message, { cause }));
        this.closeSoon('peer-reset');
      },
    });
  }

  connect(): void {
    this.watchDeadlines();
    this.#dialer.start();
  }

  protected override closeTransport(reset: boolean): void {
    this.#dialer.cancel();
    super.closeTransport(reset);
  }
}
