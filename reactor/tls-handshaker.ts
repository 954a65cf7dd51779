// Turns raw accepted sockets into TLS sockets, through a node:tls server that never listens.
// tcp-service.ts uses it for framed connections; http-service.ts has a tls.Server of its own in its place.
// Going through tls.Server keeps its checks: client certificates, ALPN, SNI, the handshake timeout.

import type net from 'node:net';
import tls from 'node:tls';

import { ReactorError } from './errors.js';

interface Pending {
  resolve(secure: tls.TLSSocket): void;
  reject(error: ReactorError): void;
}

export class TlsHandshaker {
  readonly #server: tls.Server;
  readonly #pending = new Map<net.Socket, Pending>();

  constructor(options: tls.TlsOptions, handshakeTimeoutMs: number) {
    this.#server = tls.createServer({ ...options, handshakeTimeout: handshakeTimeoutMs });
    this.#server.on('secureConnection', (secure) => this.#take(secure)?.resolve(secure));
    this.#server.on('tlsClientError', (cause, secure) => {
      const pending = this.#take(secure);
      secure.destroy();
      pending?.reject(new ReactorError('REACTOR_TLS_FAILED', cause.message, { cause }));
    });
  }

  /**
   * Resolves to the secure socket, which does not read yet and allows half-open.
   * @throws ReactorError REACTOR_TLS_FAILED; the socket is destroyed then.
   */
  handshake(raw: net.Socket): Promise<tls.TLSSocket> {
    return new Promise((resolve, reject) => {
      this.#pending.set(raw, { resolve, reject });
      this.#server.emit('connection', raw);
    });
  }

  #take(secure: tls.TLSSocket): Pending | undefined {
    const raw = rawSocketOf(secure);
    const pending = this.#pending.get(raw);
    this.#pending.delete(raw);
    return pending;
  }
}

/** The socket a TLS socket was made over; Node keeps it under this name and gives it no public one. */
export function rawSocketOf(secure: tls.TLSSocket): net.Socket {
  return (secure as unknown as { readonly _parent: net.Socket })._parent;
}
