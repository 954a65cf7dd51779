// Serves HTTP on sockets that were accepted elsewhere: one service per sub-reactor, over the thread's application.
// A sub-reactor adopts the socket and calls adopt(); node:http parses, answers, keeps alive and upgrades.
// Leaves accepting, connection limits and the choice of thread to others.
// A request costs one call here when it begins and nothing when it ends: what is still under way is found out
// by looking at each connection's latest answer (http-connection.ts), when somebody asks.

import type http from 'node:http';
import type net from 'node:net';
import tls from 'node:tls';

import { type ClientAddress, presentClient, presentedClient } from './client-address.js';
import { ReactorError } from './errors.js';
import { type HttpApp, toHttpApp } from './http-app.js';
import { HttpBackend, type HttpBackendOptions } from './http-backend.js';
import { HttpConnection } from './http-connection.js';
import { HttpDeadlines } from './http-deadlines.js';
import { DRAIN_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS, UNHEARD_GRACE_MS } from './limits.js';
import { NOT_SAMPLED } from './request-sample.js';
import { rawSocketOf } from './tls-handshaker.js';

export interface HttpServiceOptions extends HttpBackendOptions {
  /** Told of some requests, chosen evenly, as they begin; their times go there when they are answered. */
  sampler?: HttpRequestSampler;
  /** User code failed (REACTOR_HANDLER_FAILED) or a TLS handshake did (REACTOR_TLS_FAILED). */
  onError?: (error: ReactorError) => void;
}

export interface HttpRequestSampler {
  /** Whether this request is one of the sample; called for every request, so it has to be cheap. */
  begin(): number;
  /** A sampled request was answered; `ticket` is what `begin` gave. */
  finish(
    ticket: number,
    request: http.IncomingMessage,
    response: http.ServerResponse,
    startedMs: number,
  ): void;
}

export interface HttpServiceStats {
  /** Open connections, those that were upgraded and those still in a TLS handshake included. */
  readonly connections: number;
  readonly connectionsAdopted: number;
  /** Connections with a request whose answer is not out yet; several pipelined on one count once. */
  readonly requestsActive: number;
  readonly requestsStarted: number;
  /** Requests whose answer was handed to the kernel whole. */
  readonly requestsDone: number;
  /** Requests whose connection ended before their answer did. */
  readonly requestsAborted: number;
}

/**
 * Prepares one thread's HTTP service; `application` is what the handler module returned for this thread.
 * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID
 */
export async function createHttpService(
  application: unknown,
  options: HttpServiceOptions = {},
): Promise<HttpService> {
  const app = await toHttpApp(application, (error) => options.onError?.(error), requestStarted);
  return new HttpService(app, options);
}

export class HttpService {
  readonly #options: HttpServiceOptions;
  readonly #sampler: HttpRequestSampler | null;
  readonly #tlsServer: tls.Server | null;
  readonly #open = new Map<net.Socket, HttpConnection>();
  readonly #deadlines: HttpDeadlines;
  #backend: HttpBackend;
  /** Replaced applications whose server still parses for connections it was given. */
  readonly #retired = new Set<HttpBackend>();
  #state: 'open' | 'draining' | 'closed' = 'open';
  #closing: Promise<number> | null = null;
  #onDrained: (() => void) | null = null;
  #adopted = 0;
  #started = 0;
  #aborted = 0;

  /** Use `createHttpService`. */
  constructor(app: HttpApp, options: HttpServiceOptions) {
    this.#options = options;
    this.#sampler = options.sampler ?? null;
    this.#backend = new HttpBackend(app, options);
    this.#deadlines = new HttpDeadlines(this.#open, options.timeoutCheckIntervalMs);
    this.#tlsServer = options.tls === undefined ? null : this.#createTlsServer(options.tls);
  }

  get connections(): number {
    return this.#open.size;
  }

  get requestsActive(): number {
    let active = 0;
    for (const connection of this.#open.values()) if (connection.latestAnswer !== null) active += 1;
    return active;
  }

  get stats(): HttpServiceStats {
    const { requestsActive } = this;
    return {
      connections: this.connections,
      connectionsAdopted: this.#adopted,
      requestsActive,
      requestsStarted: this.#started,
      requestsDone: this.#started - this.#aborted - requestsActive,
      requestsAborted: this.#aborted,
    };
  }

  /**
   * Takes a connected socket for life. Nobody has listened for its data (bytes put back by `unshift` are
   * fine), it was made without `onread` and with `allowHalfOpen: true`; whether it is paused does not
   * matter, and TCP_NODELAY is the caller's. A closed service destroys it. `client` is whom a PROXY header
   * named: the application then sees that address as the socket's.
   */
  adopt(socket: net.Socket, client?: ClientAddress): void {
    if (this.#state === 'closed') {
      socket.destroy();
      return;
    }
    this.#adopted += 1;
    if (client !== undefined) presentClient(socket, client);
    if (this.#tlsServer === null) {
      this.#serve(socket);
      return;
    }
    this.#track(socket, null);
    this.#tlsServer.emit('connection', socket);
  }

  /**
   * Puts new code in place. Every connection stays: those of the old code bring their next requests to the
   * new. The old application is closed once the requests it works on are answered.
   * @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID: the old application goes on.
   */
  async replaceApplication(application: unknown): Promise<void> {
    const app = await toHttpApp(application, (error) => this.#options.onError?.(error), requestStarted);
    if (app.server === this.#backend.app.server) return;
    const old = this.#backend;
    this.#backend = new HttpBackend(app, this.#options);
    this.#retired.add(old);
    for (const retired of this.#retired) retired.forwardTo(this.#backend);
    const answered = [...this.#open.values()]
      .map((connection) => connection.latestAnswer)
      .filter((latest) => latest !== null)
      .map(closed);
    old.app.close(Promise.all(answered)).catch((cause: unknown) => this.#closeFailed(cause));
    this.#endIfUnused(old);
  }

  /**
   * Drains: idle connections close (those that never asked after UNHEARD_GRACE_MS), requests under way are
   * answered with `Connection: close`, and what is left at the deadline (upgraded sockets too) is destroyed.
   * Then the application closes. Idempotent.
   * @returns how many connections had to be destroyed.
   */
  close(options: { deadlineMs?: number } = {}): Promise<number> {
    this.#closing ??= this.#close(options.deadlineMs ?? DRAIN_TIMEOUT_MS);
    return this.#closing;
  }

  readonly #requestStarted = (
    connection: HttpConnection,
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): void => {
    connection.requestStarted(response);
    this.#started += 1;
    if (this.#state !== 'open') response.shouldKeepAlive = false;
    const ticket = this.#sampler === null ? NOT_SAMPLED : this.#sampler.begin();
    if (ticket !== NOT_SAMPLED) this.#time(ticket, request, response);
  };

  /** Times one of the sampled requests; apart, so that the others do not pay for the closure's variables. */
  #time(ticket: number, request: http.IncomingMessage, response: http.ServerResponse): void {
    const startedMs = performance.now();
    response.once('finish', () => this.#sampler?.finish(ticket, request, response, startedMs));
  }

  #serve(socket: net.Socket): void {
    const backend = this.#backend;
    this.#track(socket, backend);
    backend.serve(socket);
    socket.resume(); // one that was adopted paused has not begun to read
  }

  /** `backend` is null during a TLS handshake. */
  #track(socket: net.Socket, backend: HttpBackend | null): void {
    const connection = new HttpConnection(socket, backend?.app.server ?? null, this.#requestStarted);
    this.#open.set(socket, connection);
    if (backend !== null) backend.connections += 1;
    socket.on('close', () => {
      if (connection.latestAnswer !== null) this.#aborted += 1;
      this.#open.delete(socket);
      if (backend !== null) {
        backend.connections -= 1;
        this.#endIfUnused(backend);
      }
      if (this.#open.size === 0) this.#onDrained?.();
    });
  }

  #createTlsServer(options: tls.TlsOptions): tls.Server {
    const server = tls.createServer({
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: ['http/1.1'],
      ...options,
    });
    server.on('secureConnection', (socket) => {
      const raw = rawSocketOf(socket);
      const client = presentedClient(raw);
      if (client !== undefined) presentClient(socket, client);
      this.#serve(socket);
      this.#open.delete(raw); // from here on the secure socket stands for the connection
    });
    server.on('tlsClientError', (cause, socket) => {
      socket.destroy();
      this.#options.onError?.(new ReactorError('REACTOR_TLS_FAILED', cause.message, { cause }));
    });
    return server;
  }

  async #close(deadlineMs: number): Promise<number> {
    this.#state = 'draining';
    for (const connection of this.#open.values()) {
      const latest = connection.latestAnswer;
      if (latest === null) continue;
      if (!latest.headersSent) latest.shouldKeepAlive = false;
      // Its headers may have promised keep-alive already.
      latest.once('finish', () => setImmediate(closeIfAnswered, connection));
    }
    // One turn of the loop for the kernel's side: a request that has arrived already is still served.
    await new Promise((resolve) => setImmediate(resolve));
    this.#closeIdle();
    const unheard = setTimeout(() => this.#closeUnheard(), Math.min(UNHEARD_GRACE_MS, deadlineMs));
    let destroyed = 0;
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
      if (this.#open.size === 0) resolve();
    });
    const appClosed = this.#backend.app.close(drained).catch((cause: unknown) => this.#closeFailed(cause));
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => {
        destroyed = this.#open.size;
        for (const socket of this.#open.keys()) socket.destroy();
        resolve(); // whatever the application still does
      }, deadlineMs);
      void Promise.all([drained, appClosed]).then(() => {
        clearTimeout(deadline);
        resolve();
      });
    });
    await drained;
    clearTimeout(unheard);
    this.#state = 'closed';
    this.#deadlines.close();
    this.#backend.end();
    return destroyed;
  }

  #closeIdle(): void {
    for (const [socket, connection] of this.#open) if (connection.isIdle) socket.destroy();
  }

  /** Those that never asked for anything. */
  #closeUnheard(): void {
    for (const socket of this.#open.keys()) if (socket.bytesRead === 0) socket.destroy();
  }

  #endIfUnused(backend: HttpBackend): void {
    if (backend.connections === 0 && this.#retired.delete(backend)) backend.end();
  }

  #closeFailed(cause: unknown): void {
    this.#options.onError?.(
      new ReactorError('REACTOR_HANDLER_FAILED', 'the HTTP application failed to close', { cause }),
    );
  }
}

/** Hears every request of this thread's applications; other servers of the thread are not our business. */
function requestStarted(request: http.IncomingMessage, response: http.ServerResponse): void {
  const connection = HttpConnection.of(request.socket);
  connection?.onRequest(connection, request, response);
}

/** Resolves when this answer is out or its connection has ended. */
function closed(response: http.ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('close', () => resolve()));
}

function closeIfAnswered(connection: HttpConnection): void {
  if (connection.latestAnswer === null) connection.socket.destroySoon();
}
