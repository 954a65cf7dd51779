// What a sub-reactor asks of a service (TCP or HTTP) on its thread, and the plain data that describes one.
// server.ts makes the descriptions and listener.ts sends them to every thread; sub-reactor.ts builds the services.

import type net from 'node:net';

import type { CodecOptions } from './codecs/create-codec.js';
import type { ConnectionLimits } from './connection-host.js';
import type { Http1Limits } from './http1/options.js';
import type { HttpTimeouts } from './http-backend.js';
import type { SocketAddress } from './stream-connection.js';
import type { TlsServerOptions } from './tls-options.js';

interface ServiceSpecBase {
  readonly id: number;
  /** Module to import on every thread; its default export gets the loop. */
  readonly handlersUrl: string;
  /** The user's own plain data for it. */
  readonly handlerData: unknown;
  /** Counts reloads; modules are imported anew for every version. */
  readonly version: number;
  readonly tls: TlsServerOptions | null;
  /** Unix sockets have no addresses and cannot be reset. */
  readonly isUnix: boolean;
  readonly proxyProtocol: boolean;
}

export interface TcpServiceSpec extends ServiceSpecBase {
  readonly kind: 'tcp';
  readonly codec: CodecOptions;
  readonly limits: ConnectionLimits;
}

export interface HttpServiceSpec extends ServiceSpecBase {
  readonly kind: 'http';
  readonly handshakeTimeoutMs: number;
  /** Of node:http; those that were left out are the application's. */
  readonly timeouts: HttpTimeouts;
  /** Of handlers of the shape { request }. */
  readonly http1: Http1Limits;
  /** The options that only such handlers have and that were given. */
  readonly http1Given: readonly string[];
}

/** Crosses to the sub-reactors, so plain data only. */
export type ServiceSpec = TcpServiceSpec | HttpServiceSpec;

/** What a service asks of its sub-reactor. */
export interface ServiceHost {
  /** An error that nobody asked for and somebody should read. */
  readonly logError: (error: unknown) => void;
  /**
   * A connection has ended, or was never made of a source that was adopted; `address` is what it was adopted with.
   * One function for all of them: a closure each is a tenth of what an idle connection costs.
   */
  readonly gone: (address: string | undefined) => void;
}

/** One service on one thread. */
export interface Service {
  /** Brings counters up to date that are not kept up with every event; called when somebody looks. */
  refreshCounters(): void;
  /**
   * Takes a connected socket that does not read yet: a descriptor to adopt, or a socket of this thread. Once the
   * connection has ended the service says `gone(address)`. When this throws the source is still the caller's.
   */
  adopt(source: number | net.Socket, address: string | undefined): void;
  /**
   * Takes a slot of the thread's native transport that is not read yet, and later says `gone(peer.address)`; where
   * this is missing, the descriptor is adopted instead. When this throws the slot is still the caller's.
   */
  adoptSlot?(slot: number, peer: SocketAddress): void;
  /** Replaces the user's code; connections stay. @throws ReactorError REACTOR_HANDLERS_INVALID: the old code stays. */
  reload(application: unknown): Promise<void>;
  /** Lets work in progress finish, delivers output and closes. Resolves to how many connections were cut off. */
  drain(deadlineMs: number): Promise<number>;
}
