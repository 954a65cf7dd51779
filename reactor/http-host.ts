// The HTTP connections of one server on one thread, as a Service that sub-reactor.ts hands sockets.
// http-service.ts serves them; this keeps the counters and samples, and reads PROXY headers before it sees a socket.

import type net from 'node:net';
import type tls from 'node:tls';

import { relayedClient } from './client-address.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { createHttpService, type HttpService } from './http-service.js';
import { adoptStream } from './net-connection.js';
import { readProxyHeader } from './proxy-preface.js';
import type { RequestSampler } from './request-sample.js';
import type { HttpServiceSpec, Service, ServiceHost } from './service.js';
import {
  BYTES_READ,
  BYTES_WRITTEN,
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPEN,
  CONNECTIONS_OPENED,
  type CounterRow,
  REQUESTS,
} from './shared-counters.js';
import { type TlsServerOptions, toTlsServerOptions } from './tls-options.js';

export class HttpHost implements Service {
  readonly #loop: EventLoop;
  readonly #counters: CounterRow;
  readonly #host: ServiceHost;
  readonly #spec: HttpServiceSpec;
  readonly #http: HttpService;
  /** Open sockets and their bytes that are in the counters: node:http moves bytes past us. */
  readonly #seen = new Map<net.Socket, { read: number; written: number }>();
  /** Requests that are in the counters. */
  #requestsSeen = 0;

  private constructor(
    loop: EventLoop,
    counters: CounterRow,
    host: ServiceHost,
    spec: HttpServiceSpec,
    http: HttpService,
  ) {
    this.#loop = loop;
    this.#counters = counters;
    this.#host = host;
    this.#spec = spec;
    this.#http = http;
  }

  /** @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID */
  static async create(
    loop: EventLoop,
    counters: CounterRow,
    sampler: RequestSampler,
    host: ServiceHost,
    spec: HttpServiceSpec,
    application: unknown,
  ): Promise<HttpHost> {
    if (spec.http1Given.length > 0) {
      throw new ReactorError(
        'REACTOR_OPTION_INVALID',
        `${spec.http1Given.join(', ')}: only for handlers of the shape { request }; set your own server's limits`,
      );
    }
    const http = await createHttpService(application, {
      ...spec.timeouts,
      ...(spec.tls === null ? {} : { tls: tlsOptions(spec, spec.tls) }),
      onError: host.logError,
      sampler: {
        begin: () => sampler.begin(),
        finish: (ticket, request, response, startedMs) => {
          const durationMs = performance.now() - startedMs;
          sampler.finish(ticket, {
            name: `${request.method ?? ''} ${request.url ?? ''}`,
            thread: loop.threadIndex === 'main' ? 0 : loop.threadIndex,
            startedMs: Date.now() - durationMs,
            durationUs: Math.round(durationMs * 1000),
            bytesIn: Number(request.headers['content-length'] ?? 0),
            bytesOut: Number(response.getHeader('content-length') ?? 0),
            outcome: String(response.statusCode),
          });
        },
      },
    });
    return new HttpHost(loop, counters, host, spec, http);
  }

  adopt(source: number | net.Socket, address: string | undefined): void {
    const socket = typeof source === 'number' ? adoptStream(source, null) : source;
    const { values } = this.#counters;
    values[CONNECTIONS_OPENED]! += 1;
    values[CONNECTIONS_OPEN]! += 1;
    this.#seen.set(socket, { read: 0, written: 0 });
    socket.once('close', () => {
      this.#countBytes(socket);
      this.#seen.delete(socket);
      values[CONNECTIONS_CLOSED]! += 1;
      values[CONNECTIONS_OPEN]! -= 1;
      this.#host.gone(address);
    });
    if (!this.#spec.proxyProtocol) {
      this.#http.adopt(socket);
      return;
    }
    readProxyHeader(this.#loop, socket, this.#spec.handshakeTimeoutMs).then(
      (header) => this.#http.adopt(socket, relayedClient(header)),
      (error: unknown) => this.#host.logError(error),
    );
  }

  refreshCounters(): void {
    const { requestsDone } = this.#http.stats;
    this.#counters.values[REQUESTS]! += requestsDone - this.#requestsSeen;
    this.#requestsSeen = requestsDone;
    for (const socket of this.#seen.keys()) this.#countBytes(socket);
  }

  async reload(application: unknown): Promise<void> {
    await this.#http.replaceApplication(application);
  }

  async drain(deadlineMs: number): Promise<number> {
    const cut = await this.#http.close({ deadlineMs });
    this.refreshCounters();
    return cut;
  }

  #countBytes(socket: net.Socket): void {
    const seen = this.#seen.get(socket);
    if (seen === undefined) return;
    const { bytesRead, bytesWritten } = socket;
    this.#counters.values[BYTES_READ]! += bytesRead - seen.read;
    this.#counters.values[BYTES_WRITTEN]! += bytesWritten - seen.written;
    seen.read = bytesRead;
    seen.written = bytesWritten;
  }
}

function tlsOptions({ handshakeTimeoutMs }: HttpServiceSpec, options: TlsServerOptions): tls.TlsOptions {
  return { ...toTlsServerOptions(options), handshakeTimeout: handshakeTimeoutMs };
}
