// A server on this thread whose every connection, error and end is written down, for clients to be rude to.
// When the test ends it is closed, and nothing may be left: no connection, no lent memory, no timer.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  type CloseReason,
  type Connection,
  type Handlers,
  type ReactorErrorCode,
  TcpServer,
  type TcpServerOptions,
} from '../../reactor/index.js';
import type { CounterRow } from '../../reactor/shared-counters.js';
import type { TransportName } from './transports.js';
import { until } from './until.js';

export type ServeOptions = Omit<Partial<TcpServerOptions>, 'transport' | 'handlers' | 'threads'>;

export class WatchedServer {
  readonly server: TcpServer;
  /** In the order in which they opened. */
  readonly opened: Connection[] = [];
  /** Codes told to onError, in order. */
  readonly codes: ReactorErrorCode[] = [];
  /** Reasons told to onClose, in order. */
  readonly reasons: CloseReason[] = [];

  constructor(transport: TransportName, handlers: Handlers, options: ServeOptions) {
    const where = options.path === undefined && options.fd === undefined ? { host: '127.0.0.1' } : {};
    const watched = this.#watched(handlers);
    this.server = new TcpServer({ ...where, ...options, threads: 0, transport, handlers: watched });
  }

  get port(): number {
    const { port } = this.server.address;
    assert(port !== undefined);
    return port;
  }

  get counters(): CounterRow {
    return this.server.reactor.counters.row(0);
  }

  /** The connection that opened first, once it is there. */
  async connection(position: number = 0): Promise<Connection> {
    await until(() => this.opened.length > position);
    return this.opened[position]!;
  }

  /** The reasons, once `count` connections have ended. */
  async closed(count: number = 1): Promise<readonly CloseReason[]> {
    await until(() => this.reasons.length >= count);
    return this.reasons;
  }

  /** Ends everything and asserts that every connection was released. */
  async close(): Promise<void> {
    const { loop, occupancy } = this.server.reactor;
    for (const connection of loop.connections) connection.destroy();
    await until(() => occupancy.open() === 0);
    assert.equal(loop.connections.size, 0, 'no connection is left');
    assert.equal(loop.pool.stats().lentBytes, 0, 'no memory is lent');
    assert(!this.opened.some((connection) => connection.isScheduled), 'no timer of a connection waits');
    assert.equal(this.counters.get('connections_open'), 0);
    assert.equal(this.reasons.length, this.opened.length, 'onClose once per onConnect');
    await this.server.close({ drainTimeoutMs: 0 });
  }

  #watched(handlers: Handlers): Handlers {
    return {
      ...handlers,
      onConnect: (connection) => {
        this.opened.push(connection);
        return handlers.onConnect?.(connection);
      },
      onClose: (connection, reason) => {
        this.reasons.push(reason);
        return handlers.onClose?.(connection, reason);
      },
      onError: (connection, error) => {
        this.codes.push(error.code);
        return handlers.onError?.(connection, error);
      },
    };
  }
}

/** Listens on a free port of 127.0.0.1, or where the options say, until the test ends. */
export async function serve(
  t: TestContext,
  transport: TransportName,
  handlers: Handlers,
  options: ServeOptions = {},
): Promise<WatchedServer> {
  const watched = new WatchedServer(transport, handlers, options);
  t.after(() => watched.close());
  await watched.server.listen();
  return watched;
}
