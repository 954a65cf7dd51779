// What both transports do with the bytes of a stream before the codec sees them: a PROXY header that comes
// first, and bytes that arrived although the connection is paused.
// net-connection.ts and epoll-connection.ts extend it; connection.ts is what they all are.

import { type ClientAddress, relayedClient } from './client-address.js';
import { Connection } from './connection.js';
import type { ConnectionHost } from './connection-host.js';
import { ReactorError } from './errors.js';
import type { Output } from './output-queue.js';
import { ProxyHeaderParser } from './proxy-protocol.js';

export interface StreamOptions {
  /** A PROXY protocol v2 header comes first and names the client. */
  readonly expectsProxyHeader?: boolean;
  /** What a PROXY header read earlier said of the client. */
  readonly peer?: ClientAddress;
}

export interface SocketAddress {
  /** undefined for Unix sockets, and once the socket is gone. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

export abstract class StreamConnection extends Connection {
  #proxyHeader: ProxyHeaderParser | null;
  /** Bytes of a connection that is not read at present. */
  #heldBack: Buffer | null = null;
  #remoteAddress: string | undefined;
  #remotePort: number | undefined;

  constructor(host: ConnectionHost, id: number, output: Output, options: StreamOptions) {
    super(host, id, output);
    this.#proxyHeader = options.expectsProxyHeader === true ? new ProxyHeaderParser() : null;
    this.#remoteAddress = options.peer?.address;
    this.#remotePort = options.peer?.port;
  }

  /** The socket is connected: open the connection, or read the PROXY header first. */
  start(): void {
    if (this.state !== 'connecting') return;
    if (this.#proxyHeader === null) {
      this.opened();
    } else {
      this.watchDeadlines();
      this.startReading();
    }
  }

  get remoteAddress(): string | undefined {
    this.#remoteAddress ??= this.socketAddress().address;
    return this.#remoteAddress;
  }

  get remotePort(): number | undefined {
    this.#remotePort ??= this.socketAddress().port;
    return this.#remotePort;
  }

  /** The peer's address as the socket knows it. */
  protected abstract socketAddress(): SocketAddress;

  /** Takes what one read brought, header or frames: `bytes[start, end)`, only lent. */
  protected take(bytes: Buffer, start: number, end: number): void {
    if (this.#proxyHeader === null) this.#takeOwn(bytes, start, end);
    else this.#takeHeader(this.#proxyHeader, bytes.subarray(start, end));
  }

  /** Bytes are held back: a peer's FIN waits behind them. */
  protected get holdsBack(): boolean {
    return this.#heldBack !== null;
  }

  /** Delivers what was held back. False when that paused the connection again. */
  protected takeHeldBack(): boolean {
    const heldBack = this.#heldBack;
    if (heldBack === null) return true;
    this.#heldBack = null;
    this.receive(heldBack, 0, heldBack.length);
    return this.state !== 'open' || this.isReadingWanted;
  }

  #takeHeader(parser: ProxyHeaderParser, chunk: Buffer): void {
    try {
      const headerBytes = parser.feed(chunk);
      const { header } = parser;
      if (header === null) return;
      this.#proxyHeader = null;
      const client = relayedClient(header);
      if (client !== undefined) {
        this.#remoteAddress = client.address;
        this.#remotePort = client.port;
      }
      this.opened();
      if (headerBytes < chunk.length) this.#takeOwn(chunk, headerBytes, chunk.length);
    } catch (error) {
      if (!(error instanceof ReactorError)) throw error;
      this.report(error);
      this.close('frame-error');
    }
  }

  /** A handler may have paused the connection after the transport had read on. */
  #takeOwn(bytes: Buffer, start: number, end: number): void {
    if (this.isReadingWanted || this.state !== 'open') {
      this.receive(bytes, start, end);
      return;
    }
    const chunk = bytes.subarray(start, end);
    const heldBack = this.#heldBack;
    this.#heldBack = heldBack === null ? Buffer.from(chunk) : Buffer.concat([heldBack, chunk]);
  }
}
