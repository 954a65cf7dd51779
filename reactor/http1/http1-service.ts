// HTTP/1.1 with the small handler API on one thread: a TcpService whose connections have sessions instead of frames.
// sub-reactor.ts makes it for handlers of the shape { request }, on either transport; with transport 'net' all other
// HTTP applications are served by http-host.ts.

import type net from 'node:net';

import type { FrameDecoder } from '../codec.js';
import { FrameAssembler } from '../codecs/frame-assembler.js';
import type { Connection } from '../connection.js';
import type { EpollTransport } from '../epoll-transport.js';
import type { EventLoop } from '../event-loop.js';
import type { ReadInto } from '../net-connection.js';
import type { RequestSampler } from '../request-sample.js';
import type { HttpServiceSpec, Service, ServiceHost } from '../service.js';
import type { CounterRow } from '../shared-counters.js';
import type { SocketAddress } from '../stream-connection.js';
import { type StreamProtocol, TcpService } from '../tcp-service.js';
import { http1ConnectionLimits } from './options.js';
import { Session, SESSION_HOOKS, sessionOf } from './session.js';
import { SessionHost } from './session-host.js';

export class Http1Service implements Service, StreamProtocol {
  readonly #loop: EventLoop;
  readonly #sessions: SessionHost;
  readonly #tcp: TcpService;

  /** @throws ReactorError REACTOR_HANDLERS_INVALID, REACTOR_OPTION_INVALID */
  constructor(
    loop: EventLoop,
    counters: CounterRow,
    sampler: RequestSampler,
    readInto: ReadInto,
    transport: EpollTransport | null,
    host: ServiceHost,
    { handshakeTimeoutMs, http1, tls, ...common }: HttpServiceSpec,
    application: unknown,
  ) {
    this.#loop = loop;
    const logError = (error: unknown): void => host.logError(error);
    this.#sessions = new SessionHost(loop, counters, sampler, logError, http1, application);
    const limits = http1ConnectionLimits(handshakeTimeoutMs);
    const httpsOptions = tls === null ? null : { alpnProtocols: ['http/1.1'], ...tls };
    const spec = { ...common, tls: httpsOptions, kind: 'tcp', codec: { kind: 'raw' }, limits } as const;
    this.#tcp = new TcpService(loop, counters, sampler, readInto, transport, host, spec, SESSION_HOOKS, this);
  }

  adopt(source: number | net.Socket, address: string | undefined): void {
    this.#tcp.adopt(source, address);
  }

  adoptSlot(slot: number, peer: SocketAddress): void {
    this.#tcp.adoptSlot(slot, peer);
  }

  refreshCounters(): void {} // everything counts as it goes

  async reload(application: unknown): Promise<void> {
    this.#sessions.replaceHandlers(application);
  }

  async drain(deadlineMs: number): Promise<number> {
    this.#sessions.close();
    // One turn of the loop for the kernel's side: a request that has arrived already is still served.
    await new Promise((resolve) => setImmediate(resolve));
    return await this.#tcp.drain(deadlineMs);
  }

  createDecoder(connection: Connection): FrameDecoder {
    return new FrameAssembler(this.#loop.pool, Session.of(connection, this.#sessions));
  }

  drainConnection(connection: Connection): void {
    sessionOf(connection).drain();
  }
}
