// One application on this thread, and the node:http server that parses for it without ever listening.
// http-service.ts has one in service, and those it replaced for as long as they parse open connections.

import type http from 'node:http';
import type net from 'node:net';
import tls from 'node:tls';

import { ReactorError } from './errors.js';
import type { HttpApp } from './http-app.js';

/** In ms; 0 is no limit. Where one is left out, what the application set on its server stays. */
export interface HttpTimeouts {
  /** Time a client has for all headers of a request. Default: the application's (Node: 60 s). */
  headersTimeoutMs?: number;
  /** Time a client has for a whole request. Default: the application's (Node: 300 s). */
  requestTimeoutMs?: number;
  /** How long an idle connection is kept. Default: the application's (Node: 5 s). */
  keepAliveTimeoutMs?: number;
}

export interface HttpBackendOptions extends HttpTimeouts {
  /** Serve HTTPS with these options of node:tls (tls-options.ts); not for an application that is an https.Server. */
  tls?: tls.TlsOptions;
  /** How often these are checked: they are late by at most twice this. Default: DEADLINE_CHECK_MS. */
  timeoutCheckIntervalMs?: number;
}

/** How node:http hands work to an application; everything else stays with the server that owns the socket. */
const APPLICATION_EVENTS = ['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect'] as const;

export class HttpBackend {
  readonly app: HttpApp;
  /** Open connections that this server parses; whoever serves and loses them counts. */
  connections = 0;
  /** The server's own close(), which an application may have replaced by the end of its life. */
  readonly #closeServer: () => void;

  /** @throws ReactorError REACTOR_OPTION_INVALID */
  constructor(app: HttpApp, options: HttpBackendOptions) {
    const { server } = app;
    if (options.tls !== undefined && server instanceof tls.Server) {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        'option tls is not for an application that is an https.Server',
      );
    }
    this.app = app;
    this.#closeServer = server.close.bind(server);
    setTimeouts(server, options);
  }

  /** Parses and answers what comes over this socket from now on. */
  serve(socket: net.Socket): void {
    this.app.server.emit('connection', socket);
  }

  /** Everything that this server still parses is from now on answered by `successor`. */
  forwardTo(successor: HttpBackend): void {
    const from = this.app.server;
    const to = successor.app.server;
    for (const event of APPLICATION_EVENTS) {
      from.removeAllListeners(event);
      // Node asks whether there is a listener, so there is one only where the new application has one.
      if (to.listenerCount(event) > 0)
        from.on(event, (...values: unknown[]) => void to.emit(event, ...values));
    }
  }

  /** Tells the application's server that it is closed; open connections are the caller's. */
  end(): void {
    this.#closeServer();
  }
}

function setTimeouts(server: http.Server, options: HttpBackendOptions): void {
  const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs } = options;
  if (headersTimeoutMs !== undefined) server.headersTimeout = headersTimeoutMs;
  if (requestTimeoutMs !== undefined) server.requestTimeout = requestTimeoutMs;
  if (keepAliveTimeoutMs !== undefined) server.keepAliveTimeout = keepAliveTimeoutMs;
}
