// HTTP/1.1 with the small handler API on one thread: a TcpService whose connections have sessions instead of frames.
// sub-reactor.ts makes it for handlers of the shape { request }, on either transport; with transport 'net' all other
// HTTP applications are served by http-host.ts.

import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';

import type { FrameDecoder } from '../codec.js';
import { FrameAssembler } from '../codecs/frame-assembler.js';
import type { Connection } from '../connection.js';
import type { EpollTransport } from '../epoll-transport.js';
import { ReactorError } from '../errors.js';
import type { EventLoop } from '../event-loop.js';
import { isThenable } from '../handler-calls.js';
import type { Handlers } from '../handlers.js';
import type { ReadInto } from '../net-connection.js';
import { NOT_SAMPLED, type RequestSampler } from '../request-sample.js';
import type { HttpServiceSpec, Service, ServiceHost } from '../service.js';
import { type CounterRow, HANDLER_ERRORS, REQUESTS } from '../shared-counters.js';
import type { SocketAddress } from '../stream-connection.js';
import { type StreamProtocol, TcpService } from '../tcp-service.js';
import type { Exchange } from './exchange.js';
import { checkHttp1Handlers, type Http1Handlers } from './handlers.js';
import { http1ConnectionLimits, type Http1Limits } from './options.js';
import { DateLine } from './response-head.js';
import { Session, type SessionHost } from './session.js';

/** What the connections tell goes to their sessions. */
const SESSION_HOOKS = {
  onConnect: (connection) => sessionOf(connection).opened(),
  onHalfClose: (connection) => sessionOf(connection).peerEnded(),
  onDrain: (connection) => sessionOf(connection).drained(),
  onClose: (connection) => sessionOf(connection).closed(),
  onError: (connection, error) => sessionOf(connection).troubled(error),
} satisfies Handlers;

export class Http1Service implements Service, SessionHost, StreamProtocol {
  readonly limits: Http1Limits;
  handlers: Http1Handlers;
  isDraining = false;
  readonly #loop: EventLoop;
  readonly #counters: CounterRow;
  readonly #sampler: RequestSampler;
  readonly #host: ServiceHost;
  readonly #tcp: TcpService;
  readonly #date: DateLine = new DateLine();
  /** Made outside of all requests: what goes on in its scope does so in nobody's asynchronous context. */
  readonly #root: AsyncResource = new AsyncResource('ReactorNetHttp1');

  /** @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID */
  constructor(
    loop: EventLoop,
    counters: CounterRow,
    sampler: RequestSampler,
    readInto: ReadInto,
    transport: EpollTransport | null,
    host: ServiceHost,
    { handshakeTimeoutMs, http1, ...common }: HttpServiceSpec,
    application: unknown,
  ) {
    this.limits = http1;
    this.handlers = checkHttp1Handlers(application);
    this.#loop = loop;
    this.#counters = counters;
    this.#sampler = sampler;
    this.#host = host;
    const limits = http1ConnectionLimits(handshakeTimeoutMs);
    const spec = { ...common, kind: 'tcp', codec: { kind: 'raw' }, limits } as const;
    this.#tcp = new TcpService(loop, counters, sampler, readInto, transport, host, spec, SESSION_HOOKS, this);
  }

  // Service.

  adopt(source: number | net.Socket, address: string | undefined): void {
    this.#tcp.adopt(source, address);
  }

  adoptSlot(slot: number, peer: SocketAddress): void {
    this.#tcp.adoptSlot(slot, peer);
  }

  refreshCounters(): void {} // everything counts as it goes

  /** Requests under way are finished by the code that began them. */
  async reload(application: unknown): Promise<void> {
    const replaced = this.handlers;
    this.handlers = checkHttp1Handlers(application);
    this.#call('onClose', () => replaced.onClose?.());
  }

  async drain(deadlineMs: number): Promise<number> {
    this.isDraining = true;
    // One turn of the loop for the kernel's side: a request that has arrived already is still served.
    await new Promise((resolve) => setImmediate(resolve));
    this.#call('onClose', () => this.handlers.onClose?.());
    return await this.#tcp.drain(deadlineMs);
  }

  // StreamProtocol.

  createDecoder(connection: Connection): FrameDecoder {
    const session = new Session(connection, this);
    connection.context = session;
    return new FrameAssembler(this.#loop.pool, session);
  }

  drainConnection(connection: Connection): void {
    sessionOf(connection).drain();
  }

  // SessionHost.

  get dateLine(): string {
    return this.#date.at(Date.now());
  }

  beginSample(): number {
    return this.#sampler.begin();
  }

  answered({ request, status, startedMs, ticket, bodyBytes, answerBytes }: Exchange): void {
    if (request === null) return;
    this.#counters.values[REQUESTS]! += 1;
    if (ticket === NOT_SAMPLED) return;
    const { threadIndex, nowMs } = this.#loop;
    this.#sampler.finish(ticket, {
      name: `${request.method} ${request.target}`,
      thread: threadIndex === 'main' ? 0 : threadIndex,
      startedMs: Date.now() - (nowMs - startedMs),
      durationUs: Math.round((nowMs - startedMs) * 1000),
      bytesIn: bodyBytes,
      bytesOut: answerBytes,
      outcome: String(status),
    });
  }

  failed(error: ReactorError): void {
    if (error.code === 'REACTOR_HANDLER_FAILED') {
      this.#counters.values[HANDLER_ERRORS]! += 1;
      this.#host.logError(error); // which counts it too
    } else {
      this.#counters.countError(error.code);
    }
    this.tell(error);
  }

  tell(error: ReactorError): void {
    this.#call('onError', () => this.handlers.onError?.(error));
  }

  goOnSoon(session: Session): void {
    this.#root.runInAsyncScope(() => process.nextTick(() => session.goOn()));
  }

  /** Calls a hook whose own failure has nobody left to be told but the log. */
  #call(name: 'onClose' | 'onError', hook: () => unknown): void {
    const failed = (cause: unknown): void => {
      this.#counters.values[HANDLER_ERRORS]! += 1;
      this.#host.logError(new ReactorError('REACTOR_HANDLER_FAILED', `the HTTP ${name} failed`, { cause }));
    };
    try {
      const result = hook();
      if (isThenable(result)) result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }
}

function sessionOf(connection: Connection): Session {
  return connection.context as Session; // createDecoder put it there, and handlers never see the connection
}
