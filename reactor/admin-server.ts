// The small HTTP server for people and machines that watch: /metrics, /healthz, /readyz, /requests.
// It runs on the main thread, apart from the servers it reports on, and is bounded on its own.
// What it says comes in as functions; it knows neither the reactor nor prom-client.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ReactorError } from './errors.js';
import { METRICS_CONTENT_TYPE } from './metrics.js';
import type { RequestSample } from './request-sample.js';

export interface AdminSources {
  /** The Prometheus text. */
  metrics(): Promise<string>;
  /** Whether the process accepts work; false while it starts and while it drains. */
  ready(): boolean;
  /** A sample of recent requests; /requests answers 404 without it. */
  requests?(): Promise<RequestSample>;
}

export interface AdminServerOptions {
  /** Default 127.0.0.1: figures are not for everybody. */
  host?: string;
  /** Default 9100; 0 picks a free port. */
  port?: number;
}

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 8 * 1024;
const DEFAULTS: Required<AdminServerOptions> = { host: '127.0.0.1', port: 9100 };

export class AdminServer {
  readonly #sources: AdminSources;
  readonly #options: Required<AdminServerOptions>;
  readonly #server: Server;

  constructor(sources: AdminSources, options: AdminServerOptions = {}) {
    this.#sources = sources;
    this.#options = { ...DEFAULTS, ...options };
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: REQUEST_TIMEOUT_MS,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_LISTEN_FAILED */
  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const code = error.code === 'EADDRINUSE' ? 'REACTOR_PORT_IN_USE' : 'REACTOR_LISTEN_FAILED';
        reject(
          new ReactorError(code, `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }),
        );
      });
      this.#server.listen(port, host, resolve);
    });
    // Listening on a host and port gives an AddressInfo, never a path.
    const address = this.#server.address() as AddressInfo;
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
      reply(response, 405, 'text/plain', 'only GET and HEAD\n');
      return;
    }
    try {
      await this.#route(request.url ?? '/', response);
    } catch (error) {
      reply(response, 500, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`);
    }
  }

  async #route(url: string, response: ServerResponse): Promise<void> {
    const sources = this.#sources;
    const path = url.split('?', 1)[0];
    if (path === '/metrics') {
      reply(response, 200, METRICS_CONTENT_TYPE, await sources.metrics());
    } else if (path === '/healthz') {
      reply(response, 200, 'text/plain', 'ok\n');
    } else if (path === '/readyz') {
      const ready = sources.ready();
      reply(response, ready ? 200 : 503, 'text/plain', ready ? 'ready\n' : 'not ready\n');
    } else if (path === '/requests' && sources.requests !== undefined) {
      reply(response, 200, 'application/json', `${JSON.stringify(await sources.requests())}\n`);
    } else {
      reply(response, 404, 'text/plain', 'try /metrics, /healthz, /readyz or /requests\n');
    }
  }
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
