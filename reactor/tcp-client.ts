// A framed TCP, TLS or Unix client: one connection at a time, made anew with backoff when it is lost.
// What users construct; it is the host of its connection, on either transport, and hears of its life through a router of its own.
// Frames and hooks are the ones of a server. What was not delivered when a connection broke is not repeated:
// only the application knows whether doing a thing twice is harmless.

import assert from 'node:assert/strict';
import type tls from 'node:tls';

import { loadAddon } from '../addon/index.js';
import { HandlerContext } from './async-scope.js';
import { Backoff, type BackoffOptions } from './backoff.js';
import { returnClientLoop, takeClientLoop } from './client-loop.js';
import type { FrameCodec } from './codec.js';
import { createCodec } from './codecs/create-codec.js';
import type { Connection } from './connection.js';
import type { ConnectionHost, ConnectionLimits } from './connection-host.js';
import { EpollClientConnection } from './epoll-client-connection.js';
import type { DialTarget } from './epoll-dialer.js';
import type { EpollTransport } from './epoll-transport.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import type { CloseReason, Handlers } from './handlers.js';
import { HANDSHAKE_TIMEOUT_MS } from './limits.js';
import { NetConnection } from './net-connection.js';
import { dialPlain, dialTls } from './net-dial.js';
import { checkOptionTypes } from './option-types.js';
import { resolveTransport, type TransportName } from './reactor-options.js';
import { RequestSampler } from './request-sample.js';
import { Router } from './router.js';
import type { SendOutcome } from './sending-half.js';
import {
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPEN,
  CONNECTIONS_OPENED,
  type CounterRow,
  SharedCounters,
} from './shared-counters.js';
import { type ConnectionOptions, resolveConnectionLimits } from './tcp-options.js';
import { returnThreadTransport, takeThreadTransport } from './thread-transport.js';
import { type TlsClientOptions, toTlsClientOptions } from './tls-options.js';

export interface ReconnectOptions extends BackoffOptions {
  /** Attempts that may fail in a row before the client gives up. Default: no limit. */
  attemptsMax?: number;
}

export interface TcpClientOptions
  extends Omit<ConnectionOptions, 'firstByteTimeoutMs' | 'handshakeTimeoutMs'> {
  /** Name or address. Default 'localhost'. */
  host?: string;
  port?: number;
  /** A Unix socket instead of host and port; a leading '\0' means the abstract namespace. */
  path?: string;
  /** Speak TLS; an empty object trusts Node's authorities. */
  tls?: TlsClientOptions;
  /** 'epoll' is shared with the servers and clients of this thread, and speaks no TLS. Default 'net'. */
  transport?: TransportName;
  /** From the start of an attempt until the connection is open, TLS included, in ms; 0 is no limit. Default 10 s. */
  connectTimeoutMs?: number;
  /** How to try again; false: one attempt, and never again. Default: 100 ms doubling to 30 s, without end. */
  reconnect?: ReconnectOptions | false;
  /** The same as in a server's handler module. `onError` hears of every failed attempt. */
  handlers?: Handlers;
  /** No further attempt is made; `error` is why the last one failed. */
  onGiveUp?: (error: ReactorError) => void;
  /** Inside a handler module: its loop. Default: a loop that the clients of this thread share. */
  loop?: EventLoop;
}

export type TcpClientState =
  | 'idle' // connect() was not called yet
  | 'connecting' // an attempt is under way
  | 'open'
  | 'waiting' // the last attempt failed or the connection was lost; the next is due later
  | 'closed';

/** A connection that lived this long was a success, even if nothing was received on it. */
const STABLE_MS = 10_000;
/** Ends that somebody here asked for: no reason to connect again. */
const WANTED: ReadonlySet<CloseReason> = new Set(['ended', 'destroyed', 'reset', 'shutdown']);

export class TcpClient implements ConnectionHost {
  readonly context: HandlerContext = new HandlerContext();
  readonly codec: FrameCodec;
  readonly limits: ConnectionLimits;
  readonly counters: CounterRow = SharedCounters.create(0).row('main');
  readonly sampler: RequestSampler = new RequestSampler(Math.random);
  readonly router: Router;
  readonly #options: TcpClientOptions;
  readonly #transportName: TransportName;
  readonly #target: DialTarget;
  readonly #tls: tls.ConnectionOptions | null;
  readonly #backoff: Backoff;
  readonly #attemptsMax: number;
  /** Ours from connect() until the client is closed. */
  #loop: EventLoop | null = null;
  /** The native transport, as long as the loop; null on node:net. */
  #transport: EpollTransport | null = null;
  #state: TcpClientState = 'idle';
  #connection: Connection | null = null;
  #openedMs = 0;
  #lastError: ReactorError | null = null;
  #retry: NodeJS.Timeout | null = null;
  #isEnding = false;
  #flushDue = false;
  #connecting: { resolve(connection: Connection): void; reject(error: ReactorError): void } | null = null;
  readonly #ended: Promise<void>;
  #onEnded: () => void = () => {};

  /**
   * Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID, REACTOR_HANDLERS_INVALID,
   *   REACTOR_ADDON_MISSING, REACTOR_UNSUPPORTED
   */
  constructor(options: TcpClientOptions) {
    this.#options = options;
    const { reconnect = {}, connectTimeoutMs = HANDSHAKE_TIMEOUT_MS, handlers = {} } = options;
    checkOptionTypes(options, {
      host: 'string',
      path: 'string',
      tls: 'object',
      connectTimeoutMs: 'number',
      loop: 'object',
    });
    if (reconnect !== false) checkOptionTypes({ reconnect }, { reconnect: 'object' });
    this.#target = targetOf(options);
    this.#transportName = resolveTransport(options.transport, loadAddon());
    if (this.#transportName === 'epoll' && options.tls !== undefined) {
      throw new ReactorError(
        'REACTOR_UNSUPPORTED',
        "transport 'epoll' does not speak TLS: take transport 'net'",
      );
    }
    this.codec = createCodec(options.codec ?? { kind: 'tlv' });
    this.limits = resolveConnectionLimits({
      ...options,
      firstByteTimeoutMs: 0,
      handshakeTimeoutMs: connectTimeoutMs,
    });
    this.router = new ClientRouter(handlers, {
      opened: (connection) => this.#opened(connection),
      closed: (connection, reason) => this.#lost(connection, reason),
      failed: (error) => {
        this.#lastError = error;
      },
    });
    this.#tls = options.tls === undefined ? null : toTlsClientOptions(options.tls);
    this.#backoff = new Backoff(Math.random, reconnect === false ? {} : backoffOf(reconnect));
    this.#attemptsMax = reconnect === false ? 1 : (reconnect.attemptsMax ?? Infinity);
    this.#ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
  }

  /** The loop the connections run on; only between `connect` and the end. */
  get loop(): EventLoop {
    assert(this.#loop !== null);
    return this.#loop;
  }

  get state(): TcpClientState {
    return this.#state;
  }

  /** The connection that is open now; null while there is none. */
  get connection(): Connection | null {
    return this.#state === 'open' ? this.#connection : null;
  }

  /**
   * Connects; after failures again, as `reconnect` says. Resolves once the first connection is open and
   * `onConnect` was called. Later connections come by themselves and call `onConnect` again.
   * @throws ReactorError when it gives up: REACTOR_CONNECT_FAILED, REACTOR_TLS_FAILED, REACTOR_TIMEOUT;
   *   REACTOR_CLOSED when the client was ended first.
   */
  connect(): Promise<Connection> {
    if (this.#state !== 'idle') {
      return Promise.reject(
        new ReactorError('REACTOR_CLOSED', `connect() came when the client was ${this.#state}`),
      );
    }
    this.#loop = this.#options.loop ?? takeClientLoop();
    if (this.#transportName === 'epoll') this.#transport = takeThreadTransport();
    return new Promise((resolve, reject) => {
      this.#connecting = { resolve, reject };
      this.#attempt();
    });
  }

  /**
   * `connection.send` of the open connection; 'closed' while there is none, and nothing is kept for later.
   * @throws ReactorError as `connection.send` does.
   */
  send(msgId: number, body: Uint8Array | string): SendOutcome;
  /** The same for codecs without message ids. */
  send(body: Uint8Array | string): SendOutcome;
  send(first: number | Uint8Array | string, second?: Uint8Array | string): SendOutcome {
    const { connection } = this;
    if (connection === null) return 'closed';
    return typeof first === 'number' ? connection.send(first, second ?? '') : connection.send(first);
  }

  /** Delivers what was sent, within the drain timeout, closes and never connects again. Idempotent. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#connection === null) this.#close();
    else this.#connection.end();
    await this.#ended;
  }

  /** Closes at once and never connects again; unsent output is lost. */
  destroy(): void {
    this.#isEnding = true;
    if (this.#connection === null) this.#close();
    else this.#connection.destroy();
  }

  /** ConnectionHost. @internal */
  scheduleFlush(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.#connection?.flush();
    });
  }

  /** ConnectionHost. @internal */
  released(connection: Connection): void {
    this.loop.connections.remove(connection.id);
    this.counters.values[CONNECTIONS_CLOSED]! += 1;
    this.counters.values[CONNECTIONS_OPEN]! -= 1;
    this.#connection = null;
    if (this.#state === 'connecting') this.#tryAgain(); // an open one is heard of through the router
  }

  /** ConnectionHost. @internal */
  hookFailed(error: unknown): void {
    process.emitWarning(error as Error);
  }

  #attempt(): void {
    this.#state = 'connecting';
    this.#lastError = null;
    if (this.#transport === null) this.#attemptNet();
    else this.#attemptNative(this.#transport);
  }

  #attemptNet(): void {
    const socket = this.#tls === null ? dialPlain(this.#target) : dialTls(this.#target, this.#tls);
    const connection = this.loop.connections.add(
      (id) =>
        new NetConnection(this, id, socket, {
          input: this.#tls === null ? 'buffer' : 'stream',
          canReset: this.#tls === null && this.#options.path === undefined,
          ...(this.#tls === null ? {} : { handshakeFailure: 'REACTOR_TLS_FAILED' }),
        }),
    );
    this.#began(connection);
    connection.awaitOpen();
    socket.once(this.#tls === null ? 'connect' : 'secureConnect', () => connection.start());
  }

  #attemptNative(transport: EpollTransport): void {
    const connection = this.loop.connections.add(
      (id) => new EpollClientConnection(this, id, transport, this.#target),
    );
    this.#began(connection);
    connection.connect();
  }

  #began(connection: Connection): void {
    this.#connection = connection;
    this.counters.values[CONNECTIONS_OPENED]! += 1;
    this.counters.values[CONNECTIONS_OPEN]! += 1;
  }

  #opened(connection: Connection): void {
    this.#state = 'open';
    this.#openedMs = this.loop.nowMs;
    this.#lastError = null;
    this.#connecting?.resolve(connection);
    this.#connecting = null;
  }

  /** The open connection has ended. */
  #lost(connection: Connection, reason: CloseReason): void {
    if (this.#isEnding || WANTED.has(reason)) {
      this.#close();
      return;
    }
    const wasUseful = connection.stats.bytesRead > 0 || this.loop.nowMs - this.#openedMs >= STABLE_MS;
    if (wasUseful) this.#backoff.reset();
    this.#lastError ??= new ReactorError('REACTOR_CONNECTION_CLOSED', `the connection ended: ${reason}`);
    this.#tryAgain();
  }

  #tryAgain(): void {
    if (this.#isEnding) {
      this.#close();
      return;
    }
    const { reconnect } = this.#options;
    if (reconnect === false || this.#backoff.attempts + 1 >= this.#attemptsMax) {
      this.#giveUp();
      return;
    }
    this.#state = 'waiting';
    this.#retry = setTimeout(() => this.#attempt(), this.#backoff.nextDelayMs());
  }

  #giveUp(): void {
    const error =
      this.#lastError ?? new ReactorError('REACTOR_CONNECT_FAILED', 'the connection did not open');
    this.#connecting?.reject(error);
    this.#connecting = null;
    this.#close();
    this.#options.onGiveUp?.(error);
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#connecting?.reject(
      new ReactorError('REACTOR_CLOSED', 'the client was ended before it was connected'),
    );
    this.#connecting = null;
    if (this.#loop !== null && this.#options.loop === undefined) returnClientLoop(this.#loop);
    if (this.#transport !== null) returnThreadTransport(this.#transport);
    this.#transport = null;
    this.#onEnded();
  }
}

/** What the client wants to know of its connection. */
interface ConnectionNews {
  opened(connection: Connection): void;
  closed(connection: Connection, reason: CloseReason): void;
  failed(error: ReactorError): void;
}

class ClientRouter extends Router {
  readonly #news: ConnectionNews;

  constructor(handlers: Handlers, news: ConnectionNews) {
    super(handlers);
    this.#news = news;
  }

  override connected(connection: Connection): unknown {
    this.#news.opened(connection);
    return super.connected(connection);
  }

  override closed(connection: Connection, reason: CloseReason): unknown {
    try {
      return super.closed(connection, reason);
    } finally {
      this.#news.closed(connection, reason);
    }
  }

  override failed(connection: Connection, error: ReactorError): unknown {
    this.#news.failed(error);
    return super.failed(connection, error);
  }
}

function targetOf({ host = 'localhost', port, path }: TcpClientOptions): DialTarget {
  if ((port === undefined) === (path === undefined)) throw invalid('give either port or path');
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port <= 65_535)) {
    throw invalid(`port must be an integer from 1 to 65535, not ${port}`);
  }
  return path === undefined ? { host, port: port! } : { path };
}

function backoffOf({ attemptsMax, ...backoff }: ReconnectOptions): BackoffOptions {
  if (attemptsMax !== undefined && !(attemptsMax >= 1))
    throw invalid('reconnect.attemptsMax must be at least 1');
  return backoff;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
