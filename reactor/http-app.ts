// Turns what an HTTP handler module returned into one node:http server that never listens.
// Called by http-service.ts once per thread; the sockets come from the reactor.
// Frameworks are told apart by shape, so that none of them is a dependency.

import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { ReactorError } from './errors.js';

export type HttpRequestHandler = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

/** The plain form of an HTTP handler module's result. */
export interface HttpHandlers {
  onRequest: HttpRequestHandler;
  /** Takes over the socket of an `Upgrade` or `CONNECT` request; without it an upgrade is answered as a request. */
  onUpgrade?: (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Draining began, or a reload replaced this code: end what does not end by itself, such as upgraded sockets. */
  onClose?: () => void | Promise<void>;
}

/** What we use of a Fastify instance. */
export interface FastifyLike {
  readonly server: unknown;
  ready(): PromiseLike<unknown>;
  close(): PromiseLike<unknown>;
}

/** Everything an HTTP handler module may return; an Express app is an `HttpRequestHandler`. */
export type HttpApplication = HttpRequestHandler | HttpHandlers | FastifyLike | http.Server | https.Server;

/** Node asks whether the last two have listeners, so they get one of ours only beside the application's. */
const REQUEST_EVENTS = ['request', 'checkContinue', 'checkExpectation'] as const;

export interface HttpApp {
  readonly server: http.Server | https.Server;
  /**
   * Lets the application clean up, at the end or because a reload replaced it; called once. `answered`
   * resolves when it has no request left. The server's own close() is not for the application any more.
   */
  close(answered: Promise<unknown>): Promise<void>;
}

/** Hears of every request before the application does. */
export type RequestObserver = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/**
 * @param onHandlerError is told of a plain handler that threw or rejected; its request was answered with 500.
 * @throws ReactorError REACTOR_HANDLERS_INVALID: this is none of the forms above, or its start-up failed.
 */
export async function toHttpApp(
  application: unknown,
  onHandlerError: (error: ReactorError) => void,
  onRequest: RequestObserver,
): Promise<HttpApp> {
  if (isServer(application)) return observed(ownServer(application), onRequest);
  if (typeof application === 'function') {
    return plainApp({ onRequest: application as HttpRequestHandler }, onHandlerError, onRequest);
  }
  if (typeof application === 'object' && application !== null) {
    if (isFastify(application)) return observed(await fastifyApp(application), onRequest);
    if ('onRequest' in application && typeof application.onRequest === 'function') {
      return plainApp(application as HttpHandlers, onHandlerError, onRequest);
    }
  }
  throw invalid('gave neither a request handler, an http.Server, a Fastify instance nor { onRequest }');
}

/** An application with a server of its own: the observer is its first listener, wherever requests are heard. */
function observed(app: HttpApp, onRequest: RequestObserver): HttpApp {
  for (const event of REQUEST_EVENTS) {
    if (event === 'request' || app.server.listenerCount(event) > 0)
      app.server.prependListener(event, onRequest);
  }
  return app;
}

function plainApp(
  handlers: HttpHandlers,
  onHandlerError: (error: ReactorError) => void,
  onRequest: RequestObserver,
): HttpApp {
  const fail = (response: http.ServerResponse, error: unknown): void => {
    answerFailure(response);
    onHandlerError(
      new ReactorError('REACTOR_HANDLER_FAILED', 'the HTTP request handler failed', { cause: error }),
    );
  };
  const server = http.createServer((request, response) => {
    onRequest(request, response);
    try {
      const result = handlers.onRequest(request, response);
      if (result instanceof Promise) result.catch((error: unknown) => fail(response, error));
    } catch (error) {
      fail(response, error);
    }
  });
  if (handlers.onUpgrade !== undefined) {
    server.on('upgrade', handlers.onUpgrade.bind(handlers));
    server.on('connect', handlers.onUpgrade.bind(handlers));
  }
  return {
    server,
    close: async () => {
      await handlers.onClose?.();
    },
  };
}

function answerFailure(response: http.ServerResponse): void {
  if (response.headersSent) {
    response.destroy(); // half an answer must not look like a whole one
    return;
  }
  response.statusCode = 500;
  response.end();
}

function ownServer(server: http.Server | https.Server): HttpApp {
  if (server.listening)
    throw invalid('gave a server that listens by itself; the reactor hands it its connections');
  return { server, close: async () => {} };
}

async function fastifyApp(fastify: FastifyLike): Promise<HttpApp> {
  try {
    await fastify.ready();
  } catch (error) {
    throw invalid('gave a Fastify instance that did not become ready', error);
  }
  const { server } = fastify;
  if (!isServer(server))
    throw invalid('gave a Fastify instance without an HTTP/1.1 server (http2 is not supported)');
  const app = ownServer(server);
  return {
    server: app.server,
    close: async (answered) => {
      // Fastify runs its onClose hooks when server.close() calls back, which is at once for a server that
      // never listened: wait for our requests instead, so that no hook pulls a database from under one.
      server.close = (callback) => {
        void answered.then(() => callback?.());
        return server;
      };
      await fastify.close();
    },
  };
}

function isServer(value: unknown): value is http.Server | https.Server {
  return value instanceof http.Server || value instanceof https.Server;
}

function isFastify(value: object): value is FastifyLike {
  return (
    'server' in value &&
    'ready' in value &&
    typeof value.ready === 'function' &&
    'close' in value &&
    typeof value.close === 'function'
  );
}

function invalid(what: string, cause?: unknown): ReactorError {
  return new ReactorError('REACTOR_HANDLERS_INVALID', `the HTTP handler module ${what}`, { cause });
}
