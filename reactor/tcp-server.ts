// A framed TCP or Unix server: what a user constructs.
// server.ts does what all servers share, tcp-service.ts owns the connections on each thread.

import { type CodecOptions, createCodec } from './codecs/create-codec.js';
import type { ConnectionLimits } from './connection-host.js';
import { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import type { HandlerModule, Handlers } from './handlers.js';
import { type CommonSpec, Server, type ServerOptions } from './server.js';
import type { ServiceSpec } from './service.js';
import { type ConnectionOptions, resolveConnectionLimits } from './tcp-options.js';

export interface TcpServerOptions extends ServerOptions, ConnectionOptions {
  /**
   * The module whose default export runs once on every sub-reactor and returns the handlers. With
   * threads: 0 also that function, or the handlers themselves.
   */
  handlers: URL | string | HandlerModule | Handlers;
}

const TLV: CodecOptions = { kind: 'tlv' };

export class TcpServer extends Server<HandlerModule | Handlers> {
  readonly #codec: CodecOptions;
  readonly #limits: ConnectionLimits;

  /** Starts nothing yet. @throws ReactorError REACTOR_OPTION_INVALID */
  constructor(options: TcpServerOptions) {
    const codec = options.codec ?? TLV;
    const transport = options.reactor?.transport ?? options.transport ?? 'net';
    if (transport === 'epoll' && options.tls !== undefined) {
      throw new ReactorError(
        'REACTOR_UNSUPPORTED',
        "transport 'epoll' does not speak TLS: take transport 'net'",
      );
    }
    createCodec(codec); // judged here, where the mistake is, and not on every thread
    const limits = resolveConnectionLimits(options);
    super(options, options.handlers); // only now: the reactor it makes has descriptors
    this.#codec = codec;
    this.#limits = limits;
  }

  protected override describe(common: CommonSpec): ServiceSpec {
    return { ...common, kind: 'tcp', codec: this.#codec, limits: this.#limits };
  }

  protected override instantiate(handlers: HandlerModule | Handlers, loop: EventLoop): unknown {
    return typeof handlers === 'function' ? handlers(loop, this.handlerData) : handlers;
  }
}
