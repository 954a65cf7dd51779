// The registry over HTTP, to look at: pages, the same as JSON, health and metrics. Nothing can be changed here.
// registry-server.ts owns it; page.ts words the pages. Bounded by itself, apart from the registry's real work.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RpcError } from '../errors.js';
import { indexPage, type PageFacts, servicePage } from './page.js';
import { addressOf } from './record.js';
import type { RegistryStore, ServiceList } from './store.js';

export interface RegistryWebSources {
  readonly store: RegistryStore;
  wallMs(): number;
  /** The Prometheus text. */
  metrics(): Promise<string>;
  /** Whether the registry accepts work. */
  isReady(): boolean;
}

const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 8 * 1024;
const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT = 'text/plain; charset=utf-8';
const METRICS = 'text/plain; version=0.0.4; charset=utf-8';
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export class RegistryWeb {
  readonly #sources: RegistryWebSources;
  readonly #server: Server;

  constructor(sources: RegistryWebSources) {
    this.#sources = sources;
    const timeouts = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX, ...timeouts }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** @throws RpcError RPC_UNAVAILABLE: it cannot listen there */
  async listen({ host, port }: { host: string; port: number }): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(
          new RpcError('RPC_UNAVAILABLE', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
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
    const sources = this.#sources;
    const path = url.split('?', 1)[0]!;
    const service = serviceIn(path);
    if (path === '/healthz') reply(response, 200, TEXT, 'ok\n');
    else if (path === '/readyz') {
      const isReady = sources.isReady();
      reply(response, isReady ? 200 : 503, TEXT, isReady ? 'ready\n' : 'not ready\n');
    } else if (path === '/metrics') reply(response, 200, METRICS, await sources.metrics());
    else if (path === '/') {
      const { services } = await sources.store.services();
      reply(response, 200, HTML, indexPage(services, this.#facts()));
    } else if (path === '/api/services') reply(response, 200, JSON_TYPE, await this.#allAsJson());
    else if (service !== null) {
      const list = await sources.store.list(service.name);
      const body = service.isApi
        ? `${JSON.stringify(asJson(service.name, list))}\n`
        : servicePage(service.name, list, this.#facts());
      reply(response, 200, service.isApi ? JSON_TYPE : HTML, body);
    } else reply(response, 404, TEXT, 'try /, /api/services, /metrics, /healthz or /readyz\n');
  }

  async #allAsJson(): Promise<string> {
    const { store } = this.#sources;
    const { services, revision, generation } = await store.services();
    const lists = await Promise.all(services.map(async ({ name }) => asJson(name, await store.list(name))));
    const { settlingMs } = store.figures();
    return `${JSON.stringify({ generation, revision, settlingMs, services: lists })}\n`;
  }

  #facts(): PageFacts {
    return { figures: this.#sources.store.figures(), nowMs: this.#sources.wallMs() };
  }
}

/** `/services/NAME` and `/api/services/NAME`. */
function serviceIn(path: string): { readonly name: string; readonly isApi: boolean } | null {
  const [, api, encoded] = /^(\/api)?\/services\/([^/]+)$/.exec(path) ?? [];
  if (encoded === undefined) return null;
  try {
    return { name: decodeURIComponent(encoded), isApi: api !== undefined };
  } catch {
    return null; // no encoding of anything: no such page
  }
}

function asJson(name: string, { instances }: ServiceList): object {
  return {
    name,
    instances: instances.map((instance) => {
      const { id, host, port, path, weight, version, group, tags, resources, lastHeartbeatMs, isHeld } =
        instance;
      const address = addressOf(instance);
      const lastHeartbeat = new Date(lastHeartbeatMs).toISOString();
      const where = path === '' ? { host, port } : { path };
      return { id, address, ...where, weight, version, group, tags, resources, lastHeartbeat, held: isHeld };
    }),
  };
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
