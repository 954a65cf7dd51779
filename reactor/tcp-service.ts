// The framed connections of one server on one thread.
// sub-reactor.ts hands it sockets; it makes NetConnections of them and is the host they share.

import assert from 'node:assert/strict';
import type net from 'node:net';

import { HandlerContext } from './async-scope.js';
import { relayedClient } from './client-address.js';
import type { FrameCodec, FrameDecoder } from './codec.js';
import { createCodec } from './codecs/create-codec.js';
import type { Connection } from './connection.js';
import type { ConnectionHost, ConnectionLimits } from './connection-host.js';
import { ReactorError } from './errors.js';
import { EpollConnection } from './epoll-connection.js';
import type { EpollTransport } from './epoll-transport.js';
import type { EventLoop } from './event-loop.js';
import type { Handlers } from './handlers.js';
import { LINGER_MS, UNHEARD_GRACE_MS } from './limits.js';
import { adoptStream, NetConnection, type NetConnectionOptions, type ReadInto } from './net-connection.js';
import { readProxyHeader } from './proxy-preface.js';
import type { RequestSampler } from './request-sample.js';
import { Router } from './router.js';
import type { SendingHalf } from './sending-half.js';
import type { Service, ServiceHost, TcpServiceSpec } from './service.js';
import {
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPEN,
  CONNECTIONS_OPENED,
  type CounterRow,
} from './shared-counters.js';
import type { SocketAddress, StreamConnection, StreamOptions } from './stream-connection.js';
import { TlsHandshaker } from './tls-handshaker.js';
import { toTlsServerOptions } from './tls-options.js';

/** What becomes of a connection's bytes where they are no frames for handlers. */
export interface StreamProtocol {
  /** Called when the connection is made: it may be kept, but not used before it opens. */
  createDecoder(connection: Connection): FrameDecoder;
  /** The server closes: `connection.drain()` once what is under way is finished. May be called again. */
  drainConnection(connection: Connection): void;
}

export class TcpService implements Service, ConnectionHost {
  readonly context: HandlerContext = new HandlerContext();
  readonly loop: EventLoop;
  readonly codec: FrameCodec;
  readonly limits: ConnectionLimits;
  readonly counters: CounterRow;
  readonly sampler: RequestSampler;
  router: Router;
  readonly #spec: TcpServiceSpec;
  readonly #readInto: ReadInto;
  /** The native transport of this thread; null: node:net. */
  readonly #transport: EpollTransport | null;
  readonly #handshaker: TlsHandshaker | null;
  /** null: the codec cuts frames. */
  readonly #protocol: StreamProtocol | null;
  readonly #host: ServiceHost;
  #connectionCount = 0;
  /** Sockets whose PROXY header or TLS handshake is under way: no connections yet. */
  readonly #securing = new Set<net.Socket>();
  #dirty: SendingHalf[] = [];
  #isFlushDue = false;
  #whenEmpty: (() => void) | null = null;

  /** @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID */
  constructor(
    loop: EventLoop,
    counters: CounterRow,
    sampler: RequestSampler,
    readInto: ReadInto,
    transport: EpollTransport | null,
    host: ServiceHost,
    spec: TcpServiceSpec,
    application: unknown,
    protocol: StreamProtocol | null = null,
  ) {
    this.loop = loop;
    this.counters = counters;
    this.sampler = sampler;
    this.#readInto = readInto;
    this.#transport = transport;
    this.#host = host;
    this.#spec = spec;
    this.#protocol = protocol;
    this.codec = createCodec(spec.codec);
    this.limits = spec.limits;
    this.router = new Router(application as Handlers); // the router checks the shape
    this.#handshaker =
      spec.tls === null
        ? null
        : new TlsHandshaker(toTlsServerOptions(spec.tls), spec.limits.handshakeTimeoutMs);
  }

  adopt(source: number | net.Socket, address: string | undefined): void {
    const { isUnix, proxyProtocol } = this.#spec;
    if (this.#handshaker === null && this.#transport !== null && typeof source === 'number') {
      this.#openNative(this.#transport, this.#transport.add(source), address, {});
      return;
    }
    if (this.#handshaker === null) {
      const socket = typeof source === 'number' ? adoptStream(source, this.#readInto) : source;
      const input = typeof source === 'number' ? 'buffer' : 'stream';
      this.#open(socket, address, { input, canReset: !isUnix, expectsProxyHeader: proxyProtocol });
      return;
    }
    const socket = typeof source === 'number' ? adoptStream(source, null) : source;
    this.#securing.add(socket);
    this.#secure(socket, this.#handshaker, address)
      .catch((error: unknown) => {
        this.#host.gone(address);
        if (error instanceof ReactorError) this.counters.countError(error.code);
        else this.#host.logError(error);
      })
      .finally(() => {
        this.#securing.delete(socket);
        this.#tellWhenEmpty();
      });
  }

  /** Sub-reactors ask for it only with a native transport, which speaks no TLS. */
  adoptSlot(slot: number, { address, port }: SocketAddress): void {
    assert(this.#transport !== null && this.#handshaker === null);
    const peer = address === undefined || port === undefined ? {} : { peer: { address, port } };
    this.#openNative(this.#transport, slot, address, peer);
  }

  async reload(application: unknown): Promise<void> {
    this.router = new Router(application as Handlers);
  }

  async drain(deadlineMs: number): Promise<number> {
    let unheardCount = this.#securing.size;
    for (const connection of this.#own()) {
      if (connection.stats.bytesRead === 0) unheardCount += 1;
      else this.#drainConnection(connection);
    }
    if (unheardCount > 0) {
      await this.#emptyWithin(Math.min(UNHEARD_GRACE_MS, deadlineMs));
      for (const connection of this.#own()) this.#drainConnection(connection);
      for (const socket of this.#securing) socket.destroy();
    }
    await this.#emptyWithin(deadlineMs);
    const left = this.#own();
    const cut = left.filter((connection) => !connection.isDelivered).length;
    for (const connection of left) connection.close('shutdown');
    for (const socket of this.#securing) socket.destroy();
    await this.#emptyWithin(LINGER_MS);
    return cut;
  }

  refreshCounters(): void {} // connections count as they go

  createDecoder(connection: Connection): FrameDecoder {
    return this.#protocol?.createDecoder(connection) ?? this.codec.createDecoder(this.loop.pool);
  }

  scheduleFlush(sender: SendingHalf): void {
    this.#dirty.push(sender);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => this.#flushDirty());
  }

  released(connection: Connection): void {
    this.loop.connections.remove(connection.id);
    this.#connectionCount -= 1;
    this.counters.values[CONNECTIONS_CLOSED]! += 1;
    this.counters.values[CONNECTIONS_OPEN]! -= 1;
    this.#host.gone(connection.countedAddress);
    this.#tellWhenEmpty();
  }

  hookFailed(error: unknown): void {
    this.#host.logError(error);
  }

  #open(socket: net.Socket, address: string | undefined, options: NetConnectionOptions): void {
    const connection = this.loop.connections.add((id) => new NetConnection(this, id, socket, options));
    this.#begin(connection, address);
  }

  #openNative(
    transport: EpollTransport,
    slot: number,
    address: string | undefined,
    peer: StreamOptions,
  ): void {
    const options = { ...peer, expectsProxyHeader: this.#spec.proxyProtocol };
    const connection = this.loop.connections.add((id) => new EpollConnection(this, id, transport, options));
    connection.attach(slot);
    this.#begin(connection, address);
  }

  #begin(connection: StreamConnection, address: string | undefined): void {
    connection.countedAddress = address;
    this.#connectionCount += 1;
    this.counters.values[CONNECTIONS_OPENED]! += 1;
    this.counters.values[CONNECTIONS_OPEN]! += 1;
    connection.start();
  }

  /** A PROXY header, where expected, comes in the clear before the handshake. */
  async #secure(socket: net.Socket, handshaker: TlsHandshaker, address: string | undefined): Promise<void> {
    const proxy = this.#spec.proxyProtocol
      ? await readProxyHeader(this.loop, socket, this.limits.handshakeTimeoutMs)
      : null;
    const secure = await handshaker.handshake(socket);
    const peer = proxy === null ? undefined : relayedClient(proxy);
    const options = { input: 'stream', canReset: false } as const;
    this.#open(secure, address, peer === undefined ? options : { ...options, peer });
  }

  #drainConnection(connection: Connection): void {
    if (this.#protocol === null) connection.drain();
    else this.#protocol.drainConnection(connection);
  }

  #own(): Connection[] {
    return [...this.loop.connections].filter((connection) => connection.belongsTo(this));
  }

  #flushDirty(): void {
    this.#isFlushDue = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const sender of dirty) sender.flush();
  }

  get #isEmpty(): boolean {
    return this.#connectionCount === 0 && this.#securing.size === 0;
  }

  #tellWhenEmpty(): void {
    if (this.#isEmpty) this.#whenEmpty?.();
  }

  /** Resolves when the last connection is gone or the deadline has passed. */
  #emptyWithin(deadlineMs: number): Promise<void> {
    if (this.#isEmpty) return Promise.resolve();
    return new Promise((resolve) => {
      const deadline = this.loop.runAfter(deadlineMs, done);
      const loop = this.loop;
      this.#whenEmpty = done;
      function done(): void {
        loop.cancel(deadline);
        resolve();
      }
    });
  }
}
