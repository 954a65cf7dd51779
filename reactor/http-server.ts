// An HTTP/1.1 server over node:http on every sub-reactor: what a user constructs.
// server.ts does what all servers share, http-service.ts serves the connections on each thread.

import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { isModule } from './handler-module.js';
import type { HttpApplication } from './http-app.js';
import type { HttpTimeouts } from './http-backend.js';
import type { Http1Handlers } from './http1/handlers.js';
import { HTTP1_OPTIONS, type Http1Limits, type Http1Options, resolveHttp1Limits } from './http1/options.js';
import { HANDSHAKE_TIMEOUT_MS } from './limits.js';
import { type CommonSpec, Server, type ServerOptions } from './server.js';
import type { ServiceSpec } from './service.js';

/** The default export of an HTTP handler module; runs once on every sub-reactor. */
export type HttpHandlerModule = (
  loop: EventLoop,
) => Http1Handlers | HttpApplication | Promise<Http1Handlers | HttpApplication>;

export interface HttpServerOptions extends ServerOptions, HttpTimeouts, Http1Options {
  /**
   * The module whose default export returns { request(request, respond) }, which both transports serve; or, for
   * transport 'net' alone, a node:http request handler, an Express or Fastify app, an http.Server or
   * { onRequest, onUpgrade }. With threads: 0 also that function.
   */
  handlers: URL | string | HttpHandlerModule;
  /** For a TLS handshake or a PROXY header, in ms. Default 10 s. */
  handshakeTimeoutMs?: number;
}

const TIMEOUTS = ['headersTimeoutMs', 'requestTimeoutMs', 'keepAliveTimeoutMs'] as const;

export class HttpServer extends Server<HttpHandlerModule> {
  readonly #handshakeTimeoutMs: number;
  readonly #timeouts: HttpTimeouts;
  readonly #http1: Http1Limits;
  readonly #http1Given: readonly string[];

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID */
  constructor(options: HttpServerOptions) {
    for (const name of [...TIMEOUTS, 'handshakeTimeoutMs'] as const) {
      const value = options[name] ?? 0;
      if (!(Number.isFinite(value) && value >= 0)) {
        throw new ReactorError('REACTOR_OPTION_INVALID', `${name} must be a number from 0 up, not ${value}`);
      }
    }
    if (!isModule(options.handlers) && typeof options.handlers !== 'function') {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        'handlers must be the URL or path of a module, or with threads: 0 a function',
      );
    }
    const transport = options.reactor?.transport ?? options.transport ?? 'net';
    if (transport === 'epoll' && options.tls !== undefined) {
      throw new ReactorError(
        'REACTOR_UNSUPPORTED',
        "transport 'epoll' does not speak TLS, so no HTTPS: take transport 'net'",
      );
    }
    const http1 = resolveHttp1Limits(options);
    super(options, options.handlers); // only now: the reactor it makes has descriptors
    this.#http1 = http1;
    this.#http1Given = HTTP1_OPTIONS.filter((name) => options[name] !== undefined);
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.#timeouts = Object.fromEntries(
      TIMEOUTS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
    );
  }

  protected override describe(common: CommonSpec): ServiceSpec {
    const handshakeTimeoutMs = this.#handshakeTimeoutMs;
    const [timeouts, http1, http1Given] = [this.#timeouts, this.#http1, this.#http1Given];
    return { ...common, kind: 'http', handshakeTimeoutMs, timeouts, http1, http1Given };
  }

  protected override instantiate(handlers: HttpHandlerModule, loop: EventLoop): unknown {
    return handlers(loop);
  }
}
