// Serves HTTP on sockets that were accepted elsewhere: one service per sub-reactor, over the thread's application.
// A sub-reactor adopts the socket and calls adopt(); node:http parses, answers, keeps alive and upgrades.
// Requests are counted through node:http's own diagnostics channels, so no request pays for a wrapper.
// Leaves accepting, connection limits and the choice of thread to others.

import diagnostics from 'node:diagnostics_channel';
import type http from 'node:http';
import type net from 'node:net';
import tls from 'node:tls';
import { ReactorError } from './errors.js';
import { type HttpApp, toHttpApp } from './http-app.js';
import { DRAIN_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS } from './limits.js';

export interface HttpServiceOptions {
  /** Serve HTTPS with these options of node:tls (see tls-options.ts); not for an application that is an https.Server. */
  tls?: tls.TlsOptions;
  /** Time a client has for all headers of a request, in ms; 0 is no limit. Default: the application's (Node: 60,000). */
  headersTimeoutMs?: number;
  /** Time a client has for a whole request, in ms; 0 is no limit. Default: the application's (Node: 300,000). */
  requestTimeoutMs?: number;
  /** How long an idle connection is kept, in ms; 0 is no limit. Default: the application's (Node: 5,000). */
  keepAliveTimeoutMs?: number;
  /** How often the first two are checked, in ms: they are late by at most this. Default: the application's (Node: 30,000). */
  timeoutCheckIntervalMs?: number;
  /** Called after every whole answer; `durationMs` runs from the parsed headers to the last byte handed to the kernel. */
  onRequestDone?: (request: http.IncomingMessage, response: http.ServerResponse, durationMs: number) => void;
  /** A plain handler threw or rejected (REACTOR_HANDLER_FAILED) or a handshake failed (REACTOR_TLS_FAILED). */
  onError?: (error: ReactorError) => void;
}

export interface HttpServiceStats {
  /** Open connections, those that were upgraded and those still in a TLS handshake included. */
  readonly connections: number;
  readonly connectionsAdopted: number;
  readonly requestsActive: number;
  readonly requestsStarted: number;
  readonly requestsDone: number;
  /** Requests whose connection ended before their answer did. */
  readonly requestsAborted: number;
}

/** Not in Node's typings: both are in Node 20, 22 and 24. */
type TunableServer = http.Server & { connectionsCheckingInterval: number };

const RECORD: unique symbol = Symbol('reactor-net http connection');
const STARTED_MS: unique symbol = Symbol('reactor-net http request start');

interface ConnectionRecord {
  readonly service: HttpService;
  /** Requests that were parsed and are not answered yet; more than one when the client pipelines. */
  active: number;
  /** The answer that goes out last. */
  latest: http.ServerResponse | null;
}
type CountedSocket = net.Socket & { [RECORD]?: ConnectionRecord };
type TimedResponse = http.ServerResponse & { [STARTED_MS]?: number };

/** What both channels publish. */
interface ChannelMessage {
  readonly request: http.IncomingMessage;
  readonly response: TimedResponse;
  readonly socket: CountedSocket;
}

/**
 * Prepares one thread's HTTP service; `application` is what the handler module returned for this thread.
 * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID
 */
export async function createHttpService(
  application: unknown,
  options: HttpServiceOptions = {},
): Promise<HttpService> {
  const app = await toHttpApp(application, (error) => options.onError?.(error));
  return new HttpService(app, options);
}

export class HttpService {
  readonly #app: HttpApp;
  readonly #tlsServer: tls.Server | null;
  readonly #options: HttpServiceOptions;
  readonly #open = new Set<CountedSocket>();
  #state: 'open' | 'draining' | 'closed' = 'open';
  #closing: Promise<number> | null = null;
  #onDrained: (() => void) | null = null;
  #adopted = 0;
  #started = 0;
  #done = 0;
  #aborted = 0;

  /** Use `createHttpService`. */
  constructor(app: HttpApp, options: HttpServiceOptions) {
    this.#app = app;
    this.#options = options;
    applyTimeouts(app.server, options);
    this.#tlsServer = options.tls === undefined ? null : this.#createTlsServer(options.tls);
    // node:http starts to watch headersTimeout and requestTimeout, and to know its idle connections, when it
    // hears that it listens. Ours never does, so it is told; without this a slow client is never cut.
    app.server.emit('listening');
    subscribe();
  }

  get connections(): number {
    return this.#open.size;
  }

  get requestsActive(): number {
    return this.#started - this.#done - this.#aborted;
  }

  get stats(): HttpServiceStats {
    return {
      connections: this.connections,
      connectionsAdopted: this.#adopted,
      requestsActive: this.requestsActive,
      requestsStarted: this.#started,
      requestsDone: this.#done,
      requestsAborted: this.#aborted,
    };
  }

  /**
   * Takes a connected socket for life. It must be fresh (nothing read, no `data` listener, no `onread`), flowing
   * or not, and made with `allowHalfOpen: true`; TCP_NODELAY is the caller's. A closed service destroys it.
   */
  adopt(socket: net.Socket): void {
    if (this.#state === 'closed') {
      socket.destroy();
      return;
    }
    this.#adopted += 1;
    this.#track(socket);
    if (this.#tlsServer === null) this.#app.server.emit('connection', socket);
    else this.#tlsServer.emit('connection', socket);
  }

  /**
   * Drains: idle connections close, requests under way are answered with `Connection: close`, and what is left
   * at the deadline (upgraded sockets too) is destroyed. Then the application closes. Idempotent.
   * @returns how many connections had to be destroyed.
   */
  close(options: { deadlineMs?: number } = {}): Promise<number> {
    this.#closing ??= this.#close(options.deadlineMs ?? DRAIN_TIMEOUT_MS);
    return this.#closing;
  }

  /** One request's headers are parsed; called for this service's connections only. */
  requestStarted(record: ConnectionRecord, response: TimedResponse): void {
    this.#started += 1;
    record.active += 1;
    record.latest = response;
    if (this.#options.onRequestDone !== undefined) response[STARTED_MS] = performance.now();
    if (this.#state !== 'open') response.shouldKeepAlive = false;
  }

  /** One answer was handed to the kernel whole. */
  requestDone(record: ConnectionRecord, { request, response, socket }: ChannelMessage): void {
    if (record.active === 0) return; // its connection had ended and it was counted as aborted
    this.#done += 1;
    record.active -= 1;
    if (record.active === 0) {
      record.latest = null;
      // Its headers may have promised keep-alive before draining began.
      if (this.#state !== 'open') setImmediate(closeIfIdle, socket, record);
    }
    const { onRequestDone } = this.#options;
    if (onRequestDone !== undefined) {
      const nowMs = performance.now();
      onRequestDone(request, response, nowMs - (response[STARTED_MS] ?? nowMs));
    }
  }

  #track(socket: CountedSocket): void {
    const record: ConnectionRecord = { service: this, active: 0, latest: null };
    socket[RECORD] = record;
    this.#open.add(socket);
    socket.on('close', () => {
      this.#aborted += record.active;
      record.active = 0;
      record.latest = null;
      this.#open.delete(socket);
      if (this.#open.size === 0) this.#onDrained?.();
    });
  }

  #createTlsServer(options: tls.TlsOptions): tls.Server {
    if (this.#app.server instanceof tls.Server) {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        'option tls is not for an application that is an https.Server',
      );
    }
    const server = tls.createServer({
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
      ...options,
    });
    server.on('secureConnection', (socket) => {
      this.#track(socket);
      this.#open.delete(rawSocketOf(socket)); // from here on the secure socket stands for the connection
      this.#app.server.emit('connection', socket);
    });
    server.on('tlsClientError', (error, socket) => {
      socket.destroy();
      this.#options.onError?.(new ReactorError('REACTOR_TLS_FAILED', error.message, { cause: error }));
    });
    return server;
  }

  async #close(deadlineMs: number): Promise<number> {
    this.#state = 'draining';
    for (const socket of this.#open) {
      const response = socket[RECORD]?.latest;
      if (response != null && !response.headersSent) response.shouldKeepAlive = false;
    }
    // Give the kernel's side one turn: a request that has arrived already is still served.
    await new Promise((resolve) => setImmediate(resolve));
    this.#closeIdle();
    let destroyed = 0;
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
      if (this.#open.size === 0) resolve();
    });
    const deadline = setTimeout(() => {
      destroyed = this.#open.size;
      for (const socket of this.#open) socket.destroy();
    }, deadlineMs);
    await Promise.all([drained, this.#app.close(drained)]);
    clearTimeout(deadline);
    this.#state = 'closed';
    unsubscribe();
    this.#app.server.close(); // stops the timeout check; that it did not listen is no news
    return destroyed;
  }

  #closeIdle(): void {
    this.#app.server.closeIdleConnections();
    for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy(); // never asked for anything
  }
}

function applyTimeouts(server: http.Server, options: HttpServiceOptions): void {
  const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs, timeoutCheckIntervalMs } = options;
  if (headersTimeoutMs !== undefined) server.headersTimeout = headersTimeoutMs;
  if (requestTimeoutMs !== undefined) server.requestTimeout = requestTimeoutMs;
  if (keepAliveTimeoutMs !== undefined) server.keepAliveTimeout = keepAliveTimeoutMs;
  if (timeoutCheckIntervalMs !== undefined) {
    (server as TunableServer).connectionsCheckingInterval = timeoutCheckIntervalMs;
  }
}

/** The socket a TLSSocket was made over; Node has no public name for it. */
function rawSocketOf(socket: tls.TLSSocket): net.Socket {
  return (socket as unknown as { readonly _parent: net.Socket })._parent;
}

function closeIfIdle(socket: net.Socket, record: ConnectionRecord): void {
  if (record.active === 0) socket.destroySoon();
}

/** Services of this thread; the channels are heard only while there is one. */
let services = 0;

function subscribe(): void {
  services += 1;
  if (services > 1) return;
  diagnostics.subscribe('http.server.request.start', onRequestStart);
  diagnostics.subscribe('http.server.response.finish', onResponseFinish);
}

function unsubscribe(): void {
  services -= 1;
  if (services > 0) return;
  diagnostics.unsubscribe('http.server.request.start', onRequestStart);
  diagnostics.unsubscribe('http.server.response.finish', onResponseFinish);
}

function onRequestStart(message: unknown): void {
  const { socket, response } = message as ChannelMessage; // documented shape of both channels
  const record = socket[RECORD];
  if (record !== undefined) record.service.requestStarted(record, response);
}

function onResponseFinish(message: unknown): void {
  const published = message as ChannelMessage;
  const record = published.socket[RECORD];
  if (record !== undefined) record.service.requestDone(record, published);
}
