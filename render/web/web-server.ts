// The web side of a main node as a server: takes requests, has them judged, finds their route, and writes the answers.
// serve-farm-web.ts puts the routes together. Bounded by itself, apart from the main node's real work.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ReactorError, toTlsServerOptions, type TlsServerOptions } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import type { Access, Asker } from './access.js';
import { type Answer, errorAnswer, refusal, textAnswer } from './answer.js';
import { pageAnswer, type PageFile } from './page-files.js';
import { readJson } from './read-json.js';
import { type Exchange, type Route, RouteTable } from './route.js';

const CONNECTIONS_MAX = 512;
const REQUEST_TIMEOUT_MS = 10_000;
/** A client that takes nothing of its answer for so long is gone. */
const IDLE_TIMEOUT_MS = 60_000;
const HEADER_BYTES_MAX = 8 * 1024;
const METRICS = 'text/plain; version=0.0.4; charset=utf-8';

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export interface WebServerParts {
  readonly access: Access;
  readonly routes: readonly Route[];
  readonly files: ReadonlyMap<string, PageFile>;
  metrics(): Promise<string>;
  /** Null: it accepts work; else why it does not. */
  notReady(): string | null;
  /** What was answered with 500. */
  onError(error: unknown): void;
}

export class WebServer {
  readonly #parts: WebServerParts;
  readonly #table: RouteTable;
  readonly #server: Server;

  /** @throws ReactorError REACTOR_OPTION_INVALID: of `tls` */
  constructor(parts: WebServerParts, tls: TlsServerOptions | null) {
    this.#parts = parts;
    this.#table = new RouteTable(parts.routes);
    const limits = {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
    };
    const listener = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#answer(request, response);
    this.#server =
      tls === null
        ? createServer(limits, listener)
        : createTlsServer({ ...toTlsServerOptions(tls), ...limits }, listener);
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.setTimeout(IDLE_TIMEOUT_MS);
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE; RenderError RENDER_IO: it cannot listen there */
  async listen({ host, port }: { host: string; port: number }): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: NodeJS.ErrnoException): void =>
        reject(
          cause.code === 'EADDRINUSE'
            ? new ReactorError('REACTOR_PORT_IN_USE', `${host}:${port} is in use`, { cause })
            : new RenderError('RENDER_IO', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
        );
      this.#server.once('error', fail);
      this.#server.listen(port, host, () => {
        this.#server.off('error', fail);
        this.#server.on('error', (error) => this.#parts.onError(error));
        resolve();
      });
    });
    const address = this.#server.address() as AddressInfo; // listening on a host and port, it is never a path
    this.#parts.access.useCookieOf(address.port);
    return { host: address.address, port: address.port };
  }

  /** Ends idle connections at once; an answer under way is finished first, until the deadline. */
  async close(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(() => this.#server.closeAllConnections(), deadlineMs);
      this.#server.close(() => {
        clearTimeout(deadline);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer | 'taken';
    try {
      answer = await this.#route(request, response);
    } catch (error) {
      answer = errorAnswer(error);
      if (answer.status === 500) this.#parts.onError(error);
    }
    if (answer === 'taken' || response.destroyed) return;
    // What is left of a body that nobody wants is not waited for.
    const headers: Record<string, string> = request.complete ? {} : { connection: 'close' };
    const length = answer.status === 204 || answer.status === 304 ? {} : lengthOf(answer.body);
    response.writeHead(answer.status, { ...SECURITY_HEADERS, ...answer.headers, ...headers, ...length });
    response.end(request.method === 'HEAD' ? '' : answer.body);
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<Answer | 'taken'> {
    const { access, files } = this.#parts;
    const target = request.url ?? '/';
    const path = target.split('?', 1)[0]!;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    const asker = askerOf(request);

    const health = await this.#health(path);
    if (health !== null) return isRead ? health : wrongMethod(['GET']);
    const foreign = access.refuseForeign(method, asker);
    if (foreign !== null) return foreign;
    const file = files.get(path);
    if (file !== undefined)
      return isRead ? pageAnswer(file, request.headers['if-none-match']) : wrongMethod(['GET']);

    const found = this.#table.find(method, path);
    if (!('route' in found))
      return found.length > 0
        ? wrongMethod(found)
        : refusal(404, 'RENDER_NOT_FOUND', 'there is nothing: see /api/v1/openapi.json');
    const { route, params } = found;
    const stranger = route.isOpen === true ? null : access.refuseStranger(asker);
    if (stranger !== null) return stranger;
    const query = new URLSearchParams(target.slice(path.length + 1));
    return await route.handle({ params, query, request, response, json: () => readJson(request) });
  }

  /** What monitoring asks for, by whatever name it calls us; null: something else. */
  async #health(path: string): Promise<Answer | null> {
    if (path === '/healthz') return textAnswer(200, 'ok\n');
    if (path === '/metrics') return textAnswer(200, await this.#parts.metrics(), METRICS);
    if (path !== '/readyz') return null;
    const why = this.#parts.notReady();
    return why === null ? textAnswer(200, 'ready\n') : textAnswer(503, `not ready: ${why}\n`);
  }
}

export function askerOf(request: IncomingMessage): Asker {
  return {
    headers: request.headers,
    address: request.socket.remoteAddress ?? '',
    nowMs: performance.now(),
  };
}

export function askerIn({ request }: Exchange): Asker {
  return askerOf(request);
}

function wrongMethod(methods: readonly string[]): Answer {
  const allow = methods.includes('GET') ? [...methods, 'HEAD'].join(', ') : methods.join(', ');
  return refusal(405, 'RENDER_REQUEST_INVALID', `only ${allow}`, { allow });
}

function lengthOf(body: string | Uint8Array): Record<string, number> {
  return { 'content-length': typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength };
}
