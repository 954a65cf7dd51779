// A member over HTTP, to look at: metrics, health and its status as JSON. Nothing can be changed here.
// kv-server.ts owns it. Bounded by itself, apart from the member's real work.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ReactorError } from '../reactor/index.js';
import { KvError } from './errors.js';

export interface KvWebSources {
  metrics(): Promise<string>;
  /** Null: it accepts work; else why it does not. */
  notReady(): string | null;
  status(): object;
}

const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 8 * 1024;
const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const METRICS = 'text/plain; version=0.0.4; charset=utf-8';

export class KvWeb {
  readonly #sources: KvWebSources;
  readonly #server: Server;

  constructor(sources: KvWebSources) {
    this.#sources = sources;
    const timeouts = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX, ...timeouts }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE; KvError KV_IO: it cannot listen there */
  async listen({ host, port }: { host: string; port: number }): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        reject(
          cause.code === 'EADDRINUSE'
            ? new ReactorError('REACTOR_PORT_IN_USE', `${host}:${port} is in use`, { cause })
            : new KvError('KV_IO', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
        );
      });
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address() as AddressInfo; // listening on a host and port, it is never a path
    return { host: address.address, port: address.port };
  }

  /** Ends idle connections at once; an answer under way is finished first. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      reply(response, 405, TEXT, 'only GET and HEAD\n');
      return;
    }
    try {
      await this.#route(request.url ?? '/', response);
    } catch (error) {
      reply(response, 500, TEXT, `${error instanceof Error ? error.message : String(error)}\n`);
    }
  }

  async #route(url: string, response: ServerResponse): Promise<void> {
    const path = url.split('?', 1)[0]!;
    if (path === '/healthz') reply(response, 200, TEXT, 'ok\n');
    else if (path === '/readyz') {
      const why = this.#sources.notReady();
      reply(response, why === null ? 200 : 503, TEXT, why === null ? 'ready\n' : `not ready: ${why}\n`);
    } else if (path === '/metrics') reply(response, 200, METRICS, await this.#sources.metrics());
    else if (path === '/status')
      reply(response, 200, JSON_TYPE, `${JSON.stringify(this.#sources.status())}\n`);
    else reply(response, 404, TEXT, 'try /status, /metrics, /healthz or /readyz\n');
  }
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
